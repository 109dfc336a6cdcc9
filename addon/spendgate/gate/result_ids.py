"""Ids of results' rows, and which results have one.

A result's id is made of what it is, so that its row is known again whoever reads it. Results of one batch or file that are named
alike but for the last two characters, as numbered ones are, have ids that begin alike, so that they stand together in the
ledger's index of ids: a transaction writes every page of it that it changes, and of ids that are spread each changes one of its
own. That is half of all its pages where few thousand rows are there. 90 bits are each result's own.

Earlier ids were all spread. They are looked for, too, so that what was counted under one is not counted again; providers keep a
batch's results for some weeks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache

from spendgate.providers.reading import Result

Named = Sequence[tuple[str, Result]]
"""Results, each with its id."""
_ALIKE = 8
"""Hex digits by which ids begin alike."""
_NUMBERED = 2
"""Characters of a name in which those differ whose ids do."""
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The two bits that say who made up an id's form."""


def result_id_of(provider: str, key: str) -> str:
    """The id of a result's row: a UUID version 8 (RFC 9562, 5.8) of what it is, which no key can be read from.

    `key` as in `Result.key`: a word, what it is a result of, and where that has several its own name.
    """
    spread = spread_id_of(provider, key)
    return spread if key.count(" ") < 2 else _begins(provider, key[:-_NUMBERED]) + spread[_ALIKE:]


def spread_id_of(provider: str, key: str) -> str:
    """The id of a result that has no name of its own, and the earlier one of every other."""
    text = hashlib.sha256(f"{provider}\n{key}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


@lru_cache(maxsize=256)
def _begins(provider: str, key: str) -> str:
    return spread_id_of(provider, key)[:_ALIKE]


def there(
    written: Callable[[tuple[str, ...]], frozenset[str]], provider: str, named: Named, *, every: bool
) -> set[str]:
    """The ids of those that have a row, under whichever id. `written` as in `LedgerPort`.

    A file is new or was read before, so that the first and the last of them are looked up, and all where one of those is there;
    `every`: all.
    """
    first, last = named[0], named[-1]
    earlier = {spread_id_of(provider, result.key) for _, result in (first, last)}
    if not every and not written((first[0], last[0], *earlier)):
        return set()
    found = set(written(tuple([result_id for result_id, _ in named])))
    others = {spread_id_of(provider, result.key): result_id for result_id, result in named if result_id not in found}
    return found | {others[result_id] for result_id in written(tuple(others))} if others else found
