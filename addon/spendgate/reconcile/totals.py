"""A comparison added up: totals, days, coverage, and notes on what was compared and what was not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from msgspec.structs import replace

from spendgate.money import short_dollars
from spendgate.plural import counted
from spendgate.reconcile.accounts import POOL
from spendgate.reconcile.assembling import ABSENT
from spendgate.reconcile.comparing import Compared
from spendgate.reconcile.groups import Group, charged
from spendgate.reconcile.kinds import ASKED, ELSEWHERE
from spendgate.reconcile.result import Coverage, Day, Finding, Result, State
from spendgate.reconcile.whole_sums import SUM

CONVENTION = "quantity differences are taken at captured prices, price differences at billed quantities"
_ORDER = (State.OPEN, State.SETTLING, State.FINAL)


def result_of(compared: Compared, from_ms: int, until_ms: int) -> Result:
    """The result. `unexplained_nanos` is what is left of the gap, by definition."""
    groups = tuple(compared.assembled.groups.values())
    fees = compared.assembled.fees
    billed = sum(each.billed_now for each in groups) + sum(charged(line) for _, line, _ in fees)
    captured = sum(each.cost for each in groups)
    explained = sum(each.nanos for each in compared.findings)
    gaps = [*_cells(groups), *(charged(line) for _, line, _ in fees)]
    days = _days(compared)
    return Result(
        from_ms, until_ms, billed, captured, tuple(sorted(compared.findings, key=_place)), billed - captured - explained,
        _coverage(compared), days, compared.bill.inputs, min((day.state for day in days), key=_ORDER.index, default=State.OPEN),
        sum(gap for gap in gaps if gap > 0), sum(gap for gap in gaps if gap < 0),
        (*_notes(compared), *_left_out(compared, from_ms, until_ms)),
    )  # fmt: skip


def is_named(provider: str, account: str, key: str) -> bool:
    """Whether a person who writes `key` means this account: as findings name it, or behind its provider, as coverage does."""
    return key in (account, f"{provider} {account}")


def narrowed(compared: Compared, day_ms: int, key: str) -> Compared:
    """One day and account of it."""
    assembled = compared.assembled
    groups = {
        at: group
        for at, group in assembled.groups.items()
        if at.day_ms == day_ms and is_named(at.provider, at.account, key)
    }
    fees = tuple(
        (day, line, account)
        for day, line, account in assembled.fees
        if day.day_ms == day_ms and is_named(day.provider, account.name, key)
    )
    providers = {at.provider for at in groups} | {day.provider for day, _, _ in fees}
    days = tuple(day for day in compared.bill.days if day.day_ms == day_ms and day.provider in providers)
    findings = tuple(
        each for each in compared.findings if each.day_ms == day_ms and is_named(each.provider, each.key, key)
    )
    bill = replace(
        compared.bill,
        days=days,
        inputs=tuple(
            each
            for each in compared.bill.inputs
            if each.from_ms <= day_ms < each.until_ms and not providers.isdisjoint(each.providers)
        ),
        open_days=tuple(each for each in compared.bill.open_days if each[0] in providers),
    )
    grains = tuple(each for each in assembled.grains if each.partition(":")[0] in providers)
    about = {(at.provider, at.account) for at in groups} | {(day.provider, account.name) for day, _, account in fees}
    return replace(
        compared,
        bill=bill,
        assembled=replace(assembled, groups=groups, fees=fees, grains=grains),
        findings=findings,
        about=frozenset(about),
    )


def _place(each: Finding) -> tuple[str, int, str, str, str, int, str]:
    return (each.cause.value, each.day_ms, each.provider, each.key, each.model, each.nanos, each.evidence)


def _cells(groups: Iterable[Group]) -> list[int]:
    return [group.billed_now - group.cost for group in groups]


def _days(compared: Compared) -> tuple[Day, ...]:
    billed: dict[tuple[str, int], int] = defaultdict(int)
    captured: dict[tuple[str, int], int] = defaultdict(int)
    scope: dict[tuple[str, int], int] = defaultdict(int)
    off: dict[tuple[str, int], dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    for key, group in compared.assembled.groups.items():
        billed[key.provider, key.day_ms] += group.billed_now
        scope[key.provider, key.day_ms] += 0 if key in compared.scoped else group.billed_now
        captured[key.provider, key.day_ms] += group.cost
        off[key.provider, key.day_ms][key.account, key.model] += group.billed_now - group.cost
    for day, line, account in compared.assembled.fees:
        billed[day.provider, day.day_ms] += charged(line)
        off[day.provider, day.day_ms][account.name, line.model or ""] += charged(line)
    for each in compared.findings:
        off[each.provider, each.day_ms][each.key, each.model] -= each.nanos
    found = []
    sums = {(one.period.provider, one.period.from_ms): one for one in compared.bill.sums}
    for day in sorted(compared.bill.days, key=lambda each: (each.day_ms, each.provider)):
        at = day.provider, day.day_ms
        left, one = off[at].values(), sums.get(at)
        found.append(
            Day(
                day.day_ms,
                day.provider,
                day.state if one is None else one.state,
                billed[at],
                captured[at],
                sum(left),
                sum(abs(each) for each in left),
                day.tells_use or one is not None,
                None if one is None else one.period.until_ms,
                scope[at],
                max(off[at], key=lambda place: abs(off[at][place]))[0] if any(off[at].values()) else "",
            )
        )
    return tuple(found)


class _Sum:
    """One row of coverage."""

    def __init__(self) -> None:
        self.billed = self.captured = 0
        self.requests: int | None = None
        self.asked = 0
        self.ids = self.billed_ids = 0

    def take(self, group: Group) -> None:
        self.billed += group.billed_now
        self.captured += group.cost - sum(group.kind(each).cost for each in ELSEWHERE)
        if group.key.match == SUM:  # no request is counted on its bill, and none is asked for by name
            return
        asked = sum(part.calls for kinds in group.parts.values() for kind, part in kinds.items() if kind in ASKED)
        if group.requests is not None:
            self.requests = (self.requests or 0) + group.requests
        self.asked += asked
        if group.key.match:
            named = group.requests or 0
            self.billed_ids += named
            self.ids += 0 if group.key.match == ABSENT else named

    @property
    def empty(self) -> bool:
        """Whether neither side has money or a request of it: a plan's, or what a correction took back."""
        return not (self.billed or self.captured or self.requests or self.asked)

    def row(self, what: str, name: str) -> Coverage:
        known = self.requests is not None
        return Coverage(
            what, name, self.billed, self.captured, self.requests, self.asked if known else None,
            self.ids if self.billed_ids else None, self.billed_ids or None,
        )  # fmt: skip


