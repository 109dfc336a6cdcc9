"""What is known around each group: witnesses, outages, presence, calls near midnight."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction

from spendgate.reconcile.absence import Times
from spendgate.reconcile.bills import Bill, BilledDay
from spendgate.reconcile.claims import Around
from spendgate.reconcile.decompose import Split
from spendgate.reconcile.facts import Facts, Interval, Unread, Witnessed
from spendgate.reconcile.finality import is_young
from spendgate.reconcile.folding import Captured, Edge
from spendgate.reconcile.groups import Group, GroupKey
from spendgate.reconcile.identities import Account, Identities
from spendgate.reconcile.kinds import Kind
from spendgate.reconcile.naming import day_of, model_of
from spendgate.reconcile.vectors import SIZE, counts_of
from spendgate.statement import DAY_MS, Billed, Charge

Moved = dict[GroupKey, list[tuple[Fraction, tuple[int, ...], int, str]]]


class Surroundings:
    """Looks up what is around a group."""

    def __init__(self, facts: Facts, captured: Captured, names: dict[str, Identities], bill: Bill, now_ms: int) -> None:
        self._facts, self._captured, self._names, self._now_ms = facts, captured, names, now_ms
        self._reaches = {(day.provider, day.day_ms): day.reaches_ms for day in bill.days}
        self._enumerated = {(day.provider, day.day_ms) for day in bill.days if _enumerates(day)}
        self._gateway = _gateway_rows(bill, captured)
        self._missing: dict[tuple[str, int, str], list[Witnessed]] = defaultdict(list)
        self._subcalls: dict[tuple[str, int, str], list[tuple[Witnessed, str]]] = defaultdict(list)
        self._unseen: dict[tuple[str, int, str], int] = defaultdict(int)
        for seen in facts.witnessed:
            self._witness(seen)
        for raw, kinds in captured.sums.items():
            if Kind.UNSEEN in kinds and raw.provider in names:
                account = names[raw.provider].of_call(raw)
                self._unseen[raw.provider, raw.day_ms, account] += kinds[Kind.UNSEEN].calls
        self._present = {each.person for each in facts.presence}
        self._spread = _machines(captured, facts)

    def _witness(self, seen: Witnessed) -> None:
        named = [each for each in (seen.response_id, seen.request_id) if each]
        found = next((self._captured.named[each] for each in named if each in self._captured.named), None)
        at = (seen.provider, day_of(seen.at_ms), model_of(seen.model))
        if found is None:
            self._missing[at].append(seen)
        elif seen.subcalls is not None:
            raw, call = found
            self._subcalls[seen.provider, raw.day_ms, raw.model].append((seen, call.id))

    def around(self, group: Group, moved: Moved, scope: str) -> Around:
        """All of it."""
        key, person = group.key, group.account.person
        young = is_young(key.provider, key.day_ms, self._reaches.get((key.provider, key.day_ms)), self._now_ms)
        missing = [
            each for each in self._seen(self._missing, key) if not each.person or not person or each.person == person
        ]
        subcalls = [
            (seen, call)
            for seen, call in self._subs(key)
            if self._names[key.provider].of_call(self._captured.named[seen.response_id or seen.request_id or ""][0])
            == key.account
        ]
        return Around(
            missing=tuple(missing),
            subcalls=tuple(subcalls),
            times=Times(
                self._of(self._facts.outages, key, group.account),
                self._of(self._facts.stops, key, group.account),
                self._presence(key, person),
                self._unread(key, person),
                person,
                scope,
            ),
            gateway=tuple(self._gateway.pop((key.day_ms, key.model), ())) if not key.match else (),
            enumerated=(key.provider, key.day_ms) in self._enumerated,
            young=young,
            unseen=self._unseen.get((key.provider, key.day_ms, key.account), 0),
            moved=tuple(moved.get(key, ())),
        )

    def _unread(self, key: GroupKey, person: str) -> tuple[Unread, ...]:
        """Connections of this day to a host that this provider's calls went to."""
        ends_ms = key.day_ms + DAY_MS
        return tuple(
            each
            for each in self._facts.unread
            if each.first_ms < ends_ms
            and key.day_ms <= each.last_ms
            and each.host in self._captured.hosts[key.provider]
            and (not person or each.account in (person, ""))
        )

    def _seen(self, kept: dict[tuple[str, int, str], list[Witnessed]], key: GroupKey) -> list[Witnessed]:
        """Of its day and model, or of a witness that names no model."""
        return [*kept.get((key.provider, key.day_ms, key.model), ()), *kept.get((key.provider, key.day_ms, ""), ())]

    def _subs(self, key: GroupKey) -> list[tuple[Witnessed, str]]:
        return [
            each
            for each in self._subcalls.get((key.provider, key.day_ms, key.model), ())
            if (each[0].response_id or "") in self._captured.named or (each[0].request_id or "") in self._captured.named
        ]

    def _of(self, intervals: Iterable[Interval], key: GroupKey, account: Account) -> tuple[Interval, ...]:
        """Those of this day and of the account's machines; of every machine where nobody knows whose it is."""
        ends_ms = key.day_ms + DAY_MS
        machines = self._spread.get(account.person, set()) if account.person else None
        return tuple(
            each
            for each in sorted(intervals, key=lambda one: (one.from_ms, one.machine))
            if each.from_ms < ends_ms
            and key.day_ms < each.until_ms
            and (
                not each.machine
                or machines is None
                or each.person == account.person
                or (not each.person and each.machine in machines)
            )
        )

    def _presence(self, key: GroupKey, person: str) -> tuple[Interval, ...] | None:
        if not person or person not in self._present:
            return None
        ends_ms = key.day_ms + DAY_MS
        return tuple(
            each
            for each in self._facts.presence
            if each.person == person and each.from_ms < ends_ms and key.day_ms < each.until_ms
        )


