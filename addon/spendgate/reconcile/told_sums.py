"""The sums of several days that imports tell: those that are the bill, and why others are no part of it.

A sum is billed under the first day of its period, by the import that is in force on it. None goes without a word: one that a
newer import or another source puts out of force is named, with its amount.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from spendgate.reconcile.choosing import COMPARED, At, Chosen, Said, kinds_of, taken
from spendgate.reconcile.periods import Told, is_sum
from spendgate.reconcile.versions import Use, Version
from spendgate.statement import DAY_MS, Line

_Of = tuple[str, str, str, int, int]
"""Source, subject, provider, first day and end of a period."""


def told_sums(
    used: Mapping[At, Sequence[Use]], chosen: Chosen, versions: Sequence[Version], span: tuple[int, int]
) -> Iterator[Told]:
    """Each sum that has days in the span (from, until), of the newest import that has one of its period.

    `versions` are in the order in which they were imported.
    """
    for version, line in _newest(versions):
        first_ms = max(line.starts_ms, span[0])
        days = [(line.provider, at) for at in range(first_ms, min(line.ends_ms, span[1]), DAY_MS)]
        uses = [(at, used[at]) for at in days if at in used]
        if not uses or not any(at == days[0] for at, _ in uses):
            continue
        held = [at for at, its in uses if any(each.version is version for each in its)]
        whole = len(held) == len(uses)
        if days[0] in held:
            use = next(each for each in used[days[0]] if each.version is version)
            begun = first_ms > line.starts_ms
            if not begun and line not in use.lines:
                continue  # another import has this organization's part, and newer
            yield Told(line, version.reaches_ms, whole, "" if begun else _beside(line, use, chosen[days[0]]))
        elif held:
            why = "a newer import is in force on its first day; write statements whose days do not overlap"
            yield Told(line, version.reaches_ms, whole, why)
        elif why := _replaced(version, line, used[days[0]]):
            yield Told(line, version.reaches_ms, whole, why)


def _newest(versions: Sequence[Version]) -> Iterator[tuple[Version, Line]]:
    found: dict[_Of, tuple[Version, list[Line]]] = {}
    for version in versions:
        said, its = version.statement, dict[_Of, list[Line]]()
        for line in filter(is_sum, said.lines if not version.gateway else ()):
            its.setdefault((said.source, said.subject, line.provider, line.starts_ms, line.ends_ms), []).append(line)
        found |= {of: (version, lines) for of, lines in its.items()}
    for version, lines in found.values():
        yield from ((version, line) for line in lines)


def _beside(line: Line, use: Use, chosen: dict[str, frozenset[Said]]) -> str:
    """Why a sum is not taken on its first day; "": it is."""
    if taken([line], use.said, chosen):
        return ""
    (kind, *_) = kinds_of(line)
    others = sorted({each.source for each in chosen.get(kind, ())})
    who = " and ".join(others) or "another source"
    return f"{who} has {kind} of some of its days, too, and by day; leave {kind} out of the invoice"


def _replaced(version: Version, line: Line, uses: Sequence[Use]) -> str:
    """Why it is missed where a newer import has all of its days; "": that one says what the calls cost instead."""
    said = version.statement
    newer = next((each.version for each in uses if each.said == (said.source, said.subject)), None)
    if newer is None or any(_tells(each, line) for each in newer.statement.lines):
        return ""
    return f"import {newer.name}, which is newer, has its days and does not say what calls cost; put both into one file"


def _tells(one: Line, line: Line) -> bool:
    """Whether it is money for what calls cost on days of this sum."""
    return (
        one.provider == line.provider
        and one.charge in COMPARED
        and one.billed_nanos is not None
        and one.starts_ms < line.ends_ms
        and line.starts_ms < one.ends_ms
    )
