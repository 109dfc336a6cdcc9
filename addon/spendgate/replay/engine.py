"""History run again: each past call asks the candidate policy when it asked then, holds, runs as long as it ran, and settles.

The decisions are `admission.decide`'s, on the size that the gate knew then and on balances that only the calls admitted here
have moved. Pure: calls go in in their order, an Outcome comes out; the same twice for the same calls.

What history cannot say is assumed, and counted apart: a call that was refused then costs what it was expected to cost, and
runs as long as its kind did on average until then. Of a stream whose hold was corrected while it ran only the first hold is
known; of one with samplings by several models, the last one's model. What rates expect a call to use is what the gate expected
then; where no rate asked (no row says it) what it really used, and of one that was refused then what nothing learned would guess.
Of one on a plan that no budget counted then the list price is what it was expected to need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from math import ceil
from typing import Final

from msgspec.structs import replace

from spendgate.admission import Admit, Refuse, Wait, decide, who_refuses
from spendgate.alerts.rules import looks_back_to
from spendgate.ledger.history import Step
from spendgate.policy import Policy
from spendgate.pricing import PriceBook
from spendgate.rate_memory import RateMemory
from spendgate.replay.books import Balance, Books, kind_standing
from spendgate.replay.moving import Moving
from spendgate.replay.outcome import Outcome
from spendgate.replay.past_terms import KnownPast, PastTerms
from spendgate.replay.replayed import Replayed, sized
from spendgate.replay.repricing import ADJUSTED, Repricing, resized
from spendgate.replay.telling import Heard, Telling
from spendgate.selector import PERSONAL
from spendgate.standing import Hold, Scope, Size, Standing
from spendgate.window import DAY_MS

_ENDS, _LOOKS = 0, 1
_FOR_EVER_MS: Final = 2**62
_AT_ONCE_MS: Final = DAY_MS
"""So long before the time asked about calls are looked for that may still run then, for rates of calls at once."""


class Replay:
    """One candidate policy, and the history that it is asked about."""

    def __init__(self, policy: Policy, since_ms: int, prices: PriceBook | None = None) -> None:
        """`prices`: the list that calls are priced anew by; None: the one that is shipped.

        Calls before `since_ms` are not decided again: they only fill the windows that run then."""
        self.outcome = Outcome(since_ms=since_ms)
        self._since_ms = since_ms
        self._policy = policy
        self._books = Books()
        self._moving = Moving(self._books)
        self._rates = RateMemory()
        self._known = KnownPast(policy)
        self._repricing = Repricing(prices or PriceBook())
        self._told = Telling(policy, self._books, self._moving)
        self._events: list[tuple[int, int, int, Replayed]] = []
        self._order = count()
        self._waiting: dict[int, Replayed] = {}
        self._lasts: dict[str, tuple[int, int]] = {}
        """By kind: how many calls have ended, and how long they took in all, in milliseconds."""

    def run(self, steps: Iterable[Step]) -> Outcome:
        """Take every call, then let what still runs end."""
        for step in steps:
            self.take(step)
        self._until(_FOR_EVER_MS)
        return self.outcome

    def take(self, step: Step) -> None:
        """The next call, in the order in which they asked."""
        self._until(step.arrived_ms)
        self._books.forget(step.arrived_ms)
        terms = self._known.of(step)
        if not terms.captured:
            self.outcome.uncaptured += step.arrived_ms >= self._since_ms
            return
        call = Replayed(step, terms, self._sized(step, terms))
        adjusted = bool(terms.changes) or (step.prices is not None and ADJUSTED in step.prices)
        if (adjusted and not terms.on_plan) or step.billing == PERSONAL:
            self._reprice(call)
        if step.arrived_ms < self._since_ms:
            self._remember(call)
        elif step.held_nanos is None and step.refused_by is None:
            self._charge_at_once(call)
        else:
            self.outcome.begin(step)
            self._decide(call, step.arrived_ms)
            if self._waiting and call.entries:
                self._wake(step.arrived_ms)

    # -- deciding ------------------------------------------------------------------------------------------------

    def _decide(self, call: Replayed, now_ms: int) -> None:
        terms = call.terms
        refuse = terms.refused(now_ms) if terms.enforced else None
        if refuse is not None:
            self.outcome.refuses(call.step, terms.person, now_ms, refuse, call.cost_nanos)
            return
        self._ask(call, now_ms)

    def _ask(self, call: Replayed, now_ms: int) -> None:
        """One try, as `gate.waiting` makes it."""
        scopes = (*call.terms.scopes(now_ms), *call.rates)
        located = self._books.locate(scopes, now_ms)
        kind = call.step.kind
        standings = self._standings(call, scopes, located, now_ms)
        patient = call.until_ms is None or now_ms < call.until_ms
        decision = decide(
            standings, kind_standing(kind, self._books.kind(kind)), call.size, now_ms=now_ms, patient=patient
        )
        if isinstance(decision, Wait):
            self._wait(call, decision, scopes, located, now_ms)
            return
        self._leave_line(call)
        if isinstance(decision, Refuse):
            self._hear(self._told.refuses(call, decision.rule, standings, now_ms))
            self.outcome.refuses(call.step, call.terms.person, now_ms, decision, call.cost_nanos)
        else:
            for standing, (_, hold_nanos) in zip(standings, decision.holds, strict=True):
                self._moving.claim(standing, hold_nanos, now_ms)
            self._open(call, decision, located, now_ms)

    def _standings(
        self, call: Replayed, scopes: tuple[Scope, ...], located: list[Balance], now_ms: int
    ) -> tuple[Standing, ...]:
        """As `ledger.deciding` finds them: limits as they are now, what rates have counted, and who is before this call."""
        found = []
        rated = iter(self._rates.standings(call.rates, call.need, now_ms))
        for at, scope in zip(located, scopes, strict=True):
            if scope.rate is not None:
                standing = replace(next(rated), ahead=at.ahead(call.place))
            else:
                standing = at.standing(scope, call.place)
            if scope.moves:
                ahead = 0 if self._moving.has_own(scope, now_ms) else standing.ahead
                standing = replace(standing, ahead=ahead, limit=self._moving.limit(scope, now_ms))
            found.append(standing)
        return tuple(found)

    def _wait(self, call: Replayed, wait: Wait, scopes: tuple[Scope, ...], located: list[Balance], now_ms: int) -> None:
        until_ms = call.step.arrived_ms + wait.wait_ms
        if call.place is None:
            call.place = next(self._order)
            self._waiting[call.place] = call
        for at in call.lines:
            at.line.discard(call.place)
        blocking = (wait.scope, *wait.also)
        call.lines = [at for at, scope in zip(located, scopes, strict=True) if scope in blocking]
        for at in call.lines:
            at.line.add(call.place)
        if call.until_ms is None or until_ms < call.until_ms:
            call.until_ms = until_ms
        # It has waited long enough, a window has slid or ended, or an exception begins or ends: whichever comes first.
        _, steady_ms = self._policy.steady(now_ms)
        looks_ms = min([call.until_ms, steady_ms, *[at.moves_ms for at in located]])
        if looks_ms != call.looks_ms:
            call.looks_ms = looks_ms
            heappush(self._events, (looks_ms, _LOOKS, next(self._order), call))

    def _leave_line(self, call: Replayed) -> None:
        if call.place is not None:
            for at in call.lines:
                at.line.discard(call.place)
            self._waiting.pop(call.place, None)
            call.place, call.lines = None, []

    def _open(self, call: Replayed, admit: Admit, located: list[Balance], now_ms: int) -> None:
        would, observed = admit.would_refuse, call.terms.refused(now_ms)
        if observed is not None:
            would = observed if would is None else who_refuses((observed, would))
        self.outcome.admitted(call.step, call.terms.person, now_ms, call.cost_nanos, would)
        ceiling = call.size.ceiling_nanos
        call.entries = [
            at.add(now_ms, nanos, nanos if ceiling is None else max(ceiling, nanos))
            for (scope, nanos), at in zip(admit.holds, located, strict=True)
            if scope.rate is None
        ]
        self._runs(call, now_ms)

    def _runs(self, call: Replayed, booked_ms: int) -> None:
        call.booked_ms = booked_ms
        if call.rates:
            self._rates.admitted(call.step.id, call.rates, call.need, booked_ms)
        self._books.kind(call.step.kind).open_calls += 1
        ends_ms = booked_ms + self._lasts_ms(call.step)
        heappush(self._events, (ends_ms, _ENDS, next(self._order), call))

    def _lasts_ms(self, step: Step) -> int:
        """How long it runs: as it did then, for ever where it has not ended yet."""
        if step.ended_ms is not None and step.refused_by is None:
            return max(0, step.ended_ms - step.booked_ms)
        if step.refused_by is None:
            return _FOR_EVER_MS
        calls, total_ms = self._lasts.get(step.kind, (0, 0))
        return total_ms // calls if calls else 0

    # -- what happens meanwhile ----------------------------------------------------------------------------------

    def _until(self, now_ms: int) -> None:
        """Everything that ends or has waited long enough up to this instant."""
        events = self._events
        while events and events[0][0] <= now_ms:
            at_ms, what, _, call = heappop(events)
            if what == _ENDS:
                if at_ms < _FOR_EVER_MS:
                    self._settle(call, at_ms)
            elif call.place is not None and call.looks_ms == at_ms:
                self._ask(call, at_ms)
                if self._waiting and not call.waits():
                    self._wake(at_ms)

    def _settle(self, call: Replayed, now_ms: int) -> None:
        step, cost, entries = call.step, call.charge_nanos, call.entries
        if call.rates:
            self._rates.ended(step.id, call.used, sent=call.left)
        elsewhere = call.terms.elsewhere(step, call.booked_ms) if cost else None
        if elsewhere is None:
            for entry in entries:
                entry.end(cost)
        else:
            self._settle_elsewhere(call, elsewhere, cost, now_ms)
        self._hear(self._told.charged(call, now_ms, elsewhere))
        self._end_of_kind(step)
        if self._waiting:
            self._wake(now_ms)

    def _settle_elsewhere(self, call: Replayed, charged: tuple[Scope, ...], cost: int, now_ms: int) -> None:
        """Another model answered: what held and what is charged are not the same budgets."""
        located = self._books.locate(charged, now_ms)
        held = {id(entry.balance): entry for entry in call.entries}
        for at in located:
            entry = held.pop(id(at), None) or at.add(call.booked_ms, 0, 0)
            entry.end(cost)
        for entry in held.values():
            entry.end(0)

    def _end_of_kind(self, step: Step) -> None:
        kind = self._books.kind(step.kind)
        kind.open_calls -= 1
        # What had no value does not show what its kind costs, as in `ledger.endings`.
        kind.settled += step.state == "settled" and (step.value_nanos or 0) > 0
        if step.ended_ms is not None and step.refused_by is None:
            calls, total_ms = self._lasts.get(step.kind, (0, 0))
            self._lasts[step.kind] = calls + 1, total_ms + max(0, step.ended_ms - step.booked_ms)

    def _wake(self, now_ms: int) -> None:
        """Something was held or settled: whoever is first in a line asks again, first come first, until nothing moves.

        The gate looks at once where a hold has ended, and within a tenth of a second for anything else.
        """
        moved = True
        while moved:
            moved = False
            for place, call in list(self._waiting.items()):
                if any(min(at.line) == place for at in call.lines):
                    self._ask(call, now_ms)
                    moved = moved or call.place is None

    def _sized(self, step: Step, terms: PastTerms) -> Size:
        size, known = sized(step, terms)
        self.outcome.unsized += not known
        return size

    # -- what is not decided -------------------------------------------------------------------------------------

    def _remember(self, call: Replayed) -> None:
        """A call before the time asked about: what it cost counts in the windows that still run."""
        self.outcome.before += 1
        step = call.step
        if step.held_nanos is not None or step.refused_by is not None:
            self._fix(call)
        if step.refused_by is not None:
            return
        if step.held_nanos is None:
            self._charge_result(call)
            return
        at_ms, ceiling = step.booked_ms, call.size.ceiling_nanos
        scopes = (*call.terms.scopes(at_ms), *call.rates)
        located = self._books.locate(scopes, at_ms)
        standings = self._standings(call, scopes, located, at_ms)
        for (standing, nanos), at in zip(self._held(call, standings), located, strict=True):
            self._moving.claim(standing, nanos, at_ms)
            if standing.scope.rate is None:
                call.entries.append(at.add(at_ms, nanos, max(nanos, ceiling or 0)))
        self._runs(call, at_ms)

    def _held(self, call: Replayed, standings: tuple[Standing, ...]) -> list[tuple[Standing, int]]:
        """What a call that left before the time asked about held in each budget: as this policy would have sized it, and where it
        would have refused it what its row says."""
        kind, ceiling = self._books.kind(call.step.kind), call.size.ceiling_nanos
        decision = decide(
            standings, kind_standing(call.step.kind, kind), call.size, now_ms=call.step.booked_ms, patient=False
        )
        if isinstance(decision, Admit):
            return [(each, nanos) for each, (_, nanos) in zip(standings, decision.holds, strict=True)]
        told = call.step.held_nanos or 0
        by_ceiling = told if ceiling is None else ceiling
        return [(each, by_ceiling if each.scope.hold is Hold.CEILING else told) for each in standings]

    def _fix(self, call: Replayed) -> None:
        """Means are those of the day's first call, also where that one is not decided again."""
        at_ms = call.step.arrived_ms
        for scope in call.terms.scopes(at_ms):
            if scope.mean is not None:
                self._moving.limit(scope, at_ms)

    def _charge_at_once(self, call: Replayed) -> None:
        """A result that was read back: charged without having been held."""
        self.outcome.cost_then_nanos += call.step.cost_nanos or 0
        self.outcome.cost_nanos += call.cost_nanos
        self._charge_result(call)

    def _charge_result(self, call: Replayed) -> None:
        step, terms = call.step, call.terms
        elsewhere = terms.elsewhere(step, step.booked_ms)
        charged = terms.scopes(step.booked_ms) if elsewhere is None else elsewhere
        for at in self._books.locate(charged, step.booked_ms):
            at.add(step.booked_ms, 0, 0).end(call.charge_nanos)
        call.booked_ms = step.booked_ms
        self._hear(self._told.charged(call, step.booked_ms, elsewhere))

    def _hear(self, heard: Iterable[Heard]) -> None:
        """Alerts; those of the time before the one asked about are over."""
        for alert, told in heard:
            if alert.at_ms >= self._since_ms:
                self.outcome.alerted(alert, told)

    def _reprice(self, call: Replayed) -> None:
        """At the candidate's prices. The policy of then is known by what the row says of it."""
        found = self._repricing.of(call.step, call.terms.changes, counted=call.terms.counts)
        call.size = resized(call.size, found.size_factor)
        step = call.step
        if found.cost_nanos != step.cost_nanos:
            self.outcome.repriced += step.arrived_ms >= self._since_ms
            call.priced_nanos = found.cost_nanos
        if step.estimate_nanos is not None:
            call.expected_nanos = ceil(step.estimate_nanos * found.size_factor)
        self.outcome.unpriced += found.unknown and step.arrived_ms >= self._since_ms


Steps = Callable[[int], Iterable[Step]]
"""Every step booked from this instant on."""


def replay(policy: Policy, since_ms: int, steps: Steps, prices: PriceBook | None = None) -> Outcome:
    """Run the history since `since_ms` through `policy`, its windows filled with what came before. `prices` as in `Replay`."""
    found = [starts for draw, _ in policy.draws for _, _, starts in draw.counted_since(since_ms)]
    found.append(looks_back_to(policy, since_ms))
    for limits in (draw.rate for draw in policy.rate_draws):
        if limits is not None:
            found.append(since_ms - max(limits.longest_ms, 0 if limits.parallel is None else _AT_ONCE_MS))
    return Replay(policy, since_ms, prices).run(steps(max(0, min(found))))
