"""Deciding without the ledger, by the ledger's own rule: what each budget has settled and holds is known in memory.

A balance is what the file still says and this gate has not written yet. Where the file cannot even be read it is what it was when
it was last seen, and what this gate has admitted, settled and released since. Only of a budget that was never seen nothing else
is known. What the policy's `on_failure` then lets through is added up for each person, so that `allow up to` holds.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from spendgate import admission
from spendgate.admission import Admit, Decision, RefusalKind, Refuse, Wait
from spendgate.flow import Tokens
from spendgate.gate.unwritten import Moved, add
from spendgate.ledger.interface import Flowing
from spendgate.ledger.sums import BalanceKey, Sums
from spendgate.policy import OnFailure
from spendgate.rate_memory import RateMemory
from spendgate.standing import KindStanding, Limit, Scope, Size, Standing
from spendgate.usage import Usage

ON_FAILURE = "on_failure"
"""The rule that such a refusal names."""
REMEMBERED_MAX = 4096


@dataclass(frozen=True, slots=True)
class Counts:
    """How many calls were decided without the ledger."""

    allowed: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Without:
    """A call that is decided without the ledger, and what is known of it."""

    standings: tuple[Standing, ...]
    """Of its budgets and rates."""
    kind: KindStanding
    size: Size
    person: str
    nanos: int
    """What it counts as under `allow up to`."""
    on_failure: OnFailure
    why: str
    """Why the ledger does not decide it."""
    room: bool
    """False: its row could not be kept, so that it cannot leave."""
    enforced: bool
    """False: its mode observes, and what `on_failure` says is only told."""
    patient: bool
    """Whether it can wait until others' holds have ended."""


class Fallback:
    """Balances as last seen, with what this gate did since. Bounded: the balances least lately seen are forgotten."""

    def __init__(self) -> None:
        self._seen: OrderedDict[BalanceKey, Sums] = OrderedDict()
        self._limits: OrderedDict[BalanceKey, Limit] = OrderedDict()
        """Of those budgets whose limit moves, as it was last found."""
        self._by_person: dict[str, int] = {}
        self._rates = RateMemory()
        self.counts = Counts()

    def saw(self, standings: Iterable[Standing]) -> None:
        """Remember balances that the ledger has just shown, at a moment when nothing that this gate did is missing in them."""
        for each in standings:
            if each.scope.rate is None:
                sums = Sums(each.settled_nanos, each.held_nanos, each.ceiling_nanos, each.open_calls)
                _remember(self._seen, each.scope.balance, sums)
            if each.limit is not None:
                _remember(self._limits, each.scope.balance, each.limit)

    def moved(self, moved: Moved) -> None:
        """This gate has opened or ended a call: it may be some time before the ledger can show it."""
        seen = self._seen
        for scope, added in moved.each():
            key = scope.balance
            known = seen.get(key)
            if known is None:
                known = Sums()
                _remember(seen, key, known)
            add(known, added)

    def settled(self, charges: Iterable[tuple[Scope, int]]) -> None:
        """Add what was charged for results that nothing was held for."""
        self.moved(Moved(0, None, charges=tuple([each for each in charges if each[1]])))

    def remembered(self, scopes: Iterable[Scope]) -> tuple[Standing, ...]:
        """These budgets where the file cannot be read either; empty where they were never seen."""
        found = []
        for scope in scopes:
            at = self._seen.get(scope.balance) or Sums()
            # A call that was opened before its balance was forgotten takes away what is not there.
            held, ceiling, opened = max(0, at.held), max(0, at.ceiling), max(0, at.open_calls)
            limit = self._limits.get(scope.balance) if scope.moves else None
            found.append(Standing(scope, max(0, at.settled), held, ceiling, opened, 0, limit=limit))
        return tuple(found)

    def spent(self, person: str, nanos: int) -> None:
        """Add what a call that was let through meanwhile has cost, beyond what was counted for it when it was."""
        self._by_person[person] = self._by_person.get(person, 0) + nanos

    def recovered(self) -> None:
        """The ledger writes again: `allow up to`, and what rates count, start anew at the next failure."""
        if self._by_person:
            self._by_person.clear()
            self._rates = RateMemory()

    def rates(self, rates: tuple[Scope, ...], flowing: Flowing | None, held: Iterable[Scope]) -> tuple[Standing, ...]:
        """The rates. They count what was let through since the ledger failed, and for `parallel` what runs: `held` are the scopes
        of all of this gate's calls."""
        if flowing is None:
            return ()
        at_once = Counter((scope.budget, scope.value) for scope in held if scope.rate is not None)
        return tuple(
            replace(each, open_calls=at_once[each.scope.budget, each.scope.value])
            for each in self._rates.standings(rates, flowing.need, flowing.boot_ms)
        )

    def left(self, call_id: str, rates: tuple[Scope, ...], flowing: Flowing | None) -> None:
        """A call that was let through counts in its rates."""
        if flowing is not None:
            self._rates.admitted(call_id, rates, flowing.need, flowing.boot_ms)

    def ended(self, call_id: str, used: Usage, *, sent: bool) -> None:
        """A call that rates counted here has ended."""
        self._rates.ended(call_id, Tokens.of(used), sent=sent)

    def decide(self, call: Without, now_ms: int) -> Decision:
        """Whether it leaves: if its budgets and rates have room, as the ledger would decide, and `on_failure` lets it."""
        decision = self._decided(call, now_ms)
        if isinstance(decision, Admit):
            self.spent(call.person, call.nanos)
            self.counts = Counts(self.counts.allowed + 1, self.counts.refused)
        elif isinstance(decision, Refuse):
            self.counts = Counts(self.counts.allowed, self.counts.refused + 1)
        return decision

    def _decided(self, call: Without, now_ms: int) -> Decision:
        decision = admission.decide(call.standings, call.kind, call.size, now_ms=now_ms, patient=call.patient)
        if isinstance(decision, Refuse):
            return decision
        refuse = self._by_policy(call)
        if refuse is not None and call.enforced:
            return refuse
        if not call.room:
            return Refuse(RefusalKind.FAILURE, ON_FAILURE, f"{call.why} for too long to keep more rows in memory")
        if isinstance(decision, Wait):
            return decision
        return replace(decision, would_refuse=decision.would_refuse or refuse)

    def _by_policy(self, call: Without) -> Refuse | None:
        """What `on_failure` says of a call that has room."""
        if call.on_failure.action == "refuse":
            return Refuse(RefusalKind.FAILURE, ON_FAILURE, f"{call.why}, and the policy then refuses")
        limit, used = call.on_failure.limit_nanos, self._by_person.get(call.person, 0)
        if limit is None or used + call.nanos <= limit:
            return None
        return Refuse(
            RefusalKind.FAILURE,
            ON_FAILURE,
            f"{call.why}, and what the policy then allows a person is used up",
            value=call.person,
            settled_nanos=used,
            held_nanos=0,
            hold_nanos=call.nanos,
            limit_nanos=limit,
        )


def _remember[T](kept: OrderedDict[BalanceKey, T], key: BalanceKey, what: T) -> None:
    kept[key] = what
    kept.move_to_end(key)
    if len(kept) > REMEMBERED_MAX:
        kept.popitem(last=False)