def _enumerates(day: BilledDay) -> bool:
    """Whether every line about tokens is of one request, by its id."""
    its = [line for line in day.lines if line.charge is Charge.TOKENS]
    return bool(its) and all(line.response_id or line.request_id for line in its)


def _gateway_rows(bill: Bill, captured: Captured) -> dict[tuple[int, str], list[tuple[tuple[int, ...], int]]]:
    """By day and model what gateways asked for that no call of the ledger is; single requests one by one, else sums."""
    found: dict[tuple[int, str], list[tuple[tuple[int, ...], int]]] = defaultdict(list)
    for line in bill.gateway:
        mine = any(each in captured.named for each in (line.response_id, line.request_id) if each)
        if not mine and line.billed is Billed.METERED:
            number = 1 if line.requests is None else line.requests
            found[day_of(line.starts_ms), model_of(line.model)].append((tuple(counts_of(line.usage)), number))
    return found


def _machines(captured: Captured, facts: Facts) -> dict[str, set[str]]:
    found = {person: set(its) for person, its in captured.machines.items()}
    for each in (*facts.presence, *facts.outages):
        if each.person and each.machine:
            found.setdefault(each.person, set()).add(each.machine)
    return found


def moved_calls(
    edges: Iterable[Edge], groups: dict[GroupKey, Group], splits: dict[GroupKey, Split], names: dict[str, Identities]
) -> Moved:
    """Calls near midnight that the bill has on the other day: it is short of exactly them here, and has them over there.

    Where the other day is not compared, a day that is off by nothing but its calls next to that midnight shows it.
    """
    found: Moved = defaultdict(list)
    rest = {
        key: (list(split.vector), split.requests)
        for key, split in splits.items()
        if split.vector is not None and not key.match
    }
    series: dict[tuple[GroupKey, GroupKey], list[Edge]] = defaultdict(list)
    for edge in edges:
        who = names.get(edge.raw.provider)
        if who is None:
            continue
        account = who.of_call(edge.raw)
        model = edge.raw.model
        here = GroupKey(edge.raw.day_ms, edge.raw.provider, account, model)
        if here not in groups and here._replace(model="") in groups:
            here = here._replace(model="")
        series[here, here._replace(day_ms=edge.other_day_ms)].append(edge)
    for (here, there), its in sorted(series.items()):
        its.sort(key=lambda edge: (edge.away_ms, edge.id))
        if here in rest and there in rest:
            _both(its, here, there, rest, found, splits=splits)
        elif here in rest or there in rest:
            _one(its, here, there, rest, found, splits=splits)
    return found


_Rest = dict[GroupKey, tuple[list[int], int | None]]


def _both(
    its: list[Edge], here: GroupKey, there: GroupKey, rest: _Rest, found: Moved, *, splits: dict[GroupKey, Split]
) -> None:
    for edge in its:
        (short, fewer), (over, more) = rest[here], rest[there]
        if (fewer is not None and fewer >= 0) or (more is not None and more <= 0):
            return
        if not all(-short[place] >= edge.counts[place] <= over[place] for place in range(SIZE)):
            continue
        _move(edge, here, -1, rest, found, splits=splits)
        _move(edge, there, 1, rest, found, splits=splits)


def _one(
    its: list[Edge], here: GroupKey, there: GroupKey, rest: _Rest, found: Moved, *, splits: dict[GroupKey, Split]
) -> None:
    """Only one of the two days is compared: the calls nearest to midnight make up all that it is off by."""
    key, sign = (here, -1) if here in rest else (there, 1)
    vector, requests = rest[key]
    total = [0] * SIZE
    for number, edge in enumerate(its, 1):
        total = [mine + sign * count for mine, count in zip(total, edge.counts, strict=True)]
        if total == vector and any(total) and requests in (None, sign * number):
            for each in its[:number]:
                _move(each, key, sign, rest, found, splits=splits)
            return


def _move(edge: Edge, key: GroupKey, sign: int, rest: _Rest, found: Moved, *, splits: dict[GroupKey, Split]) -> None:
    vector, requests = rest[key]
    rest[key] = (
        [mine - sign * count for mine, count in zip(vector, edge.counts, strict=True)],
        None if requests is None else requests - sign,
    )
    units = splits[key].units
    worth = sum((count * (units[place] or Fraction(0)) for place, count in enumerate(edge.counts)), Fraction(0))
    found[key].append((sign * worth, tuple(sign * count for count in edge.counts), sign, edge.id))
