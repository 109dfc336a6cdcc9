"""How well `hold: expected` sizes its holds: a discrete-event simulation of the real `admission.decide` and `estimate.Sizes`.

    scripts/simulate [--seeds 200] [--only NAME]

Calls arrive, wait first come first served, are answered after their duration and settle; a stream gives its input count early
and grows until it ends. Printed for each case, as shares of the budget: what was used, what went over in all, what went over
beyond the calls that were alone when they left, and how much was used before the first refusal. Money is simulated in
nano-dollars by the product's own code; only time and the cost shapes are made up here.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

from spendgate.admission import Admit, Hold, KindStanding, Refuse, Scope, Size, Standing, Wait, decide
from spendgate.estimate import KindKeys, Sizes, sample_of
from spendgate.price_cards import Rates
from spendgate.providers.interface import Ask
from spendgate.usage import Usage

NANOS = 1_000_000_000
INPUT, OUTPUT = 3_000, 15_000
RATES = Rates(
    input=INPUT * 10**6, cache_read=INPUT * 10**5, cache_write_5m=INPUT * 10**6, cache_write_1h=INPUT * 10**6,
    cache_write=INPUT * 10**6, output=OUTPUT * 10**6, web_search=0, request=0, context_window=200_000, source="simulated",
)  # fmt: skip
Draw = Callable[[random.Random, int], list[float]]


def equal(_: random.Random, calls: int) -> list[float]:
    """All calls cost the same."""
    return [1.0] * calls


def tiny(first: int) -> Draw:
    """So many calls that cost next to nothing, then equal ones."""
    return lambda _, calls: [0.001] * first + [1.0] * (calls - first)


def log_normal(rng: random.Random, calls: int, sigma: float = 1.2) -> list[float]:
    """A long tail; mean 1."""
    return [math.exp(rng.gauss(-sigma * sigma / 2, sigma)) for _ in range(calls)]


def two_humps(rng: random.Random, calls: int) -> list[float]:
    """Four in five small, one in five twenty-one times as dear; mean 1."""
    return [0.2 if rng.random() < 0.8 else 4.2 for _ in range(calls)]


@dataclass(frozen=True)
class Case:
    """One situation. Dollars, seconds, bytes, tokens."""

    name: str
    costs: Draw = equal
    mean: float = 0.05
    limit: float = 1.0
    calls: int = 100
    wait: float = 20.0
    duration: Callable[[random.Random], float] = lambda _: 2.0
    arrives: Callable[[int], float] = lambda _: 0.0
    text_bytes: int = 2_000
    output_max: int = 32_000
    opaque: bool = False
    input_share: float = 0.3
    bounded: bool = True
    """Costs never pass the bound of the request, as providers' do not."""
    warm: int = 0
    kinds: int = 1
    gates: int = 1
    streams: bool = False
    cut: bool = False
    hold: Hold = Hold.EXPECTED


@dataclass
class Call:
    """One simulated call."""

    number: int
    usage: Usage
    gate: int
    keys: KindKeys
    seconds: float
    held: int = 0
    ceiling: int = 0
    alone: bool = False
    deadline: float | None = None

    @property
    def nanos(self) -> int:
        return (self.usage.input_tokens or 0) * INPUT + (self.usage.output_tokens or 0) * OUTPUT

    def at(self, share: float) -> int:
        """Cost when this share of the output has been streamed."""
        return (self.usage.input_tokens or 0) * INPUT + int((self.usage.output_tokens or 0) * share) * OUTPUT


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
    excused: int = 0
    open: dict[int, Call] = field(default_factory=dict)
    line: list[Call] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    result: Result = field(default_factory=Result)

    def __post_init__(self) -> None:
        case = self.case
        self.limit = int(case.limit * NANOS)
        self.scope = Scope(
            "budget", "", "life", 0, None, None, self.limit, case.hold, int(case.wait * 1000), True, case.cut, 0
        )
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
            self._at(case.arrives(call.number), lambda t, call=call: self._arrive(call, t))

    def _costs(self) -> list[float]:
        case = self.case
        most = (case.text_bytes * INPUT + case.output_max * OUTPUT) / NANOS if case.bounded else math.inf
        return [min(each * case.mean, most) for each in case.costs(self.rng, case.calls + case.warm)]

    def _call(self, number: int, cost: float) -> Call:
        case = self.case
        tokens_in = int(cost * NANOS * case.input_share) // INPUT
        tokens_out = (int(cost * NANOS) - tokens_in * INPUT) // OUTPUT
        keys = KindKeys.of(f"tool{number % case.kinds}", "m", "dialect")
        return Call(
            number, Usage(tokens_in, output_tokens=tokens_out), number % case.gates, keys, case.duration(self.rng)
        )

    def _at(self, t: float, what: Callable[[float], None]) -> None:
        heapq.heappush(self.events, (t, next(self.numbers), what))

    def run(self) -> Result:
        while self.events:
            t, _, what = heapq.heappop(self.events)
            what(t)
        share = 1 / self.limit
        self.result.used = self.settled * share
        self.result.over = max(0, self.settled - self.limit) * share
        self.result.beyond_alone = max(0, self.settled - self.limit - self.excused) * share
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
        size = self.sizes[call.gate].size(call.keys, self.ask, RATES)
        same = sum(other.keys == call.keys for other in self.open.values())
        kind = KindStanding(call.keys.kind, self.done.get(call.keys.kind, 0), same)
        decision = decide((self._standing(ahead),), kind, size, now_ms=int(t * 1000), patient=patient)
        if isinstance(decision, Admit):
            self._admit(call, decision.holds[0][1], size, t)
        elif isinstance(decision, Refuse):
            self._refuse(t)
        return decision

    def _standing(self, ahead: int = 0) -> Standing:
        held = sum(call.held for call in self.open.values())
        bounds = sum(call.ceiling for call in self.open.values())
        return Standing(self.scope, self.settled, held, bounds, len(self.open), ahead)

    def _admit(self, call: Call, hold: int, size: Size, t: float) -> None:
        call.alone = not self.open
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
        size = self.sizes[call.gate].size(call.keys, self.ask, RATES)
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
        if call.alone and self.settled > self.limit:
            self.excused += min(nanos, self.settled - self.limit)
        if nanos == call.nanos:
            self._learn(call)
        self._wake(t)

    def _learn(self, call: Call) -> None:
        self.done[call.keys.kind] = self.done.get(call.keys.kind, 0) + 1
        sample = sample_of(self.case.text_bytes, call.usage, call.nanos, RATES)
        for sizes in self.sizes if self.case.gates == 1 else (self.sizes[call.gate],):
            sizes.learn(call.keys, sample)


