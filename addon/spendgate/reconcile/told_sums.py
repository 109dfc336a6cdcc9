"""The sums of several days that imports tell: those that are the bill, and why others are no part of it.

A sum is billed under the first day of its period, by the import that is in force on it. None goes without a word: one that a
newer import or another source puts out of force is named, with its amount.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from spendgate.money import short_dollars
from spendgate.reconcile.choosing import (
    COMPARED,
    INVOICE,
    At,
    Chosen,
    Said,
    has_of,
    kinds_of,
    of_a_period,
    taken,
    tells_use,
)  # fmt: skip
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


def beside_by_day(used: Mapping[At, Sequence[Use]]) -> dict[int, Told]:
    """Charges of several days of which another source has some by day, by the line's id: beside it they would be told twice."""
    found: dict[int, Told] = {}
    for use in (each for uses in used.values() for each in uses):
        for line in (each for each in use.lines if each.billed_nanos is not None and of_a_period(each)):
            if other := has_of(used, use, line):
                kind = line.charge.value
                why = f"{other} has {kind} of some of its days, too, and by day; leave {kind} out of the invoice"
                found[id(line)] = Told(line, use.version.reaches_ms, whole=True, why=why)
    return found


def days_replaced(used: Mapping[At, Sequence[Use]]) -> tuple[str, ...]:
    """Notes on an invoice's charges by day whose days a newer one has that does not say what calls cost on them: a person's slip,
    since the newer one is in force alone."""
    found: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for (provider, day_ms), uses in used.items():
        for use in uses:
            if use.said.source == INVOICE and not tells_use(use) and not _has_sum(use.version, provider, day_ms):
                found[provider, use.version.name] += _told_before(use, provider, day_ms)
    return tuple(
        f"{provider}: {short_dollars(sum(each.billed_nanos or 0 for each in lines))} charged on"
        f" {len({each.starts_ms for each in lines})} days is no part of what is billed here: import {name}, which is newer, has"
        " these days and does not say what calls cost on them; put both into one file"
        for (provider, name), lines in sorted(found.items())
        if lines
    )


def _told_before(use: Use, provider: str, day_ms: int) -> list[Line]:
    """What the newest of the versions before that has any said that calls of the day cost."""
    for older in use.older:
        lines = [
            each
            for each in older.statement.lines
            if each.provider == provider and each.starts_ms == day_ms and _is_by_day(each)
        ]
        if lines:
            return lines
    return []


def _has_sum(version: Version, provider: str, day_ms: int) -> bool:
    return any(
        is_sum(each) and each.provider == provider and each.starts_ms <= day_ms < each.ends_ms
        for each in version.statement.lines
    )


def _is_by_day(line: Line) -> bool:
    return line.charge in COMPARED and line.billed_nanos is not None and not of_a_period(line)


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
    """What a newer import that has all of its days says in their place; "": the same."""
    said = version.statement
    newer = next((each.version for each in uses if each.said == (said.source, said.subject)), None)
    if newer is None:
        return ""
    old, new = (_told_of(each, line) for each in (version, newer))
    if old == new:
        return ""
    if not new:
        return f"import {newer.name}, which is newer, has its days and does not say what calls cost; put both into one file"
    return f"import {newer.name}, which is newer, says {short_dollars(new)} of these days"


def _told_of(version: Version, line: Line) -> int:
    """What it says that calls cost on days of this sum, nano-dollars."""
    return sum(
        one.billed_nanos or 0
        for one in version.statement.lines
        if one.provider == line.provider and one.charge in COMPARED
        and one.starts_ms < line.ends_ms and line.starts_ms < one.ends_ms
    )  # fmt: skip
