"""Deciding without the ledger: the policy's `on_failure`, from the balances as they were last seen, or can still be read.

A budget that was spent stays spent. What is allowed meanwhile is added up for each budget and person, so that `allow up to`
holds; each decision is counted and each call's row is written when the ledger is back.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from spendgate.admission import RefusalKind, Refuse, decide
from spendgate.flow import Tokens
from spendgate.ledger.interface import Flowing
from spendgate.policy import OnFailure
from spendgate.rate_memory import RateMemory
from spendgate.standing import KindStanding, Scope, Size, Standing
from spendgate.usage import Usage

ON_FAILURE = "on_failure"
"""The rule that such a refusal names."""
REMEMBERED_MAX = 4096

_Key = tuple[str, str, str]
_UNSIZED = Size(ceiling_nanos=None, learned_nanos=None)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many calls were decided without the ledger."""

    allowed: int = 0
    refused: int = 0


class Verdict(NamedTuple):
    """What becomes of a call that is decided without the ledger."""

    refuse: Refuse | None
    """None: it leaves."""
    would: Refuse | None
    """What `on_failure` says of it, whether its mode enforces that or not."""


class Fallback:
    """Balances as last seen, and what was allowed since. Bounded: the balances least lately seen are forgotten."""

    def __init__(self) -> None:
        self._settled: OrderedDict[_Key, int] = OrderedDict()
        self._limits: OrderedDict[_Key, int] = OrderedDict()
        """Of those budgets whose limit moves, as it was last found."""
        self._by_person: dict[str, int] = {}
        self._rates = RateMemory()
        self.counts = Counts()

    def saw(self, standings: Iterable[Standing]) -> None:
        """Remember balances that the ledger has just shown."""
        for standing in standings:
            if standing.scope.rate is None:
                self._put(standing.scope, standing.settled_nanos)
            if standing.limit is not None:
                _remember(self._limits, _key(standing.scope), standing.limit.nanos)

    def told(self, scopes: Iterable[Scope], settled: Iterable[int]) -> None:
        """A ledger that cannot be written can still be read: what it says is spent there is, whoever spent it. What is
        remembered may be more, since not all of it is written."""
        for scope, nanos in zip(scopes, settled, strict=True):
            self._put(scope, max(nanos, self._settled.get(_key(scope), 0)))

    def spent(self, scopes: Iterable[Scope], nanos: int, person: str) -> None:
        """Add what a call that was let through meanwhile has cost, beyond what was counted for it when it was."""
        for scope in scopes:
            self._put(scope, self._settled.get(_key(scope), 0) + nanos)
        self._by_person[person] = self._by_person.get(person, 0) + nanos

    def settled(self, charges: Iterable[tuple[Scope, int]]) -> None:
        """Add what a call has cost that the ledger had let through: it may be some time before the ledger can show it."""
        for scope, nanos in charges:
            if nanos:
                self._put(scope, self._settled.get(_key(scope), 0) + nanos)

    def recovered(self) -> None:
        """The ledger writes again: `allow up to`, and what rates count, start anew at the next failure."""
        if self._by_person:
            self._by_person.clear()
            self._rates = RateMemory()

    def rate_refusal(
        self, rates: tuple[Scope, ...], flowing: Flowing | None, held: Iterable[Scope], now_ms: int
    ) -> Refuse | None:
        """None: the rates have room. They count what was let through since the ledger failed, and for `parallel` what runs:
        `held` are the scopes of all of this gate's calls."""
        if flowing is None:
            return None
        at_once = Counter((scope.budget, scope.value) for scope in held if scope.rate is not None)
        standings = tuple(
            replace(each, open_calls=at_once[each.scope.budget, each.scope.value])
            for each in self._rates.standings(rates, flowing.need, flowing.boot_ms)
        )
        decision = decide(standings, KindStanding(""), _UNSIZED, now_ms=now_ms, patient=False)
        return decision if isinstance(decision, Refuse) else None

    def left(self, call_id: str, rates: tuple[Scope, ...], flowing: Flowing | None) -> None:
        """A call that was let through counts in its rates."""
        if flowing is not None:
            self._rates.admitted(call_id, rates, flowing.need, flowing.boot_ms)

    def ended(self, call_id: str, used: Usage, *, sent: bool) -> None:
        """A call that rates counted here has ended."""
        self._rates.ended(call_id, Tokens.of(used), sent=sent)

    def decide(
        self, scopes: tuple[Scope, ...], hold_nanos: int, person: str, on_failure: OnFailure, *, why: str, room: bool,
        enforced: bool = True,
    ) -> Verdict:  # fmt: skip
        """Whether to let it through, counted with `hold_nanos`. `room` False: its row could not be kept, so that nobody leaves.
        `enforced` False: its mode observes, and what `on_failure` says is only told."""
        would = self._refusal(scopes, hold_nanos, person, on_failure, why=why)
        refuse = would if enforced else None
        if refuse is None and not room:
            refuse = Refuse(RefusalKind.FAILURE, ON_FAILURE, f"{why} for too long to keep more rows in memory")
        if refuse is None:
            self.spent(scopes, hold_nanos, person)
            self.counts = Counts(self.counts.allowed + 1, self.counts.refused)
        else:
            self.counts = Counts(self.counts.allowed, self.counts.refused + 1)
        return Verdict(refuse, would)

    def _refusal(
        self, scopes: tuple[Scope, ...], hold_nanos: int, person: str, on_failure: OnFailure, *, why: str
    ) -> Refuse | None:
        for scope in scopes:
            settled = self._settled.get(_key(scope), 0)
            allowed = self._limits.get(_key(scope), scope.limit_nanos) if scope.moves else scope.limit_nanos
            if scope.enforced and settled >= allowed:
                return _spent(scope, settled, allowed)
        if on_failure.action == "refuse":
            return Refuse(RefusalKind.FAILURE, ON_FAILURE, f"{why}, and the policy then refuses")
        limit, used = on_failure.limit_nanos, self._by_person.get(person, 0)
        if limit is not None and used + hold_nanos > limit:
            return Refuse(
                RefusalKind.FAILURE,
                ON_FAILURE,
                f"{why}, and what the policy then allows a person is used up",
                value=person,
                settled_nanos=used,
                held_nanos=0,
                hold_nanos=hold_nanos,
                limit_nanos=limit,
            )
        return None

    def _put(self, scope: Scope, nanos: int) -> None:
        _remember(self._settled, _key(scope), nanos)


def _remember(kept: OrderedDict[_Key, int], key: _Key, nanos: int) -> None:
    kept[key] = nanos
    kept.move_to_end(key)
    if len(kept) > REMEMBERED_MAX:
        kept.popitem(last=False)


def _key(scope: Scope) -> _Key:
    return scope.budget, scope.value, scope.window


def _spent(scope: Scope, settled: int, limit: int) -> Refuse:
    return Refuse(
        RefusalKind.SPENT,
        scope.budget,
        "the budget is spent",
        value=scope.value,
        settled_nanos=settled,
        held_nanos=0,
        hold_nanos=1,
        limit_nanos=limit,
        resets_ms=scope.ends_ms,
    )
