"""Prices as they are computed with: exact cards of one tier, and the dearest rates of several, for bounds.

A `Card` has the price of one unit of each count, as integers over one denominator. Rates are rounded up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from math import ceil
from operator import mul
from typing import Final

from spendgate.usage import Usage

LEAVES = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_write_tokens",
    "input_audio_tokens",
    "output_tokens",
    "reasoning_tokens",
    "output_audio_tokens",
    "web_searches",
)
"""The counts of `Usage`; of two where one is part of the other, the smaller is priced and taken off the larger."""

UNPRICED: Final = "policy:unknown_model"
"""`Rates.source` of a model that no list prices: what it costs is the policy's word."""
REQUEST = "request"
"""What a request costs whatever it uses, beside the prices of counts (`Card.each`)."""
SEARCHES = "web_searches"
"""A fee beside the tokens."""
_SEARCHES_AT: Final = LEAVES.index(SEARCHES)
US_FACTOR = Fraction(11, 10)
"""Anthropic's `inference_geo: us`, of all tokens and no fee (facts/wire-formats.md 1.2); genai-prices does not know it."""


@dataclass(frozen=True, slots=True)
class Rates:
    """The dearest price of each class over all tiers of a model, in nano-dollars for a million tokens, rounded up: for bounds."""

    input: int
    """Uncached, text or audio."""
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    cache_write: int
    output: int
    """Text, reasoning or audio."""
    web_search: int
    """Nano-dollars for a million searches."""
    request: int
    """Nano-dollars for each request, whatever its usage."""
    context_window: int | None
    """Most input tokens; None where genai-prices does not say."""
    source: str

    @property
    def priced(self) -> bool:
        """Whether some list has its price, and so what its limits are, too."""
        return self.source != UNPRICED

    @property
    def input_dearest(self) -> int:
        """The dearest class that one input token can fall into."""
        return max(self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.cache_write)


@dataclass(frozen=True, slots=True)
class Ladder:
    """The dearest rates that a call can reach, by how much input it may have."""

    starts: tuple[int, ...]
    """Input tokens above which the next rung begins, ascending."""
    rungs: tuple[Rates, ...]
    """One more than `starts`: the dearest of each class over all rungs up to this one."""

    def upto(self, input_tokens_max: int | None) -> Rates:
        """The dearest that so much input can reach; None: any."""
        return self.rungs[-1 if input_tokens_max is None else bisect_left(self.starts, input_tokens_max)]

    def within(self, window: int | None) -> Ladder:
        """With the larger context window that a request asks for; where none is known, none is."""
        known = self.rungs[0].context_window
        if window is None or known is None or known >= window:
            return self
        return Ladder(self.starts, tuple(replace(rung, context_window=window) for rung in self.rungs))


def dearest(ladders: Sequence[Ladder]) -> Ladder:
    """The dearest of several, class by class; window and source are the first one's. Raises TypeError for none."""
    starts = sorted({start for ladder in ladders for start in ladder.starts})
    reached = ([ladder.upto(tokens) for ladder in ladders] for tokens in (0, *[start + 1 for start in starts]))
    return Ladder(tuple(starts), tuple(reduce(_dearer, rates) for rates in reached))


def _dearer(one: Rates, other: Rates) -> Rates:
    return replace(
        one,
        input=max(one.input, other.input),
        cache_read=max(one.cache_read, other.cache_read),
        cache_write_5m=max(one.cache_write_5m, other.cache_write_5m),
        cache_write_1h=max(one.cache_write_1h, other.cache_write_1h),
        cache_write=max(one.cache_write, other.cache_write),
        output=max(one.output, other.output),
        web_search=max(one.web_search, other.web_search),
        request=max(one.request, other.request),
    )


@dataclass(frozen=True, slots=True)
class Card:
    """Exact prices of one unit of each count within one tier: `units[i] / scale` nano-dollars for a unit of `LEAVES[i]`."""

    units: tuple[int, ...]
    request: int
    scale: int

    def scaled(self, usage: Usage) -> int:
        """The exact price in nano-dollars times `scale`. Missing counts add nothing here; the caller flags them."""
        total: int = self.request + sum(map(mul, self.units, _disjoint(usage)))
        return total

    def fee(self, usage: Usage) -> int:
        """What of it is for searches, times `scale`."""
        return self.units[_SEARCHES_AT] * (usage.web_searches or 0)

    def each(self) -> dict[str, Fraction]:
        """The exact price in nano-dollars of one unit of each count, by its name in `Usage`, and of the `REQUEST` itself."""
        units = {leaf: Fraction(unit, self.scale) for leaf, unit in zip(LEAVES, self.units, strict=True)}
        return {**units, REQUEST: Fraction(self.request, self.scale)}


def _disjoint(usage: Usage) -> tuple[int, ...]:
    """Counts in the order of `LEAVES`, with parts taken off their wholes."""
    audio_in, audio_out = usage.input_audio_tokens or 0, usage.output_audio_tokens or 0
    text_out = max(0, (usage.output_tokens or 0) - audio_out)
    reasoning = min(usage.reasoning_tokens or 0, text_out)
    return (
        max(0, (usage.input_tokens or 0) - audio_in),
        usage.cache_read_tokens or 0,
        usage.cache_write_5m_tokens or 0,
        usage.cache_write_1h_tokens or 0,
        usage.cache_write_tokens or 0,
        audio_in,
        text_out - reasoning,
        reasoning,
        audio_out,
        usage.web_searches or 0,
    )


def raised(rates: Rates, dearer: tuple[int, int]) -> Rates:
    """Rates with input and output no lower than what a unit of media costs (`media_rates`)."""
    return replace(rates, input=max(rates.input, dearer[0]), output=max(rates.output, dearer[1]))


def bound_rates(cards: tuple[Card, ...], geo: bool, context_window: int | None, name: str) -> Rates:
    """The dearest rates over these tiers. `geo`: whether the US factor can apply."""
    factor = US_FACTOR if geo else Fraction(1)

    def most(leaf: str) -> int:
        index = LEAVES.index(leaf)
        dearer = Fraction(1) if leaf == SEARCHES else factor
        return ceil(max(Fraction(card.units[index], card.scale) for card in cards) * dearer * 1_000_000)

    return Rates(
        input=max(most("input_tokens"), most("input_audio_tokens")),
        cache_read=most("cache_read_tokens"),
        cache_write_5m=most("cache_write_5m_tokens"),
        cache_write_1h=most("cache_write_1h_tokens"),
        cache_write=most("cache_write_tokens"),
        output=max(most("output_tokens"), most("reasoning_tokens"), most("output_audio_tokens")),
        web_search=most(SEARCHES),
        request=ceil(max(Fraction(card.request, card.scale) for card in cards) * factor),
        context_window=context_window,
        source=name,
    )
