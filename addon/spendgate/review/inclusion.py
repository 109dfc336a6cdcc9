"""Whether all that one pattern or selector fits is fitted by another one, too. In doubt it is not."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final

from spendgate.model_names import fold, glob
from spendgate.selector import Selector, is_glob

_NO_LETTER: Final = "\0"
"""Stands for any letter: no text of a policy has it, so that only a star or a question mark fits it."""


def covers(wide: Selector, narrow: Selector) -> bool:
    """Whether every call that fits `narrow` fits `wide`: it asks for no more attributes, and each value of `narrow` fits one."""
    inner = narrow.as_data()
    return all(
        attribute in inner and all(included(text, texts, attribute) for text in inner[attribute])
        for attribute, texts in wide.as_data().items()
    )


def included(text: str, wide: list[str] | tuple[str, ...], attribute: str) -> bool:
    """Whether every value that fits `text` fits one of the others."""
    even = fold if attribute == "model" else str.casefold
    own = even(text)
    return any(other == own or (is_glob(other) and includes(other, own)) for other in map(even, wide))


def includes(pattern: str, text: str) -> bool:
    """Whether every value that fits `text` fits the pattern, both folded: with nothing for its stars, with a little, with more
    letters than the pattern has."""
    if pattern == text:
        return True
    lengths = (0, 1, 2, len(pattern) + 1) if "*" in text else (0,)
    expression = _compiled(pattern)
    tried = (text.replace("*", _NO_LETTER * length).replace("?", _NO_LETTER) for length in lengths)
    return all(expression.fullmatch(each) is not None for each in tried)


_LENGTH_MAX: Final = 200
"""Of a value (`selector`)."""
_compiled = lru_cache(maxsize=4096)(glob)


def fits_both(one: str, other: str) -> str | None:
    """A short text that fits both globs, both folded; None where there is none, or none as short as values are."""
    if max(len(one), len(other)) > _LENGTH_MAX:
        return None

    @cache
    def rest(at: int, beside: int) -> str | None:
        mine, theirs = one[at : at + 1], other[beside : beside + 1]
        if not mine and not theirs:
            return ""
        if mine == theirs == "*":
            return next((found for found in (rest(at + 1, beside), rest(at, beside + 1)) if found is not None), None)
        if mine == "*" or theirs == "*":
            # The star ends here, or takes one more letter of the other one.
            ended = rest(at + (mine == "*"), beside + (theirs == "*"))
            letter = theirs if mine == "*" else mine
            if ended is not None or not letter:
                return ended
            more = rest(at + (mine != "*"), beside + (theirs != "*"))
        elif not mine or not theirs or (mine != theirs and "?" not in {mine, theirs}):
            return None
        else:
            letter = theirs if mine == "?" else mine
            more = rest(at + 1, beside + 1)
        return None if more is None else letter.replace("?", "x") + more

    return rest(0, 0)