def _coverage(compared: Compared) -> tuple[Coverage, ...]:
    """In scope: the total, and whatever has a dollar or a request on either side. A tool has a row for the keys that it alone is
    captured with: no bill names tools."""
    total = _Sum()
    providers: dict[str, _Sum] = defaultdict(_Sum)
    tools: dict[str, _Sum] = defaultdict(_Sum)
    keys: dict[tuple[str, str], _Sum] = defaultdict(_Sum)
    sole = _sole_tools(compared)
    for key, group in sorted(compared.assembled.groups.items()):
        if key in compared.scoped:
            continue
        tool = sole.get((key.provider, key.account))
        for each in (total, providers[key.provider], keys[key.provider, key.account]):
            each.take(group)
        if tool:
            tools[tool].take(group)
    told = [each for each in providers.values() if each.requests is not None]
    if told:  # requests are counted beside those of providers that tell theirs
        total.requests, total.asked = sum(each.requests or 0 for each in told), sum(each.asked for each in told)
    parts = [("provider", name, each) for name, each in sorted(providers.items())]
    parts += [("tool", name, each) for name, each in sorted(tools.items())]
    parts += [("key", f"{provider} {name}", each) for (provider, name), each in sorted(keys.items())]
    return (total.row("total", ""), *(each.row(what, name) for what, name, each in parts if not each.empty))


def _sole_tools(compared: Compared) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for raw in compared.captured.sums:
        who = compared.assembled.names.get(raw.provider)
        if who is not None:
            tools = compared.captured.tools.get((raw.provider, raw.api_key, raw.person), {})
            found[raw.provider, who.of_call(raw)] |= {tool for tool in tools if tool}
    for (provider, _), whole in compared.captured.wholes.items():
        found[provider, POOL] |= {tool for tool in whole.tools if tool}
    return {at: next(iter(tools)) for at, tools in found.items() if len(tools) == 1}


def _notes(compared: Compared) -> tuple[str, ...]:
    notes = [f"grain: {each}" for each in compared.assembled.grains]
    notes.append(f"convention: {CONVENTION}")
    notes += compared.bill.notes
    notes += compared.notes if compared.about is None else ()
    for provider, who in compared.assembled.names.items():
        if compared.about is None:
            notes += who.notes()
        if told := who.map_line():
            notes.append(told)
        for _, account in sorted(each for each in compared.about or () if each[0] == provider):
            notes += who.notes(account)
    opened: dict[str, list[int]] = defaultdict(list)
    for provider, day_ms in compared.bill.open_days:
        opened[provider].append(day_ms)
    for provider, days in sorted(opened.items()):
        last = datetime.fromtimestamp(max(days) / 1000, UTC)
        notes.append(f"{provider}: not compared, since still open: {counted(len(days), 'day')} up to {last:%Y-%m-%d}")
    if compared.captured.open_calls:
        notes.append(f"not compared, since not ended: {counted(compared.captured.open_calls, 'call')}")
    return tuple(notes)


def _left_out(compared: Compared, from_ms: int, until_ms: int) -> Iterator[str]:
    """What no closed day of a bill is there for: silence would pass for agreement."""
    yield from compared.bill.sum_notes
    open_days = set(compared.bill.open_days)
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for (provider, day_ms), (calls, nanos) in sorted(compared.captured.left_out.items()):
        if from_ms <= day_ms < until_ms and (provider, day_ms) not in open_days:
            kept = found[provider]
            kept[0], kept[1], kept[2] = kept[0] + 1, kept[1] + calls, kept[2] + nanos
    for provider, (days, calls, nanos) in sorted(found.items()):
        which = f" that tells what calls cost on {counted(days, 'day')}" if provider in compared.bill.told else ""
        yield f"{provider}: no statement{which}; {counted(calls, 'call')} of {short_dollars(nanos)} not compared"


def _told(compared: Compared) -> Iterator[tuple[str, int]]:
    return ((day.provider, day.day_ms) for day in compared.bill.days)
