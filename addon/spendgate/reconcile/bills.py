"""Which lines of which imports are the bill: of each source the newest version, of each provider and kind of charge one source.

Two sources may tell the same money (an API and the file downloaded from the same place). Of each kind of charge one of them is
taken on each day: the one that tells most apart, then the newest (`choosing`). What a gateway billed is no bill but a witness.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from spendgate.reconcile.choosing import COMPARED, At, Chosen, Said, choose, taken, tells_use
from spendgate.reconcile.finality import is_young, state
from spendgate.reconcile.naming import day_of
from spendgate.reconcile.periods import OneSum, Seen, Told, is_sum, weighed
from spendgate.reconcile.result import Input, State
from spendgate.statement import DAY_MS, Line, Statement

GATEWAY_SOURCES: Final = ("litellm", "langsmith")
"""How the names of sources begin whose lines a gateway wrote."""


class Version(Struct, frozen=True):
    """An imported statement. Of one source and subject the newest that covers a day is in force on it."""

    name: str
    """The import's name, which reports cite."""
    at_ms: int
    """When it was taken in."""
    statement: Statement

    @property
    def reaches_ms(self) -> int:
        """Up to when it can know of anything."""
        said = self.statement.refreshed_ms
        return self.at_ms if said is None else said

    def covers(self, day_ms: int) -> bool:
        """Whether it says all of the UTC day."""
        return self.statement.from_ms <= day_ms and day_ms + DAY_MS <= self.statement.until_ms

    @property
    def gateway(self) -> bool:
        """Whether it is a gateway's ledger."""
        return self.statement.source.startswith(GATEWAY_SOURCES)


class BilledDay(Struct, frozen=True):
    """One closed day of one provider."""

    day_ms: int
    provider: str
    state: State
    reaches_ms: int
    lines: tuple[Line, ...]
    """In force, of the sources that were chosen."""
    before: tuple[Line, ...]
    """What the version before said; () where there was none, or the day was too young for it to be whole."""
    had_before: bool
    before_name: str = ""
    tells_use: bool = True
    """Whether it says what calls cost; else it has fees alone, and no call is compared with it."""


class Bill(Struct, frozen=True):
    """All that is compared."""

    days: tuple[BilledDay, ...]
    gateway: tuple[Line, ...]
    """What gateways say they billed, on these days."""
    inputs: tuple[Input, ...]
    notes: tuple[str, ...]
    open_days: tuple[tuple[str, int], ...]
    sums: tuple[OneSum, ...] = ()
    """Sums of several days that the calls of all of them are compared with; each is among the lines of its first day …"""
    sum_notes: tuple[str, ...] = ()
    """… and a note on each sum, also on those that no call is compared with."""

    @property
    def bucket_ms(self) -> int:
        """The narrowest bucket of time that its sums are told by; lines of single requests are no buckets."""
        widths = [
            line.ends_ms - line.starts_ms
            for day in self.days
            for line in day.lines
            if not (line.response_id or line.request_id) and 0 < line.ends_ms - line.starts_ms < DAY_MS
        ]
        return min(widths, default=DAY_MS)


class _Use(Struct):
    """A version in force on a day, with the lines of that day and the version before."""

    version: Version
    lines: tuple[Line, ...]
    before: Version | None

    @property
    def said(self) -> Said:
        return Said(self.version.statement.source, self.version.statement.subject)

    @property
    def at_ms(self) -> int:
        return self.version.at_ms


def bill_of(versions: Iterable[Version], from_ms: int, until_ms: int, now_ms: int, only: tuple[str, ...]) -> Bill:
    """The lines of closed days. Lines belong to the day that they begin on."""
    ordered = sorted(versions, key=lambda each: (each.at_ms, each.name))
    lines_of = {id(each): _by_day(each.statement.lines) for each in ordered}
    billers = {
        id(each): {each.statement.provider, *(line.provider for line in each.statement.lines)} for each in ordered
    }
    whose = {id(each): {line.who.organization or "" for line in each.statement.lines} for each in ordered}
    used: dict[tuple[str, int], list[_Use]] = defaultdict(list)
    gateway: list[Line] = []
    names: dict[str, Version] = {}
    for day_ms in range(from_ms, until_ms, DAY_MS):
        for chain, others in _apart(_in_force(ordered, day_ms), whose):
            version = chain[0]
            names[version.name] = version
            lines = [each for each in lines_of[id(version)].get(day_ms, ()) if each.who.organization not in others]
            if version.gateway:
                gateway.extend(lines)
                continue
            by_provider: dict[str, list[Line]] = defaultdict(list)
            for provider in billers[id(version)]:
                by_provider[provider] = []  # what its statement does not list on a day is zero
            for line in lines:
                by_provider[line.provider].append(line)
            for provider, its in by_provider.items():
                if not only or provider in only:
                    before = next((each for each in chain[1:]), None)
                    used[provider, day_ms].append(_Use(version, tuple(its), before))
    chosen, notes = choose(used)
    summing = {id(each) for each in ordered if any(map(is_sum, each.statement.lines))}
    days, opened, by_day = [], [], set[At]()
    for (provider, day_ms), uses in sorted(used.items()):
        tells = chosen[provider, day_ms]
        telling = [each for each in uses if tells_use(each) and each.said in _tellers(tells, uses)]
        if telling:
            by_day.add((provider, day_ms))
        speaking = telling or [each for each in uses if id(each.version) in summing] or uses
        reaches = min(each.version.reaches_ms for each in speaking)
        said = state(provider, day_ms, reaches, now_ms)
        if said is State.OPEN:
            opened.append((provider, day_ms))
            continue
        one = _day(provider, day_ms, uses, tells, by_day=lines_of, said=(said, reaches))
        if not telling:  # counts that no money is told of are not compared
            one = replace(
                one, tells_use=False, lines=tuple(each for each in one.lines if each.billed_nanos is not None)
            )
        if telling or one.lines:
            days.append(one)
    inputs = tuple(_input(each) for _, each in sorted(names.items(), key=lambda pair: (pair[1].at_ms, pair[0])))
    seen = Seen(from_ms, until_ms, now_ms, frozenset(by_day), frozenset(opened))
    sums = weighed(_sums(used, chosen, summing, from_ms), seen)
    return Bill(tuple(days), tuple(gateway), inputs, tuple(notes), tuple(opened), *sums)


