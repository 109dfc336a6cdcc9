"""Which lines of which imports are the bill: of each source the newest version, of each provider and kind of charge one source.

Two sources may tell the same money (an API and the file downloaded from the same place). Of each kind of charge one of them is
taken on each day: the one that tells most apart, then the newest (`choosing`). What a gateway billed is no bill but a witness.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from spendgate.reconcile.choosing import COMPARED, INVOICE, At, Said, choose, taken, tells_use
from spendgate.reconcile.finality import is_young, state
from spendgate.reconcile.naming import day_of
from spendgate.reconcile.periods import OneSum, Seen, is_sum, weighed
from spendgate.reconcile.result import Input, State
from spendgate.reconcile.told_sums import beside_by_day, days_replaced, told_sums
from spendgate.reconcile.versions import Use, Version, Whose, apart, by_age, in_force, one_account
from spendgate.statement import DAY_MS, Line


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
    now_name: str = ""
    """The imports that say what was before, and what is now, of a day that had a version before."""
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
    """… and a note on each sum that is billed, also where no call is compared with it."""
    told: frozenset[str] = frozenset()
    """Providers that some import in force is about."""
    gateway_days: frozenset[int] = frozenset()
    """UTC days that a gateway's log in force covers, also where it has nothing."""

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


def bill_of(
    versions: Iterable[Version], from_ms: int, until_ms: int, now_ms: int, only: tuple[str, ...], *, purged_ms: int = 0
) -> Bill:
    """The lines of closed days. Lines belong to the day that they begin on. Days before `purged_ms`, whose calls are sums by now,
    are left out: nothing of theirs could be found among calls."""
    whole_ms, from_ms = from_ms, max(from_ms, -(-purged_ms // DAY_MS) * DAY_MS)
    ordered = by_age(versions)
    same, twice = one_account(ordered)
    lines_of = {id(each): _by_day(each.statement.lines) for each in ordered}
    used, gateway, names = _used(ordered, lines_of, range(from_ms, until_ms, DAY_MS), only, same)
    outside = beside_by_day(used)
    for its in used.values():
        for use in its:
            use.lines = tuple(each for each in use.lines if id(each) not in outside)
    chosen, notes = choose(used)
    notes += twice
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
    if from_ms > whole_ms:
        day = datetime.fromtimestamp(from_ms / 1000, UTC)
        notes.append(
            f"before {day:%Y-%m-%d} calls are sums by now (privacy.keep): no bill of these days is compared"
            "; `spendgate export focus --billed` has it"
        )
    inputs = tuple(_input(each) for _, each in sorted(names.items(), key=lambda pair: (pair[1].at_ms, pair[0])))
    seen = Seen(from_ms, until_ms, now_ms, frozenset(by_day), frozenset(opened), purged_ms)
    sums = weighed((*told_sums(used, chosen, ordered, (from_ms, until_ms)), *outside.values()), seen)
    notes += (*sums.left_out, *days_replaced(used))
    told = frozenset(provider for provider, _ in used)
    logs = [each for each in ordered if each.gateway]
    logged = frozenset(day for day in range(from_ms, until_ms, DAY_MS) if any(each.covers(day) for each in logs))
    return Bill(
        tuple(days), tuple(gateway), inputs, tuple(notes), tuple(opened), sums.compared, sums.notes, told, logged
    )


def _used(
    ordered: Sequence[Version],
    lines_of: Mapping[int, Mapping[int, tuple[Line, ...]]],
    days: Iterable[int],
    only: tuple[str, ...],
    same: Mapping[Whose, str],
) -> tuple[dict[At, list[Use]], list[Line], dict[str, Version]]:
    """By provider and day what is in force; what gateways say they billed; the imports by name."""
    billers = {
        id(each): {each.statement.provider, *(line.provider for line in each.statement.lines)} for each in ordered
    }
    whose = {id(each): {line.who.organization or "" for line in each.statement.lines} for each in ordered}
    age = {id(each): at for at, each in enumerate(ordered)}
    used: dict[tuple[str, int], list[Use]] = defaultdict(list)
    gateway: list[Line] = []
    names: dict[str, Version] = {}
    for day_ms in days:
        for chain, others in apart(in_force(ordered, day_ms, same), whose, age):
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
                    used[provider, day_ms].append(Use(version, tuple(its), tuple(chain[1:])))
    return used, gateway, names


def _by_day(lines: Sequence[Line]) -> dict[int, tuple[Line, ...]]:
    found: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        found[day_of(line.starts_ms)].append(line)
    return {day: tuple(each) for day, each in found.items()}


def _tellers(chosen: dict[str, frozenset[Said]], uses: Sequence[Use]) -> frozenset[Said]:
    """Who is taken for what calls cost; all, where none of them has ever had a line of it."""
    found = frozenset(each for kind in COMPARED for each in chosen.get(kind.value, ()))
    return found or frozenset(each.said for each in uses)


def _day(
    provider: str, day_ms: int, uses: Sequence[Use], chosen: dict[str, frozenset[Said]], *,
    by_day: dict[int, dict[int, tuple[Line, ...]]], said: tuple[State, int],
) -> BilledDay:  # fmt: skip
    lines: list[Line] = []
    before: list[Line] = []
    had, name, now_name = False, "", ""
    for use in uses:
        lines += taken(use.lines, use.said, chosen)
        older = use.before
        if older is not None and not is_young(provider, day_ms, older.reaches_ms, older.reaches_ms):
            earlier = tuple(each for each in by_day[id(older)].get(day_ms, ()) if each.provider == provider)
            told = _told_before(use, earlier)
            had, name, now_name = had or told is not use.lines, older.name, use.version.name
            before += taken(told, use.said, chosen)
        else:
            before += taken(use.lines, use.said, chosen)
    return BilledDay(day_ms, provider, *said, tuple(lines), tuple(before) if had else (), had, name, now_name)


def _told_before(use: Use, earlier: tuple[Line, ...]) -> tuple[Line, ...]:
    """What is before the lines of a day: those of the older version, `earlier`, but for what it did not tell. An invoice that has
    one sum, or fees alone, said nothing of what the day's calls cost, and that is not that they cost nothing."""
    if use.said.source != INVOICE or tells_use(replace(use, lines=earlier)):
        return earlier
    fees = tuple(each for each in earlier if each.charge not in COMPARED)
    own = tuple(each for each in use.lines if each.charge in COMPARED)
    return (*own, *fees) if fees else use.lines


def _input(version: Version) -> Input:
    said = version.statement
    return Input(
        version.name, said.source, said.sha256, said.refreshed_ms, said.from_ms, said.until_ms, len(said.lines),
        tuple(sorted({line.provider for line in said.lines} or {said.provider} - {""})),
    )  # fmt: skip
