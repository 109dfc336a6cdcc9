"""History run again: each past call asks the candidate policy when it asked then, holds, runs as long as it ran, and settles.

The decisions are `admission.decide`'s, on the size that the gate knew then and on balances that only the calls admitted here
have moved. Pure: calls go in in their order, an Outcome comes out; the same twice for the same calls.

What history cannot say is assumed, and counted apart: a call that was refused then costs what it was expected to cost, and
runs as long as its kind did on average until then. Of a stream whose hold was corrected while it ran only the first hold is
known; of one with samplings by several models, the last one's model. What rates expect a call to use is what the gate expected
then; where no rate asked (no row says it) what it really used, and of one that was refused then what nothing learned would guess.
Of one on a plan that no budget counted then the list price is what it was expected to need. One that waits longer here is tried
by the size of its last try then (`tries`).
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import count
from math import ceil

from spendgate.admission import Refuse, Wait, decide, who_refuses
from spendgate.ledger.history import Step
from spendgate.policy import Policy
from spendgate.pricing import PriceBook
from spendgate.replay import roomy
from spendgate.replay.books import Located
from spendgate.replay.captured import Captured
from spendgate.replay.holdings import Holdings
from spendgate.replay.outcome import Outcome
from spendgate.replay.past_terms import KnownPast, PastTerms
from spendgate.replay.replayed import FOR_EVER_MS, Replayed, sized, sizes_of
from spendgate.replay.repricing import ADJUSTED, Repricing, resized
from spendgate.replay.telling import Heard, Telling
from spendgate.replay.uncollected import uncollected
from spendgate.replay.untaught import Untaught
from spendgate.selector import PERSONAL
from spendgate.standing import Size

_ENDS, _LOOKS = 0, 1


class Replay:
    """One candidate policy, and the history that it is asked about."""

    def __init__(self, policy: Policy, since_ms: int, prices: PriceBook | None = None) -> None:
        """`prices`: the list that calls are priced anew by; None: the one that is shipped.

        Calls before `since_ms` are not decided again: they only fill the windows that run then."""
        self.outcome = Outcome(since_ms=since_ms)
        self._since_ms = since_ms
        self._policy = policy
        self._holdings = Holdings()
        self._books = self._holdings.books
        self._known = KnownPast(policy)
        self._untaught = Untaught()
        self._repricing = Repricing(prices or PriceBook())
        self._told = Telling(policy, self._books, self._holdings.moving)
        self._events: list[tuple[int, int, int, Replayed]] = []
        self._order = count()
        self._captured = Captured(policy.capture)
        self._waiting: dict[int, Replayed] = {}

    def run(self, steps: Iterable[Step]) -> Outcome:
        """Take every call, then let what still runs end."""
        with uncollected():
            for step in steps:
                self.take(step)
            self._until(FOR_EVER_MS)
        return self.outcome

    def take(self, step: Step) -> None:
        """The next call, in the order in which they asked."""
        self._until(step.arrived_ms)
        self._books.forget(step.arrived_ms)
        if not self._captured.has(step):
            if step.arrived_ms >= self._since_ms:
                self.outcome.passes_unseen(step)
            return
        terms = self._known.of(step)
        call = Replayed(step, terms, self._sized(step, terms), sizes_of(step, terms))
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
            self._refuses(call, refuse, now_ms)
            return
        self._ask(call, now_ms)

    def _refuses(self, call: Replayed, refuse: Refuse, now_ms: int) -> None:
        self._untaught.refused(call.step)
        self.outcome.refuses(call.step, call.terms.person, now_ms, refuse, call.cost_nanos)

    def _ask(self, call: Replayed, now_ms: int) -> None:
        """One try, as `gate.waiting` makes it."""
        if call.sizes:
            call.size = self._untaught.without(call.size_at(now_ms), call.step.kind, now_ms)
        located = self._books.locate(call.scopes(now_ms), now_ms)
        fitting = roomy.holds(located, call.size)
        if fitting is not None:
            self._leave_line(call)
            self._admitted(call, None, now_ms)
            self._runs_until(call, self._holdings.hold_roomy(call, fitting, located, now_ms))
            return
        standings = self._holdings.standings(call, located, now_ms)
        patient = call.until_ms is None or now_ms < call.until_ms
        kind = self._holdings.kind(call.step.kind)
        decision = decide(standings, kind, call.size, now_ms=now_ms, patient=patient)
        if isinstance(decision, Wait):
            self._wait(call, decision, located, now_ms)
            return
        self._leave_line(call)
        if isinstance(decision, Refuse):
            self._hear(self._told.refuses(call, decision.rule, standings, now_ms))
            self._refuses(call, decision, now_ms)
        else:
            self._admitted(call, decision.would_refuse, now_ms)
            holds = [nanos for _, nanos in decision.holds]
            self._runs_until(call, self._holdings.hold(call, zip(standings, holds, strict=True), located, now_ms))

    def _wait(self, call: Replayed, wait: Wait, located: Located, now_ms: int) -> None:
        until_ms = call.step.arrived_ms + wait.wait_ms
        if call.place is None:
            call.place = next(self._order)
            self._waiting[call.place] = call
        # In the line of each balance that has blocked it, for good: as `ledger.waiters`.
        blocking = (wait.scope, *wait.also)
        for at, scope in zip(located.balances, located.scopes, strict=True):
            if scope in blocking and call.place not in at.line:
                at.line.add(call.place)
                call.lines.append(at)
        if call.until_ms is None or until_ms < call.until_ms:
            call.until_ms = until_ms
        # It has waited long enough, a window has slid or ended, or an exception begins or ends: whichever comes first. Where it
        # comes to wait for a budget that lets nobody wait so long, that is now.
        _, steady_ms = self._policy.steady(now_ms)
        looks_ms = max(now_ms, min([call.until_ms, steady_ms, *[at.moves_ms for at in located.balances]]))
        if looks_ms != call.looks_ms:
            call.looks_ms = looks_ms
            heappush(self._events, (looks_ms, _LOOKS, next(self._order), call))

    def _leave_line(self, call: Replayed) -> None:
        if call.place is not None:
            for at in call.lines:
                at.line.discard(call.place)
            self._waiting.pop(call.place, None)
            call.place, call.lines = None, []

    def _admitted(self, call: Replayed, would: Refuse | None, now_ms: int) -> None:
        observed = call.terms.refused(now_ms)
        if observed is not None:
            would = observed if would is None else who_refuses((observed, would))
        self.outcome.admitted(call.step, call.terms.person, now_ms, call.cost_nanos, would)

    def _runs_until(self, call: Replayed, ends_ms: int) -> None:
        heappush(self._events, (ends_ms, _ENDS, next(self._order), call))

    # -- what happens meanwhile ----------------------------------------------------------------------------------

    def _until(self, now_ms: int) -> None:
        """Everything that ends or has waited long enough up to this instant."""
        events = self._events
        while events and events[0][0] <= now_ms:
            at_ms, what, _, call = heappop(events)
            if what == _ENDS:
                if at_ms < FOR_EVER_MS:
                    self._settle(call, at_ms)
            elif call.place is not None and call.looks_ms == at_ms:
                self._ask(call, at_ms)
                if self._waiting and not call.waits():
                    self._wake(at_ms)

    def _settle(self, call: Replayed, now_ms: int) -> None:
        elsewhere = self._holdings.settle(call, now_ms)
        self._hear(self._told.charged(call, now_ms, elsewhere))
        if self._waiting:
            self._wake(now_ms)

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
        return self._untaught.without(size, step.kind, step.arrived_ms)

    # -- what is not decided -------------------------------------------------------------------------------------

    def _remember(self, call: Replayed) -> None:
        """A call before the time asked about: what it cost counts in the windows that still run."""
        self.outcome.before += 1
        step = call.step
        if step.held_nanos is not None or step.refused_by is not None:
            self._holdings.fix(call)
        if step.refused_by is not None:
            return
        if step.held_nanos is None:
            self._charge_result(call)
            return
        self._runs_until(call, self._holdings.hold_as_then(call))

    def _charge_at_once(self, call: Replayed) -> None:
        """A result that was read back: charged without having been held."""
        self.outcome.cost_then_nanos += call.step.cost_nanos or 0
        self.outcome.cost_nanos += call.cost_nanos
        self._charge_result(call)

    def _charge_result(self, call: Replayed) -> None:
        elsewhere = self._holdings.charge(call)
        self._hear(self._told.charged(call, call.booked_ms, elsewhere))

    def _hear(self, heard: Iterable[Heard]) -> None:
        """Alerts; those of the time before the one asked about are over."""
        for alert, told in heard:
            if alert.at_ms >= self._since_ms:
                self.outcome.alerted(alert, told)

    def _reprice(self, call: Replayed) -> None:
        """At the candidate's prices. The policy of then is known by what the row says of it."""
        found = self._repricing.of(call.step, call.terms.changes, counted=call.terms.counts)
        if found.size_factor != 1:
            call.resize(lambda size: resized(size, found.size_factor))
        step = call.step
        if found.cost_nanos != step.cost_nanos:
            self.outcome.repriced += step.arrived_ms >= self._since_ms
            call.priced_nanos = found.cost_nanos
        if step.estimate_nanos is not None:
            call.expected_nanos = ceil(step.estimate_nanos * found.size_factor)
        self.outcome.unpriced += found.unknown and step.arrived_ms >= self._since_ms
