"""One price list entry opened for use: exact cards for each tier, and the dearest rates for bounds.

genai-prices takes 0.2 ms for a price, too long for each call of a busy gate. Within one price tier its price is linear in the
disjoint counts of `Usage`, so a `Card` asks it once for the price of one unit of each count and keeps that exactly, as
integers over one denominator. A property test compares cards with genai-prices' own answers to the nano-dollar.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from math import ceil, lcm
from operator import mul
from typing import Final

from genai_prices import Usage as ListedUsage
from genai_prices.types import ModelPrice, TieredPrices

from spendgate.money import NANOS_PER_DOLLAR
from spendgate.price_change import PriceChange
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
AUDIO_MS = "audio_ms"
"""Our whole unit of audio, in place of genai-prices' seconds, which need not be whole."""
_LONG_WINDOW = 1_000_000
"""The long context window of models that have two (Claude Sonnet 4.5: 200,000 and, in a beta, this)."""
US_FACTOR = Fraction(11, 10)
"""Anthropic's `inference_geo: us` (facts/wire-formats.md 1.2); genai-prices does not know it."""


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

    def each(self) -> dict[str, Fraction]:
        """The exact price in nano-dollars of one unit of each count, by its name in `Usage`, and of the `REQUEST` itself."""
        units = {leaf: Fraction(unit, self.scale) for leaf, unit in zip(LEAVES, self.units, strict=True)}
        return {**units, REQUEST: Fraction(self.request, self.scale)}


@dataclass(frozen=True, slots=True)
class Sheet:
    """One price of one model in one context, opened for use: its tiers' cards and its dearest rates."""

    prices: ModelPrice
    """Kept so that its `id`, the cache's key, is not given to another object."""
    starts: tuple[int, ...]
    cards: tuple[Card, ...]
    ladder: Ladder
    geo: bool
    name: str
    tokenless: bool = False
    """It has prices, but none for tokens or requests: by the hour or the character."""
    change: PriceChange | None = None
    """What a policy has made of the list price; `prices` are the list's all the same."""

    def with_units(self, usage: Usage, units: Mapping[str, int]) -> Fraction:
        """The exact price in nano-dollars of a usage with units that have no place in it, without the US factor.

        Where rates are set, units cost at list price what they add there to the tokens, at least nothing. Raises ValueError where
        the counts contradict each other.
        """
        listed = listed_units(self.prices, usage, units)
        if self.change is None:
            return listed
        if not self.change.rates:
            return listed * self.change.factor
        card = self.cards[self.tier(usage.input_total)]
        return max(
            Fraction(0), Fraction(card.scaled(usage), card.scale) + listed - listed_units(self.prices, usage, {})
        )

    def tier(self, input_tokens: int) -> int:
        """Index of the card whose tier this much input falls into: a tier begins above its start."""
        return bisect_left(self.starts, input_tokens)


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


def open_sheet(prices: ModelPrice, *, name: str, context_window: int | None, geo: bool) -> Sheet:
    """Probe one price of genai-prices. `name` is what `Charge.source` shall say; `geo` whether the US factor can apply."""
    starts = tuple(
        sorted(
            {tier.start for value in vars(prices).values() if isinstance(value, TieredPrices) for tier in value.tiers}
        )
    )
    if context_window is not None and starts and starts[-1] >= context_window:
        # A price for more input than fits says that more does, on request.
        context_window = max(context_window, _LONG_WINDOW)
    cards = tuple(_probe(prices, start + 1) for start in (-1, *starts))
    dearer = media_rates(prices)
    rungs = tuple(
        raised(bound_rates(cards[: upto + 1], geo, context_window, name), dearer) for upto in range(len(cards))
    )
    tokenless = not any(any(card.units) or card.request for card in cards) and any(vars(prices).values())
    return Sheet(prices, starts, cards, Ladder(starts, rungs), geo, name, tokenless)


def media_rates(prices: ModelPrice) -> tuple[int, int]:
    """What a unit of input and of output costs at most where it is an image's token, or a character: nano-dollars a million."""
    given = max(_dearest_unit(prices, "input_image_tokens", "input_tokens"), _dearest_unit(prices, "input_characters"))
    return ceil(given * 1_000_000), ceil(_dearest_unit(prices, "output_image_tokens", "output_tokens") * 1_000_000)