EXACT = Case("equal costs")
CASES = (
    replace(EXACT, name="a: 20 times the visible request", text_bytes=2_000, output_max=100, input_share=1.0, bounded=False),
    replace(EXACT, name="a: a few words shown", text_bytes=100, output_max=100, input_share=1.0, bounded=False),
    replace(EXACT, name="b: max_tokens 32,000, 2,000 produced", text_bytes=10_000, input_share=0.4),
    replace(EXACT, name="c: equal costs, cold"),
    replace(EXACT, name="c: equal costs, warm", warm=50),
    replace(EXACT, name="c: equal costs, streams", streams=True),
    replace(EXACT, name="d: one tiny call first", costs=tiny(1)),
    replace(EXACT, name="d: three tiny calls first", costs=tiny(3)),
    replace(EXACT, name="d: log-normal", costs=log_normal),
    replace(EXACT, name="d: log-normal, warm", costs=log_normal, warm=50),
    replace(EXACT, name="d: log-normal, streams", costs=log_normal, streams=True),
    replace(EXACT, name="d: log-normal, cut", costs=log_normal, streams=True, cut=True),
    replace(EXACT, name="d: two humps", costs=two_humps),
    replace(EXACT, name="d: two humps, warm", costs=two_humps, warm=50),
    replace(EXACT, name="d: two humps, cut", costs=two_humps, streams=True, cut=True),
    replace(EXACT, name="e: six agents, untouched $20", calls=6, limit=20, mean=0.3, text_bytes=100_000),
    replace(
        EXACT, name="f: ceiling, $0.10 against $5", hold=Hold.CEILING, calls=1_000, limit=5, mean=0.1, text_bytes=0,
        output_max=6_667, input_share=0.0, bounded=False,
    ),
    replace(EXACT, name="two gates", gates=2),
    replace(EXACT, name="two gates, log-normal", gates=2, costs=log_normal),
    replace(EXACT, name="in waves of ten, every 3 s", arrives=lambda number: number // 10 * 3.0),
    replace(EXACT, name="five kinds on one budget", kinds=5),
    replace(EXACT, name="long and short calls", duration=lambda rng: 0.5 if rng.random() < 0.7 else 5.0),
    replace(EXACT, name="ten times the bound, log-normal", limit=5, costs=log_normal, calls=60),
    replace(EXACT, name="ten times the bound, warm", limit=5, warm=50, calls=10),
)  # fmt: skip


def simulate(case: Case, seed: int) -> Result:
    """One run."""
    return World(case, random.Random(seed)).run()


def mean(results: list[Result], word: str) -> float:
    """Mean of one figure over runs."""
    return sum(getattr(result, word) for result in results) / len(results)


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate the sizes of holds.")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    words = ("used", "over", "beyond_alone", "before_refusal", "admitted", "at_once", "refused", "cut", "ends")
    print(f"{'case':38}" + "".join(f"{word.replace('_', ' '):>16}" for word in words) + f"{'over, worst':>16}")
    for case in CASES:
        if args.only in case.name:
            results = [simulate(case, seed) for seed in range(args.seeds)]
            shares = [f"{mean(results, word):16.3f}" for word in words[:4]]
            counts = [f"{mean(results, word):16.1f}" for word in words[4:]]
            print(
                f"{case.name:38}{''.join(shares)}{''.join(counts)}{max(each.over for each in results):16.3f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
