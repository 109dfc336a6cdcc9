"""What is known around each group: witnesses, outages, presence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from spendgate.reconcile.absence import Times
from spendgate.reconcile.accounts import Account
from spendgate.reconcile.bills import Bill, BilledDay
from spendgate.reconcile.captured import Call
from spendgate.reconcile.decompose import Split
from spendgate.reconcile.facts import Facts, Interval, Unread, Witnessed
from spendgate.reconcile.finality import is_young
from spendgate.reconcile.folding import Captured
from spendgate.reconcile.groups import Group, GroupKey
from spendgate.reconcile.identities import Identities
from spendgate.reconcile.kinds import Kind
from spendgate.reconcile.midnights import Moved
from spendgate.reconcile.naming import day_of, model_of
from spendgate.reconcile.rest import NO_ROWS, Around, GatewayRows
from spendgate.reconcile.vectors import counts_of
from spendgate.statement import DAY_MS, Billed, Charge


class Surroundings:
    """Looks up what is around a group."""

    def __init__(self, facts: Facts, captured: Captured, names: dict[str, Identities], bill: Bill, now_ms: int) -> None:
        self._facts, self._captured, self._names, self._now_ms = facts, captured, names, now_ms
        self._reaches = {(day.provider, day.day_ms): day.reaches_ms for day in bill.days}
        self._enumerated = {(day.provider, day.day_ms) for day in bill.days if _enumerates(day)}
        self._gateway = _gateway_rows(bill, captured)
        self._missing: dict[tuple[str, int, str], list[Witnessed]] = defaultdict(list)
        self._subcalls: dict[tuple[str, int, str], list[tuple[Witnessed, Call]]] = defaultdict(list)
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
            self._subcalls[seen.provider, raw.day_ms, raw.model].append((seen, call))

    def young(self, key: GroupKey) -> bool:
        """Whether the provider may still be adding to a group's day."""
        return is_young(key.provider, key.day_ms, self._reaches.get((key.provider, key.day_ms)), self._now_ms)

    def is_gateways(self, key: GroupKey, its: Split) -> bool:
        """Whether what a group lacks is what gateways asked for, to the token: it claims their rows before any other account."""
        rows = self._gateway.get((key.day_ms, key.model), NO_ROWS)
        return not key.match and its.vector is not None and any(its.vector) and list(its.vector) == rows.counts

    def around(self, group: Group, moved: Moved, scope: str) -> Around:
        """All of it."""
        key, person = group.key, group.account.person
        young = self.young(key)
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
            gateway=self._gateway.get((key.day_ms, key.model), NO_ROWS) if not key.match else NO_ROWS,
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

    def _subs(self, key: GroupKey) -> list[tuple[Witnessed, Call]]:
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


def _gateway_rows(bill: Bill, captured: Captured) -> dict[tuple[int, str], GatewayRows]:
    """By day and model what gateways asked for that no call of the ledger is; single requests one by one, else sums."""
    found: dict[tuple[int, str], list[tuple[tuple[int, ...], int]]] = defaultdict(list)
    for line in bill.gateway:
        mine = any(each in captured.named for each in (line.response_id, line.request_id) if each)
        if not mine and line.billed is Billed.METERED:
            number = 1 if line.requests is None else line.requests
            found[day_of(line.starts_ms), model_of(line.model)].append((tuple(counts_of(line.usage)), number))
    return {at: GatewayRows(rows) for at, rows in found.items()}


def _machines(captured: Captured, facts: Facts) -> dict[str, set[str]]:
    found = {person: set(its) for person, its in captured.machines.items()}
    for each in (*facts.presence, *facts.outages):
        if each.person and each.machine:
            found.setdefault(each.person, set()).add(each.machine)
    return found
