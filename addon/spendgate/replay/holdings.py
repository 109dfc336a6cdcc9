"""What history holds and has settled while it runs again: to the replay what the ledger is to the gate.

Balances, rates, limits that move, and how many calls of a kind run, change together here: when a call holds, when it ends,
and when the result of one that never held is read back.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from spendgate.admission import Admit, decide
from spendgate.ledger.history import Step
from spendgate.rate_memory import RateMemory
from spendgate.replay.books import Books, Located, kind_standing
from spendgate.replay.moving import Moving
from spendgate.replay.replayed import FOR_EVER_MS, Replayed
from spendgate.standing import Hold, KindStanding, Scope, Standing

Held = Iterable[tuple[Standing, int]]
"""What a call holds in each balance that it draws on, in nano-dollars."""


class Holdings:
    """Of one replay."""

    def __init__(self) -> None:
        self.books = Books()
        self.moving = Moving(self.books)
        self._rates = RateMemory()
        self._lasts: dict[str, tuple[int, int]] = {}
        """By kind: how many calls have ended, and how long they took in all, in milliseconds."""

    def standings(self, call: Replayed, located: Located, now_ms: int) -> tuple[Standing, ...]:
        """As `ledger.deciding` finds them: limits as they are now, what rates have counted, and who is before this call."""
        found = []
        rated = iter(self._rates.standings(call.rates, call.need, now_ms))
        for at, scope in zip(located.balances, located.scopes, strict=True):
            if scope.rate is not None:
                standing = replace(next(rated), ahead=at.ahead(call.place))
            else:
                standing = at.standing(scope, call.place)
            if scope.moves:
                ahead = 0 if self.moving.has_own(scope, now_ms) else standing.ahead
                standing = replace(standing, ahead=ahead, limit=self.moving.limit(scope, now_ms))
            found.append(standing)
        return tuple(found)

    def kind(self, name: str) -> KindStanding:
        """How many calls of a kind have settled, and how many run."""
        return kind_standing(name, self.books.kind(name))

    # -- a call holds, and ends ----------------------------------------------------------------------------------

    def hold(self, call: Replayed, held: Held, located: Located, now_ms: int) -> int:
        """The call leaves. When it will end, in epoch milliseconds."""
        ceiling, call.booked_ms = call.size.ceiling_nanos or 0, now_ms
        for (standing, nanos), at in zip(held, located.balances, strict=True):
            if standing.limit is not None:
                self.moving.claim(standing, nanos, now_ms)
            if standing.scope.rate is None:
                call.entries.append(at.add(now_ms, nanos, max(ceiling, nanos)))
        if call.rates:
            self._rates.admitted(call.step.id, call.rates, call.need, now_ms)
        self.books.kind(call.step.kind).open_calls += 1
        return now_ms + self._lasts_ms(call.step)

    def hold_roomy(self, call: Replayed, nanos: list[int], located: Located, now_ms: int) -> int:
        """As `hold`, where `roomy` has found that it fits, and what it holds in each balance."""
        bound, call.booked_ms = call.size.ceiling_nanos or 0, now_ms
        call.entries = [at.add(now_ms, each, bound) for at, each in zip(located.balances, nanos, strict=True)]
        self.books.kind(call.step.kind).open_calls += 1
        return now_ms + self._lasts_ms(call.step)

    def hold_as_then(self, call: Replayed) -> int:
        """As `hold`, of a call that left before anything is decided: as this policy would have sized it, and where it would have
        refused it what its row says."""
        at_ms = call.step.booked_ms
        scopes = call.scopes(at_ms)
        located = self.books.locate(scopes, at_ms)
        standings = self.standings(call, located, at_ms)
        decision = decide(standings, self.kind(call.step.kind), call.size, now_ms=at_ms, patient=False)
        if isinstance(decision, Admit):
            holds = [nanos for _, nanos in decision.holds]
        else:
            told = call.step.held_nanos or 0
            by_ceiling = told if call.size.ceiling_nanos is None else call.size.ceiling_nanos
            holds = [by_ceiling if each.scope.hold is Hold.CEILING else told for each in standings]
        return self.hold(call, zip(standings, holds, strict=True), located, at_ms)

    def settle(self, call: Replayed, now_ms: int) -> tuple[Scope, ...] | None:
        """The call ends. What it is charged in, where that is not what it held in."""
        step, cost = call.step, call.charge_nanos
        if call.rates:
            self._rates.ended(step.id, call.used, sent=call.left)
        elsewhere = call.terms.elsewhere(step, call.booked_ms) if cost else None
        if elsewhere is None:
            for entry in call.entries:
                entry.end(cost)
        else:
            self._settle_elsewhere(call, elsewhere, cost, now_ms)
        self._end_of_kind(step)
        return elsewhere

    def charge(self, call: Replayed) -> tuple[Scope, ...] | None:
        """A result that was read back: charged without having been held. As `settle`."""
        step, terms = call.step, call.terms
        call.booked_ms = step.booked_ms
        elsewhere = terms.elsewhere(step, step.booked_ms)
        charged = terms.scopes(step.booked_ms) if elsewhere is None else elsewhere
        for at in self.books.locate(charged, step.booked_ms).balances:
            at.add(step.booked_ms, 0, 0).end(call.charge_nanos)
        return elsewhere

    def fix(self, call: Replayed) -> None:
        """Means are those of the day's first call, also where that one is not decided again."""
        at_ms = call.step.arrived_ms
        for scope in call.terms.scopes(at_ms):
            if scope.mean is not None:
                self.moving.limit(scope, at_ms)

    def _settle_elsewhere(self, call: Replayed, charged: tuple[Scope, ...], cost: int, now_ms: int) -> None:
        """Another model answered: what held and what is charged are not the same budgets."""
        located = self.books.locate(charged, now_ms).balances
        held = {id(entry.balance): entry for entry in call.entries}
        for at in located:
            entry = held.pop(id(at), None) or at.add(call.booked_ms, 0, 0)
            entry.end(cost)
        for entry in held.values():
            entry.end(0)

    # -- how long a call runs ------------------------------------------------------------------------------------

    def _lasts_ms(self, step: Step) -> int:
        """How long it runs: as it did then, for ever where it has not ended yet."""
        if step.ended_ms is not None and step.refused_by is None:
            return max(0, step.ended_ms - step.booked_ms)
        if step.refused_by is None:
            return FOR_EVER_MS
        calls, total_ms = self._lasts.get(step.kind, (0, 0))
        return total_ms // calls if calls else 0

    def _end_of_kind(self, step: Step) -> None:
        kind = self.books.kind(step.kind)
        kind.open_calls -= 1
        # What had no value does not show what its kind costs, as in `ledger.endings`.
        kind.settled += step.state == "settled" and (step.value_nanos or 0) > 0
        if step.ended_ms is not None and step.refused_by is None:
            calls, total_ms = self._lasts.get(step.kind, (0, 0))
            self._lasts[step.kind] = calls + 1, total_ms + max(0, step.ended_ms - step.booked_ms)