def _sums(used: Mapping[At, Sequence[_Use]], chosen: Chosen, summing: set[int], from_ms: int) -> Iterator[Told]:
    """Sums of several days that are the bill, and those that began before the first day and are not over by then."""
    for (provider, day_ms), uses in used.items():
        for use in (each for each in uses if id(each.version) in summing):
            lines = taken(use.lines, use.said, chosen[provider, day_ms])
            if day_ms == from_ms:
                before = [each for each in use.version.statement.lines if each.starts_ms < from_ms < each.ends_ms]
                lines += [each for each in before if each.provider == provider]
            for line in filter(is_sum, lines):
                days = (used.get((provider, at)) for at in range(max(line.starts_ms, from_ms), line.ends_ms, DAY_MS))
                whole = all(any(each.version is use.version for each in its) for its in days if its is not None)
                yield Told(line, use.version.reaches_ms, whole)


def _by_day(lines: Sequence[Line]) -> dict[int, tuple[Line, ...]]:
    found: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        found[day_of(line.starts_ms)].append(line)
    return {day: tuple(each) for day, each in found.items()}


def _in_force(ordered: Sequence[Version], day_ms: int) -> list[list[Version]]:
    """By source and subject, newest first."""
    found: dict[tuple[str, str], list[Version]] = {}
    for each in ordered:
        if each.covers(day_ms):
            found.setdefault((each.statement.source, each.statement.subject), []).insert(0, each)
    return [found[key] for key in sorted(found)]


def _apart(
    chains: list[list[Version]], whose: dict[int, set[str]]
) -> Iterator[tuple[list[Version], frozenset[str | None]]]:
    """Each chain, and the organizations whose lines in it another chain has newer.

    A file is of one organization on one download and of several on the next: the same dollars under two subjects.
    """
    for chain in chains:
        mine = chain[0]
        same = [each[0] for each in chains if each is not chain and each[0].statement.source == mine.statement.source]
        name = mine.statement.subject
        newer = [each for each in same if (each.at_ms, each.name) > (mine.at_ms, mine.name)]
        if name and any(not each.statement.subject and name in whose[id(each)] for each in newer):
            continue
        parts = {each.statement.subject for each in newer if not name and each.statement.subject}
        yield chain, frozenset(parts)


def _tellers(chosen: dict[str, frozenset[Said]], uses: Sequence[_Use]) -> frozenset[Said]:
    """Who is taken for what calls cost; all, where none of them has ever had a line of it."""
    found = frozenset(each for kind in COMPARED for each in chosen.get(kind.value, ()))
    return found or frozenset(each.said for each in uses)


def _day(
    provider: str, day_ms: int, uses: Sequence[_Use], chosen: dict[str, frozenset[Said]], *,
    by_day: dict[int, dict[int, tuple[Line, ...]]], said: tuple[State, int],
) -> BilledDay:  # fmt: skip
    lines: list[Line] = []
    before: list[Line] = []
    had, name = False, ""
    for use in uses:
        lines += taken(use.lines, use.said, chosen)
        older = use.before
        if older is not None and not is_young(provider, day_ms, older.reaches_ms, older.reaches_ms):
            had, name = True, older.name
            before += taken(
                [each for each in by_day[id(older)].get(day_ms, ()) if each.provider == provider], use.said, chosen
            )
        else:
            before += taken(use.lines, use.said, chosen)
    return BilledDay(day_ms, provider, *said, tuple(lines), tuple(before) if had else (), had, name)


def _input(version: Version) -> Input:
    said = version.statement
    return Input(
        version.name, said.source, said.sha256, said.refreshed_ms, said.from_ms, said.until_ms, len(said.lines)
    )
