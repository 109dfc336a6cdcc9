"""What a settled call says that another of its kind costs, at any prices: a line over the bytes of its request. Pure.

Tokens are learned, never dollars, so that a price change or a new model of a known tool is not cold. Amounts are integers.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from msgspec import Struct

from spendgate.price_cards import Rates
from spendgate.usage import Usage

LATEST = 64
"""So many calls of a kind are looked back on."""
_MILLION = 1_000_000
_SHIFT = 56
"""Fixed point of nano-dollars in `Lines`: equal calls of less than 2**35 bytes get their exact cost after rounding up."""


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


def sample_of(text_bytes: int, usage: Usage, cost_nanos: int, rates: Rates) -> Sample:
    """The sample of a call that was charged `cost_nanos` (its value at list price) for `usage`.

    At a price of nothing there is no ratio, and its tokens count in full: at another price they teach what they would cost.
    """
    dearest = dearest_nanos(usage, rates)
    return Sample(text_bytes, usage, cost_nanos, dearest) if dearest else Sample(text_bytes, usage)


def dearest_nanos(usage: Usage, rates: Rates) -> int:
    """What a call of this usage costs at `rates`, in nano-dollars, rounded up."""
    return -(-sum(_at_rates(usage, rates)) // _MILLION)


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


def _latest() -> deque[int]:
    return deque(maxlen=LATEST)


@dataclass(slots=True)
class Lines:
    """What samples say a call of b bytes costs, in nano-dollars shifted left by _SHIFT: `per_byte * b + fixed`.

    Both are rounded down, a hair short of the truth; `fixed` then has all but one of a nano-dollar added, so that shifting
    the sum back rounds it up, and gives equal calls their exact price.
    """

    per_byte: deque[int] = field(default_factory=_latest)
    fixed: deque[int] = field(default_factory=_latest)

    def add(self, sample: Sample, rates: Rates) -> None:
        """Take one sample, and let the oldest go."""
        by_input, fixed = _at_rates(sample.usage, rates)
        cost, scale = sample.cost_nanos << _SHIFT, max(1, sample.dearest_nanos) * _MILLION
        self.per_byte.append(by_input * cost // (max(1, sample.text_bytes) * scale))
        self.fixed.append(fixed * cost // scale + (1 << _SHIFT) - 1)

    def costs(self, size_bytes: int) -> list[int]:
        """What each sample says, in nano-dollars rounded up, ascending."""
        costs = [each * size_bytes + fixed >> _SHIFT for each, fixed in zip(self.per_byte, self.fixed, strict=True)]
        costs.sort()
        return costs

    def costs_within(self, size_bytes: int, input_most: int) -> list[int]:
        """The same, where the input costs at most so much, in millionths of a nano-dollar."""
        within = [min(each * size_bytes, (input_most << _SHIFT) // _MILLION) for each in self.per_byte]
        return sorted([each + fixed >> _SHIFT for each, fixed in zip(within, self.fixed, strict=True)])

    def fixed_nanos(self) -> int:
        """The mean of what comes whatever the size: output and fees."""
        return sum(self.fixed) // len(self.fixed) >> _SHIFT
