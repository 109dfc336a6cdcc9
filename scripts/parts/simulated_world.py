"""One morning of `scripts/simulate`, as a discrete-event simulation: calls come, ask the gate's own decision, run and settle.

Money is simulated in nano-dollars by the product's own code; only time and the cost shapes are made up.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from msgspec.structs import replace
from parts.alone import Span, excess
from parts.simulated import Case

from spendgate.admission import Admit, Refuse, Wait, decide
from spendgate.cost_lines import sample_of
from spendgate.estimate import KindKeys, Sizes
from spendgate.gate.model_prices import rates_unknown
from spendgate.policy import UnknownModel
from spendgate.price_cards import Rates
from spendgate.providers.ask import Ask
from spendgate.standing import KindStanding, Scope, Size, Standing
from spendgate.usage import Usage

NANOS = 1_000_000_000
WINDOW = 200_000
INPUT, OUTPUT = 3_000, 15_000
RATES = Rates(
    input=INPUT * 10**6, cache_read=INPUT * 10**5, cache_write_5m=INPUT * 10**6, cache_write_1h=INPUT * 10**6,
    cache_write=INPUT * 10**6, output=OUTPUT * 10**6, web_search=0, request=0, context_window=WINDOW, source="simulated",
)  # fmt: skip
UNPRICED = rates_unknown(UnknownModel()).upto(None)
AMPLE = 100_000
"""So many times the limit of the first is that of the budgets beside it."""


@dataclass
class Call:
    """One simulated call."""

    number: int
    usage: Usage
    gate: int
    keys: KindKeys
    seconds: float
    rates: Rates
    held: int = 0
    beside: tuple[int, ...] = ()
    """What it holds in the budgets beside the first."""
    ceiling: int = 0
    began: tuple[float, int] = (0.0, 0)
    deadline: float | None = None

    @property
    def nanos(self) -> int:
        return self.at(1)

    def at(self, share: float) -> int:
        """Cost when this share of the output has been streamed."""
        tokens_in, tokens_out = self.usage.input_tokens or 0, int((self.usage.output_tokens or 0) * share)
        return (tokens_in * self.rates.input + tokens_out * self.rates.output) // 10**6


@dataclass
class Result:
    """What became of one run, as shares of the budget."""

    used: float = 0.0
    over: float = 0.0
    beyond_alone: float = 0.0
    before_refusal: float = 1.0
    admitted: int = 0
    at_once: int = 0
    refused: int = 0
    cut: int = 0
    ends: float = 0.0


@dataclass
class World:
    """One run of one case."""

    case: Case
    rng: random.Random
    settled: int = 0
    spans: list[Span] = field(default_factory=list)
    open: dict[int, Call] = field(default_factory=dict)
    line: list[Call] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    result: Result = field(default_factory=Result)

    def __post_init__(self) -> None:
        case = self.case
        self.rates = RATES if case.priced else UNPRICED
        self.limit = int(case.limit * NANOS)
        self.scope = Scope(
            "budget", "", "life", 0, None, None, self.limit, case.hold, int(case.wait * 1000), True, case.cut, 0
        )
        self.beside = [
            replace(self.scope, budget=f"ample {number}", limit_nanos=AMPLE * self.limit, order=number)
            for number in range(1, case.budgets)
        ]
        self.sizes = [Sizes() for _ in range(case.gates)]
        self.ask = Ask(
            model="m", text_bytes=case.text_bytes, output_tokens_max=case.output_max, opaque_input=case.opaque
        )
        self.events: list[tuple[float, int, Callable[[float], None]]] = []
        self.numbers = count()
        calls = [self._call(number, cost) for number, cost in enumerate(self._costs())]
        for call in calls[case.calls :]:
            self._learn(call)
        for call in calls[: case.calls]:
            self._at(case.arrives(call.number), partial(self._arrive, call))

    def _costs(self) -> list[float]:
        case = self.case
        output_max = WINDOW if case.output_max is None else case.output_max
        bound = case.text_bytes * self.rates.input + output_max * self.rates.output
        most = bound / 10**6 / NANOS if case.bounded else math.inf
        return [min(each * case.mean, most) for each in case.costs(self.rng, case.calls + case.warm)]

    def _call(self, number: int, cost: float) -> Call:
        case = self.case
        price_in, price_out = self.rates.input // 10**6, self.rates.output // 10**6
        tokens_in = int(cost * NANOS * case.input_share) // price_in
        tokens_out = (int(cost * NANOS) - tokens_in * price_in) // price_out
        keys = KindKeys.of(f"tool{number % case.kinds}", "m", "dialect")
        usage, gate = Usage(tokens_in, output_tokens=tokens_out), number % case.gates
        return Call(number, usage, gate, keys, case.duration(self.rng), self.rates)

    def _at(self, t: float, what: Callable[[float], None]) -> None:
        heapq.heappush(self.events, (t, next(self.numbers), what))

    def run(self) -> Result:
        while self.events:
            t, _, what = heapq.heappop(self.events)
            what(t)
        over = max(0, self.settled - self.limit)
        self.result.used = min(self.settled, self.limit) / self.limit
        self.result.over = over / self.limit
        self.result.beyond_alone = max(0, over - excess(self.spans, self.limit)) / self.limit
        return self.result

    # -- the gate, in time ---------------------------------------------------------------------------------------

    def _arrive(self, call: Call, t: float) -> None:
        decision = self._try(call, t, ahead=len(self.line))
        if isinstance(decision, Wait):
            call.deadline = t + decision.wait_ms / 1000
            self.line.append(call)
            self._at(call.deadline, lambda t: self._deadline(call, t))

    def _deadline(self, call: Call, t: float) -> None:
        if call in self.line:
            self.line.remove(call)
            self._try(call, t, patient=False)
            self._wake(t)

    def _wake(self, t: float) -> None:
        while self.line and not isinstance(self._try(self.line[0], t), Wait):
            self.line.pop(0)

    def _try(self, call: Call, t: float, *, ahead: int = 0, patient: bool = True) -> Admit | Wait | Refuse:
        size = self.sizes[call.gate].size(call.keys, self.ask, self.rates)
        same = sum(other.keys == call.keys for other in self.open.values())
        kind = KindStanding(call.keys.kind, self.done.get(call.keys.kind, 0), same)
        standings = (self._standing(ahead), *self._beside())
        decision = decide(standings, kind, size, now_ms=int(t * 1000), patient=patient)
        if isinstance(decision, Admit):
            self._admit(call, decision.holds[0][1], size, t)
            call.beside = tuple(nanos for _, nanos in decision.holds[1:])
        elif isinstance(decision, Refuse):
            self._refuse(t)
        return decision

    def _standing(self, ahead: int = 0) -> Standing:
        held = sum(call.held for call in self.open.values())
        bounds = sum(call.ceiling for call in self.open.values())
        return Standing(self.scope, self.settled, held, bounds, len(self.open), ahead)

    def _beside(self) -> list[Standing]:
        """The budgets beside the first: the same calls, by what each holds there."""
        calls = list(self.open.values())
        bounds = sum(call.ceiling for call in calls)
        return [
            Standing(scope, self.settled, sum(call.beside[at] for call in calls), bounds, len(calls), 0)
            for at, scope in enumerate(self.beside)
        ]

    def _admit(self, call: Call, hold: int, size: Size, t: float) -> None:
        call.began = (t, next(self.numbers))
        call.held, call.ceiling = hold, max(hold, size.ceiling_nanos or 0)
        self.open[call.number] = call
        self.result.admitted += 1
        self.result.at_once += t == 0
        self._at(t + call.seconds, lambda t: self._end(call, call.nanos, t))
        if self.case.streams:
            first = min(0.3, call.seconds / 4)
            self._at(t + first, lambda t: self._first_counts(call, t, call.seconds - first))

    def _refuse(self, t: float) -> None:
        if not self.result.refused:
            self.result.before_refusal = self.settled / self.limit
        self.result.refused += 1

    # -- a stream's own counts, as `gate.running` takes them ---------------------------------------------------------

    def _first_counts(self, call: Call, t: float, seconds: float) -> None:
        if call.number not in self.open:
            return
        size = self.sizes[call.gate].size(call.keys, self.ask, self.rates)
        call.held = call.at(0) + (size.output_nanos or 0)
        self._wake(t)
        self._grow(call, t, t, seconds)

    def _grow(self, call: Call, t: float, began: float, seconds: float) -> None:
        """Look at a running stream; again after a fiftieth of its time."""
        if call.number not in self.open:
            return
        now = call.at(min(1.0, (t - began) / seconds))
        if now * 10 > call.held * 9:
            room = self.limit - self._standing().settled_nanos - self._standing().held_nanos
            wanted = now + (now - call.at(0))
            call.held = min(wanted, call.held + max(0, room)) if self.case.cut else max(wanted, call.held)
            if self.case.cut and now > call.held:
                self.result.cut += 1
                self._end(call, now, t)
                return
        self._at(t + seconds / 50, lambda t: self._grow(call, t, began, seconds))

    def _end(self, call: Call, nanos: int, t: float) -> None:
        if self.open.pop(call.number, None) is None:
            return
        self.settled += nanos
        self.result.ends = t
        self.spans.append(Span(call.began, (t, next(self.numbers)), nanos))
        if nanos == call.nanos:
            self._learn(call)
        self._wake(t)

    def _learn(self, call: Call) -> None:
        self.done[call.keys.kind] = self.done.get(call.keys.kind, 0) + 1
        sample = sample_of(self.case.text_bytes, call.usage, call.nanos, self.rates)
        for sizes in self.sizes if self.case.gates == 1 else (self.sizes[call.gate],):
            sizes.learn(call.keys, sample)
