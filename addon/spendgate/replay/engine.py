"""History run again: each past call asks the candidate policy when it asked then, holds, runs as long as it ran, and settles.

The decisions are `admission.decide`'s, on the size that the gate knew then and on balances that only the calls admitted here
have moved. Pure: calls go in in their order, an Outcome comes out; the same twice for the same calls.

What history cannot say is assumed, and counted apart: a call that was refused then costs what it was expected to cost, and
runs as long as its kind did on average until then. Of a stream whose hold was corrected while it ran only the first hold is
known; of one with samplings by several models, the last one's model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Final

from spendgate.admission import Admit, Refuse, Wait, decide, who_refuses
from spendgate.alerts.rules import looks_back_to
from spendgate.ledger.history import Step
from spendgate.policy import Policy
from spendgate.replay.books import Balance, Books, Entry, kind_standing
from spendgate.replay.outcome import Outcome
from spendgate.replay.past_terms import KnownPast, PastTerms
from spendgate.replay.telling import Heard, Telling
from spendgate.standing import UNSIZED, Hold, Scope, Size

_ENDS, _LOOKS = 0, 1
_FOR_EVER_MS: Final = 2**62


class _Call:
    """One call that asks, waits or runs."""

    __slots__ = (
        "booked_ms", "entries", "lines", "looks_ms", "place", "size", "step", "terms", "until_ms",
    )  # fmt: skip

    def __init__(self, step: Step, terms: PastTerms, size: Size) -> None:
        self.step, self.terms, self.size = step, terms, size
        self.booked_ms = 0
        self.entries: list[Entry] = []
        self.place: int | None = None
        self.until_ms: int | None = None
        self.looks_ms = -1
        self.lines: list[Balance] = []

    def waits(self) -> bool:
        """Whether it stands in line."""
        return self.place is not None


class Replay:
    """One candidate policy, and the history that it is asked about."""

    def __init__(self, policy: Policy, since_ms: int) -> None:
        """Calls before `since_ms` are not decided again: they only fill the windows that run then."""
        self.outcome = Outcome(since_ms=since_ms)
        self._since_ms = since_ms
        self._policy = policy
        self._books = Books()
        self._known = KnownPast(policy)
        self._told = Telling(policy, self._books)
        self._events: list[tuple[int, int, int, _Call]] = []
        self._order = count()
        self._waiting: dict[int, _Call] = {}
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
        call = _Call(step, terms, self._size(step))
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

    def _decide(self, call: _Call, now_ms: int) -> None:
        terms = call.terms
        if terms.refusal is not None and terms.enforced:
            self.outcome.refuses(call.step, terms.person, now_ms, terms.refusal, _cost(call))
            return
        self._ask(call, now_ms)

    def _ask(self, call: _Call, now_ms: int) -> None:
        """One try, as `gate.waiting` makes it."""
        scopes = call.terms.scopes(now_ms)
        located = self._books.locate(scopes, now_ms)
        kind = call.step.kind
        standings = tuple([at.standing(scope, call.place) for at, scope in zip(located, scopes, strict=True)])
        patient = call.until_ms is None or now_ms < call.until_ms
        decision = decide(
            standings, kind_standing(kind, self._books.kind(kind)), call.size, now_ms=now_ms, patient=patient
        )
        if isinstance(decision, Wait):
            self._wait(call, decision, scopes, located, now_ms)
            return
        self._leave_line(call)
        if isinstance(decision, Refuse):
            self._hear(self._told.refuses(call.terms.facts, decision.rule, scopes, located, now_ms))
            self.outcome.refuses(call.step, call.terms.person, now_ms, decision, _cost(call))
        else:
            self._open(call, decision, located, now_ms)

    def _wait(self, call: _Call, wait: Wait, scopes: tuple[Scope, ...], located: list[Balance], now_ms: int) -> None:
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
        # It has waited long enough, or a window has slid or ended: whichever comes first.
        looks_ms = min([call.until_ms, *[at.moves_ms for at in located]])
        if looks_ms != call.looks_ms:
            call.looks_ms = looks_ms
            heappush(self._events, (looks_ms, _LOOKS, next(self._order), call))

    def _leave_line(self, call: _Call) -> None:
        if call.place is not None:
            for at in call.lines:
                at.line.discard(call.place)
            self._waiting.pop(call.place, None)
            call.place, call.lines = None, []

    def _open(self, call: _Call, admit: Admit, located: list[Balance], now_ms: int) -> None:
        would, observed = admit.would_refuse, call.terms.refusal
        if observed is not None:
            would = observed if would is None else who_refuses((observed, would))
        self.outcome.admitted(call.step, call.terms.person, now_ms, _cost(call), would)
        ceiling = call.size.ceiling_nanos
        call.entries = [
            at.add(now_ms, nanos, nanos if ceiling is None else max(ceiling, nanos))
            for (_, nanos), at in zip(admit.holds, located, strict=True)
        ]
        self._runs(call, now_ms)

    def _runs(self, call: _Call, booked_ms: int) -> None:
        call.booked_ms = booked_ms
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

    def _settle(self, call: _Call, now_ms: int) -> None:
        step, cost, entries = call.step, _cost(call), call.entries
        elsewhere = call.terms.elsewhere(step, call.booked_ms) if cost else None
        if elsewhere is None:
            for entry in entries:
                entry.end(cost)
        else:
            self._settle_elsewhere(call, elsewhere, cost, now_ms)
        self._hear(self._told.charged(step, call.terms, (call.booked_ms, now_ms), cost, elsewhere))
        self._end_of_kind(step)
        if self._waiting:
            self._wake(now_ms)

    def _settle_elsewhere(self, call: _Call, charged: tuple[Scope, ...], cost: int, now_ms: int) -> None:
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

    # -- what is not decided -------------------------------------------------------------------------------------

    def _remember(self, call: _Call) -> None:
        """A call before the time asked about: what it cost counts in the windows that still run."""
        self.outcome.before += 1
        step = call.step
        if step.refused_by is not None:
            return
        if step.held_nanos is None:
            self._charge(call)
            return
        scopes = call.terms.scopes(step.booked_ms)
        ceiling = call.size.ceiling_nanos
        for scope, at in zip(scopes, self._books.locate(scopes, step.booked_ms), strict=True):
            held = ceiling if scope.hold is Hold.CEILING and ceiling is not None else step.held_nanos
            call.entries.append(at.add(step.booked_ms, held, max(held, ceiling or 0)))
        self._runs(call, step.booked_ms)

    def _charge_at_once(self, call: _Call) -> None:
        """A result that was read back: charged without having been held."""
        self.outcome.cost_then_nanos += call.step.cost_nanos or 0
        self.outcome.cost_nanos += call.step.cost_nanos or 0
        self._charge(call)

    def _charge(self, call: _Call) -> None:
        step, terms = call.step, call.terms
        elsewhere = terms.elsewhere(step, step.booked_ms)
        charged = terms.scopes(step.booked_ms) if elsewhere is None else elsewhere
        for at in self._books.locate(charged, step.booked_ms):
            at.add(step.booked_ms, 0, 0).end(step.cost_nanos or 0)
        times = (step.booked_ms, step.booked_ms)
        self._hear(self._told.charged(step, terms, times, step.cost_nanos or 0, elsewhere))

    def _hear(self, heard: Iterable[Heard]) -> None:
        """Alerts; those of the time before the one asked about are over."""
        for alert, told in heard:
            if alert.at_ms >= self._since_ms:
                self.outcome.alerted(alert, told)

    def _size(self, step: Step) -> Size:
        if step.size is not None:
            return Size.of_text(step.size)
        if step.estimate_nanos is None:
            return UNSIZED
        self.outcome.unsized += 1
        return Size(
            step.ceiling_nanos, step.estimate_nanos, typical_nanos=step.typical_nanos, guess_nanos=step.estimate_nanos
        )


def _cost(call: _Call) -> int:
    """What the call cost; of one that was refused then or still runs, what it is expected to."""
    cost = call.step.cost_nanos
    if cost is not None and call.step.refused_by is None:
        return cost
    return (call.step.estimate_nanos or 0) if call.terms.counts else 0


Steps = Callable[[int], Iterable[Step]]
"""Every step booked from this instant on."""


def replay(policy: Policy, since_ms: int, steps: Steps) -> Outcome:
    """Run the history since `since_ms` through `policy`, its windows filled with what came before."""
    found = [starts for draw, _ in policy.draws for _, starts in draw.counted_since(since_ms)]
    return Replay(policy, since_ms).run(steps(max(0, min([looks_back_to(policy, since_ms), *found]))))