def raised(rates: Rates, dearer: tuple[int, int]) -> Rates:
    """Rates with input and output no lower than what a unit of media costs (`media_rates`)."""
    return replace(rates, input=max(rates.input, dearer[0]), output=max(rates.output, dearer[1]))


def _probe(prices: ModelPrice, base: int) -> Card:
    """Ask genai-prices for the price of one more unit of each count, inside the tier that holds `base` input tokens."""
    floor = _listed(prices, Usage(input_tokens=base))
    per_input = _listed(prices, Usage(input_tokens=base + 1)) - floor
    units = [per_input]
    for name in LEAVES[1:]:
        whole = {
            "input_audio_tokens": "input_tokens",
            "reasoning_tokens": "output_tokens",
            "output_audio_tokens": "output_tokens",
        }.get(name)
        counts = {"input_tokens": base, name: 1}
        if whole:
            counts[whole] = counts.get(whole, 0) + 1
        units.append(_listed(prices, Usage(**counts)) - floor)
    request = floor - per_input * base
    scale = lcm(*(unit.denominator for unit in (*units, request)))
    return Card(units=tuple(int(unit * scale) for unit in units), request=int(request * scale), scale=scale)


def bound_rates(cards: tuple[Card, ...], geo: bool, context_window: int | None, name: str) -> Rates:
    """The dearest rates over these tiers. `geo`: whether the US factor can apply."""
    factor = US_FACTOR if geo else Fraction(1)

    def most(leaf: str) -> int:
        index = LEAVES.index(leaf)
        return ceil(max(Fraction(card.units[index], card.scale) for card in cards) * factor * 1_000_000)

    return Rates(
        input=max(most("input_tokens"), most("input_audio_tokens")),
        cache_read=most("cache_read_tokens"),
        cache_write_5m=most("cache_write_5m_tokens"),
        cache_write_1h=most("cache_write_1h_tokens"),
        cache_write=most("cache_write_tokens"),
        output=max(most("output_tokens"), most("reasoning_tokens"), most("output_audio_tokens")),
        web_search=most("web_searches"),
        request=ceil(max(Fraction(card.request, card.scale) for card in cards) * factor),
        context_window=context_window,
        source=name,
    )


def listed_units(prices: ModelPrice, usage: Usage, units: Mapping[str, int]) -> Fraction:
    """genai-prices' own answer in nano-dollars for a usage with units that have no place in it, exact."""
    more: dict[str, Decimal | int] = {name: count for name, count in units.items() if name != AUDIO_MS}
    if AUDIO_MS in units:
        seconds = Decimal(units[AUDIO_MS]) / 1000
        more |= {"audio_seconds": seconds, "input_audio_seconds": seconds}
    return _listed(prices, usage, more)


def _dearest_unit(prices: ModelPrice, unit: str, whole: str | None = None) -> Fraction:
    """The price of one more of this unit, which may be part of another, in nano-dollars, beside what each request costs."""
    return _listed(prices, Usage(**({whole: 1} if whole else {})), {unit: 1}) - _listed(prices, Usage())


def _listed(prices: ModelPrice, usage: Usage, units: Mapping[str, Decimal | int] | None = None) -> Fraction:
    """genai-prices' own answer in nano-dollars, exact. It counts inclusively: its input holds the cached and the written."""
    given = {
        "input_tokens": usage.input_total,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.writes or None,
        "cache_write_5m_tokens": usage.cache_write_5m_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "input_audio_tokens": usage.input_audio_tokens,
        "output_tokens": usage.output_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
        "output_audio_tokens": usage.output_audio_tokens,
        "web_searches": usage.web_searches,
    }
    # A unit's zero is said: genai-prices asks how many of an image's tokens were cached, say, where some tokens were.
    listed = ListedUsage(**({name: count for name, count in given.items() if count} | dict(units or {})))
    total: Decimal = prices.calc_price(listed)["total_price"]
    return Fraction(total) * NANOS_PER_DOLLAR
