"""One price list entry opened for use: exact cards for each tier, and the dearest rates for bounds.

genai-prices takes 0.2 ms for a price, too long for each call of a busy gate. Within one price tier its price is linear in the
disjoint counts of `Usage`, so opening asks it once for the price of one unit of each count, and a `Card` keeps that exactly. A
property test compares cards with genai-prices' own answers to the nano-dollar.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from genai_prices.types import ModelPrice, TieredPrices

from spendgate.listed_prices import listed, listed_units, media_rates
from spendgate.price_cards import LEAVES, Card, Ladder, bound_rates, raised
from spendgate.price_change import PriceChange
from spendgate.usage import Usage

_LONG_WINDOW = 1_000_000
"""The long context window of models that have two (Claude Sonnet 4.5: 200,000 and, in a beta, this)."""


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
        at_list = listed_units(self.prices, usage, units)
        if self.change is None:
            return at_list
        if not self.change.rates:
            return at_list * self.change.factor
        card = self.cards[self.tier(usage.input_total)]
        return max(
            Fraction(0), Fraction(card.scaled(usage), card.scale) + at_list - listed_units(self.prices, usage, {})
        )

    def tier(self, input_tokens: int) -> int:
        """Index of the card whose tier this much input falls into: a tier begins above its start."""
        return bisect_left(self.starts, input_tokens)


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


def _probe(prices: ModelPrice, base: int) -> Card:
    """Ask genai-prices for the price of one more unit of each count, inside the tier that holds `base` input tokens."""
    floor = listed(prices, Usage(input_tokens=base))
    per_input = listed(prices, Usage(input_tokens=base + 1)) - floor
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
        units.append(listed(prices, Usage(**counts)) - floor)
    request = floor - per_input * base
    scale = lcm(*(unit.denominator for unit in (*units, request)))
    return Card(units=tuple(int(unit * scale) for unit in units), request=int(request * scale), scale=scale)
