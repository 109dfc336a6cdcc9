"""What a call may cost before it leaves: its bound, a guess for what is unknown, and what calls of its kind were seen to need.

Pure. Rules: tokens are learned, never dollars, so that a price change or a new model of a known tool is not cold. Amounts are
integer nano-dollars, rounded up here (a hold may be a nano too large, never too small). `bound` is what `hold: ceiling`
promises; `guess` distrusts it, because a provider may bill input that no byte of the request shows.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isqrt, sumprod
from typing import Any, Protocol

from msgspec import Struct

from spendgate.flow import Tokens
from spendgate.price_cards import Rates
from spendgate.standing import Size
from spendgate.token_means import Sample as TokenSample
from spendgate.token_means import TokenMeans, guessed, sampled
from spendgate.usage import Usage

_MILLION = 1_000_000
_SHIFT = 56
"""Fixed point of nano-dollars in `_Lines`: equal calls of less than 2**35 bytes get their exact cost after rounding up."""
_SAMPLES_MAX = 64
_KINDS_MAX = 1024
_PRICED_MAX = 4

HIDDEN_INPUT = 5
"""A cold call is expected to bill at most this many input tokens for a byte: 20 for each 4 bytes, which is 20 times what one
reads off the request (facts/performance.md 4 measured gateways that let 400% through there)."""
WINDOW_GUESSED = 128_000
"""Where nobody knows a model's context window, a call is expected to have at most this much input, or what its bytes show."""
OUTPUT_GUESSED = 65_536
"""A cold call without a cap is expected to put out at most this many tokens: Codex sends none, and with a whole window of output
three agents of a morning filled an hour's $20."""
OUTPUT_UNPRICED = 16_384
"""The same, capped or not, where the price itself is the policy's word, and dear. By `scripts/simulate`: with 8,192 a long tail
goes over by twice as much, with 32,768 four agents fill those $20."""
SEARCHES_GUESSED = 20
LOOPS_GUESSED = 10
"""Searches, and samplings of a server-tool loop, that a cold call is expected to stay below where nothing caps them."""
_FALLBACK_WEIGHT_MAX = 4
"""How many settled calls of its own kind the evidence of a wider kind is worth."""


class Request(Protocol):
    """What bounds a call, as its request shows it; `providers.interface.Ask` has these words and says what they mean."""

    @property
    def text_bytes(self) -> int: ...
    @property
    def opaque_input(self) -> bool: ...
    @property
    def output_tokens_max(self) -> int | None: ...
    @property
    def choices(self) -> int: ...
    @property
    def cache_ttl(self) -> str | None: ...
    @property
    def searches_max(self) -> int | None: ...
    @property
    def loops(self) -> bool: ...


class Bound(Struct, frozen=True):
    """What is known of one call's cost from its request alone, in nano-dollars."""

    ceiling_nanos: int | None
    """The most it can cost; None: no finite bound."""
    guess_nanos: int
    """What a call of an unknown kind holds under `expected`."""
    output_nanos: int | None = None
    """The most that its output can cost; None: nothing bounds it, or what of the request it is sized by is a guess, too."""
    output_guess_nanos: int = 0
    """The part of the guess that is output."""


def bound(ask: Request, rates: Rates) -> Bound:
    """The bound of a call: bytes as tokens at the dearest class, all the output it may ask for, and capped tool fees.

    Input that is only referred to is bounded by the context window alone. `rates` are the dearest of the tiers that may apply.
    """
    dearest = _input_rate(ask, rates)
    shown = rates.context_window if ask.opaque_input else ask.text_bytes
    output = ask.output_tokens_max if ask.output_tokens_max is not None else rates.context_window
    most = None if output is None else _rest(output, ask, rates)
    ceiling = None
    if shown is not None and most is not None and ask.searches_max is not None and not ask.loops:
        ceiling = shown * dearest + most + ask.searches_max * rates.web_search
    likely = _rest(_output_guessed(ask, rates), ask, rates)
    guessed = _input_guessed(ask, rates)
    if ask.loops:
        guessed *= LOOPS_GUESSED
    searches = SEARCHES_GUESSED if ask.searches_max is None else ask.searches_max
    guess = guessed * dearest + likely + searches * rates.web_search
    if likely == most and ceiling is not None:
        guess = max(ceiling, guess)
    return Bound(
        None if ceiling is None else _up(ceiling),
        _up(guess),
        None if shown is None or most is None else _up(most),
        _up(likely),
    )


def _rest(output: int, ask: Request, rates: Rates) -> int:
    """What so many tokens of output cost in each choice, and the request itself; in millionths of a nano-dollar."""
    return output * max(1, ask.choices) * rates.output + rates.request * _MILLION


def _output_guessed(ask: Request, rates: Rates) -> int:
    """Output tokens of one choice that a cold call is expected to stay below: what a request caps counts in full, at a price
    that a list knows."""
    cap = ask.output_tokens_max
    if cap is not None and rates.priced:
        return cap
    most = OUTPUT_GUESSED if rates.priced else OUTPUT_UNPRICED
    return min([each for each in (cap, rates.context_window, most) if each is not None])


def _input_guessed(ask: Request, rates: Rates) -> int:
    """Input tokens that one sampling of a cold call is expected to stay below."""
    window = rates.context_window
    if ask.opaque_input:
        return WINDOW_GUESSED if window is None else window
    return min(ask.text_bytes * HIDDEN_INPUT, _window(ask, rates))


