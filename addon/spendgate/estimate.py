"""What calls of a kind were seen to need, and what the next of them may cost by that.

Pure. Amounts are integer nano-dollars, rounded up (a hold may be a nano too large, never too small). Of a kind of which nothing
was seen the next wider one answers, and where nothing was seen at all the request alone (`call_bounds`).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isqrt, sumprod

from msgspec import Struct

from spendgate.call_bounds import Bound, Request, bound, window_guessed
from spendgate.cost_lines import LATEST, Lines, Sample
from spendgate.flow import Tokens
from spendgate.price_cards import Rates
from spendgate.standing import Size
from spendgate.token_means import Sample as TokenSample
from spendgate.token_means import TokenMeans, guessed, sampled

_MILLION = 1_000_000
_KINDS_MAX = 1024
_PRICED_MAX = 4
_FALLBACK_WEIGHT_MAX = 4
"""How many settled calls of its own kind the evidence of a wider kind is worth."""


class KindKeys(Struct, frozen=True):
    """The kinds a call belongs to, narrowest first: tool and model, tool, dialect, all."""

    kind: str
    tool: str
    dialect: str

    @classmethod
    def of(cls, tool: str | None, model: str | None, dialect: str) -> KindKeys:
        """`kind` is what the ledger counts by: `tool|model`."""
        return cls(f"{tool or '?'}|{model or '?'}", f"{tool or '?'}|*", f"*|*|{dialect}")

    def widening(self) -> tuple[str, str, str, str]:
        return self.kind, self.tool, self.dialect, "*"


@dataclass(slots=True)
class _Ring:
    """The latest samples of one kind, and their lines at the rates last asked for."""

    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=LATEST))
    priced: OrderedDict[Rates, Lines] = field(default_factory=OrderedDict)
    seen: int = 0
    means: TokenMeans | None = None
    """None: no rate has asked for them yet."""

    def add(self, sample: Sample, tokens: TokenSample | None) -> None:
        self.samples.append(sample)
        self.seen += 1
        if self.means is not None and tokens is not None:
            self.means.add(tokens)
        for rates, lines in self.priced.items():
            lines.add(sample, rates)

    def tokens(self, text_bytes: int) -> Tokens:
        """What such a call uses on average."""
        means = self.means
        if means is None:
            means = self.means = TokenMeans()
            for sample in self.samples:
                means.add(sampled(sample.usage, sample.text_bytes))
        return means.of(text_bytes)

    def lines(self, rates: Rates) -> Lines:
        lines = self.priced.get(rates)
        if lines is None:
            lines = self.priced[rates] = Lines()
            for sample in self.samples:
                lines.add(sample, rates)
            if len(self.priced) > _PRICED_MAX:
                self.priced.popitem(last=False)
        return lines


class Sizes:
    """What calls were seen to need, by kind. Bounded memory; a sample costs a few microseconds, a size about ten."""

    def __init__(self) -> None:
        self._rings: OrderedDict[str, _Ring] = OrderedDict()
        self._counts_tokens = False
        """Whether anybody has asked for tokens."""

    def learn(self, keys: KindKeys, sample: Sample) -> None:
        """Take one settled call whose counts the provider reported. What is no evidence teaches nothing."""
        if not sample.evidence:
            return
        tokens = sampled(sample.usage, sample.text_bytes) if self._counts_tokens else None
        for name in keys.widening():
            ring = self._rings.get(name)
            if ring is None:
                ring = self._rings[name] = _Ring()
                if len(self._rings) > _KINDS_MAX:
                    self._rings.popitem(last=False)
            else:
                self._rings.move_to_end(name)
            ring.add(sample, tokens)

    def load(self, history: Iterable[tuple[KindKeys, Sample]]) -> None:
        """Take what the ledger holds, oldest first."""
        for keys, sample in history:
            self.learn(keys, sample)

    def size(self, keys: KindKeys, ask: Request, rates: Rates, bound_rates: Rates | None = None) -> Size:
        """What this call may cost, at this call's prices.

        `rates` are the dearest of all tiers, as samples were taken with; `bound_rates` those that this call can reach.
        """
        limits = bound(ask, bound_rates or rates)
        for name in keys.widening():
            ring = self._rings.get(name)
            if ring is not None and ring.samples:
                own_seen = ring.seen if name == keys.kind else 0
                seen = own_seen or min(ring.seen, _FALLBACK_WEIGHT_MAX)
                return _learned(limits, ring.lines(rates), ask, rates, seen=seen, own_seen=own_seen)
        return Size(
            limits.ceiling_nanos,
            None,
            guess_nanos=limits.guess_nanos,
            output_nanos=limits.output_guess_nanos,
            output_most_nanos=limits.output_nanos,
        )

    def tokens(self, keys: KindKeys, ask: Request) -> Tokens:
        """What this call is likely to use: the mean of its kind, else of the next wider one, else a guess by its size."""
        self._counts_tokens = True
        for name in keys.widening():
            ring = self._rings.get(name)
            if ring is not None and ring.samples:
                return ring.tokens(ask.text_bytes)
        return guessed(ask.text_bytes, ask.output_tokens_max, ask.choices)


def _learned(limits: Bound, lines: Lines, ask: Request, rates: Rates, *, seen: int, own_seen: int) -> Size:
    """Mean, spread, median and largest of what the samples say this call costs, each rounded up."""
    size_bytes = max(1, ask.text_bytes)
    costs = lines.costs(size_bytes)
    # Calls of its own kind may have shown a larger window than is guessed; what others were billed by the byte does not.
    known = rates.context_window is not None or not own_seen
    most = window_guessed(ask, rates) * rates.input_dearest if known and not ask.loops else None
    if most is not None and costs[-1] * _MILLION > most:
        costs = lines.costs_within(size_bytes, most)
    count = len(costs)
    mean = -(-sum(costs) // count)
    squares = int(sumprod(costs, costs))  # of integers it is one, and exact
    # The mean is rounded up, so the difference may be a hair below zero where all are nearly equal.
    spread = isqrt(max(0, squares // count - mean * mean))
    return Size(
        limits.ceiling_nanos,
        learned_nanos=mean,
        largest_nanos=costs[-1],
        typical_nanos=costs[(count - 1) // 2],
        guess_nanos=limits.guess_nanos,
        spread_nanos=spread,
        output_nanos=lines.fixed_nanos(),
        seen=seen,
        own_seen=own_seen,
        output_most_nanos=limits.output_nanos,
    )