def _window(ask: Request, rates: Rates) -> int:
    """The context window, and where nobody knows it a guess that the bytes of the request do not disprove."""
    return max(WINDOW_GUESSED, ask.text_bytes) if rates.context_window is None else rates.context_window


def _input_rate(ask: Request, rates: Rates) -> int:
    """Nano-dollars for a million input tokens in the dearest class that the request can fall into."""
    plain = max(rates.input, rates.cache_read)
    match ask.cache_ttl:
        case None:
            return plain
        case "5m":
            return max(plain, rates.cache_write_5m)
        case _:
            return rates.input_dearest


def _up(scaled: int) -> int:
    return -(-scaled // _MILLION)


class Sample(Struct, frozen=True):
    """One settled call: bytes of its request that could become tokens, and what the provider counted."""

    text_bytes: int
    usage: Usage
    cost_nanos: int = 1
    dearest_nanos: int = 1
    """What it cost, and what its counts cost at the dearest rates: the ratio keeps learned sizes exact where tiers, regions or
    service tiers made the call cheaper than its bound's rates."""

    @property
    def evidence(self) -> bool:
        """Whether it says what calls need: the provider counted something, and it had a price.

        Codex 0.169.0 warms its connections up with requests that use nothing, and reports that: they would teach that its calls
        cost nothing.
        """
        return self.usage.known and not self.usage.nothing and self.cost_nanos > 0


def _latest() -> deque[Any]:
    return deque(maxlen=_SAMPLES_MAX)


@dataclass(slots=True)
class _Lines:
    """What samples say a call of b bytes costs, in nano-dollars shifted left by _SHIFT: `per_byte * b + fixed`.

    Both are rounded down, a hair short of the truth; `fixed` then has all but one of a nano-dollar added, so that shifting
    the sum back rounds it up, and gives equal calls their exact price.
    """

    per_byte: deque[int] = field(default_factory=_latest)
    fixed: deque[int] = field(default_factory=_latest)

    def add(self, sample: Sample, rates: Rates) -> None:
        by_input, fixed = _at_rates(sample.usage, rates)
        cost, scale = sample.cost_nanos << _SHIFT, max(1, sample.dearest_nanos) * _MILLION
        self.per_byte.append(by_input * cost // (max(1, sample.text_bytes) * scale))
        self.fixed.append(fixed * cost // scale + (1 << _SHIFT) - 1)


@dataclass(slots=True)
class _Ring:
    """The latest samples of one kind, and their lines at the rates last asked for."""

    samples: deque[Sample] = field(default_factory=_latest)
    priced: OrderedDict[Rates, _Lines] = field(default_factory=OrderedDict)
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

    def lines(self, rates: Rates) -> _Lines:
        lines = self.priced.get(rates)
        if lines is None:
            lines = self.priced[rates] = _Lines()
            for sample in self.samples:
                lines.add(sample, rates)
            if len(self.priced) > _PRICED_MAX:
                self.priced.popitem(last=False)
        return lines


def _at_rates(usage: Usage, rates: Rates) -> tuple[int, int]:
    """Input, and everything else, at the dearest rates, in millionths of a nano-dollar."""
    by_input = (
        (usage.input_tokens or 0) * rates.input
        + (usage.cache_read_tokens or 0) * rates.cache_read
        + (usage.cache_write_5m_tokens or 0) * rates.cache_write_5m
        + (usage.cache_write_1h_tokens or 0) * rates.cache_write_1h
        + (usage.cache_write_tokens or 0) * rates.cache_write
    )
    fixed = (usage.output_tokens or 0) * rates.output + (usage.web_searches or 0) * rates.web_search
    return by_input, fixed + rates.request * _MILLION


def sample_of(text_bytes: int, usage: Usage, cost_nanos: int, rates: Rates) -> Sample:
    """The sample of a call that was charged `cost_nanos` (its value at list price) for `usage`.

    At a price of nothing there is no ratio, and its tokens count in full: at another price they teach what they would cost.
    """
    dearest = _up(sum(_at_rates(usage, rates)))
    return Sample(text_bytes, usage, cost_nanos, dearest) if dearest else Sample(text_bytes, usage)


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


def _learned(limits: Bound, lines: _Lines, ask: Request, rates: Rates, *, seen: int, own_seen: int) -> Size:
    """Mean, spread, median and largest of what the samples say this call costs, each rounded up."""
    size_bytes = max(1, ask.text_bytes)
    costs = [each * size_bytes + fixed >> _SHIFT for each, fixed in zip(lines.per_byte, lines.fixed, strict=True)]
    costs.sort()
    # Calls of its own kind may have shown a larger window than is guessed; what others were billed by the byte does not.
    known = rates.context_window is not None or not own_seen
    most = _window(ask, rates) * rates.input_dearest if known and not ask.loops else None
    if most is not None and costs[-1] * _MILLION > most:
        within = [min(each * size_bytes, (most << _SHIFT) // _MILLION) for each in lines.per_byte]
        costs = sorted([each + fixed >> _SHIFT for each, fixed in zip(within, lines.fixed, strict=True)])
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
        output_nanos=sum(lines.fixed) // count >> _SHIFT,
        seen=seen,
        own_seen=own_seen,
        output_most_nanos=limits.output_nanos,
    )
