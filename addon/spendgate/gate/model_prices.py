"""What one model's calls may cost at one instant, by the price list and the policy's changes of it. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from spendgate.gate.signs import Signs
from spendgate.policy import UnknownModel
from spendgate.price_cards import UNPRICED, Ladder, Rates, dearest
from spendgate.price_change import PriceChange
from spendgate.price_lists import Lists
from spendgate.pricing import PriceBook, UnknownPrice, utc
from spendgate.providers.interface import Route

UNPRICED_SPEED = "a speed without a price"
_PROJECT_TIERS = (None, "auto", "priority")
"""OpenAI: `auto`, also where nothing is asked for, is the tier of the project's settings, which no request shows."""


class ModelPrices(NamedTuple):
    """One model's prices at one instant."""

    book: PriceBook
    lists: str | Lists
    model: str | None
    at: datetime
    change: PriceChange | None = None

    def dearest(self, tier: str | None, speed: str | None) -> Ladder | None:
        """The dearest price of each class over every service tier that may apply, at the speed asked for and at none.

        None: no price is known.
        """
        words = ("standard", "priority") if tier in _PROJECT_TIERS else ("standard", tier or "standard")
        contexts = [{"service_tier": word} for word in dict.fromkeys(words)]
        if speed is not None:
            contexts += [{**context, "speed": speed} for context in contexts]
        found = [self._ladder(context) for context in contexts]
        known = [ladder for ladder in found if not isinstance(ladder, UnknownPrice)]
        return dearest(known) if len(known) == len(found) else None

    def reach(self, signs: Signs, route: Route) -> Ladder | None:
        """The dearest that a call with these signs can reach; None: no price is known.

        A provider that may state what it bills is charged as it states, which no adjustment lowers.
        """
        found = self.dearest(signs.service_tier, signs.speed)
        if found is None or self.change is None or not route.states_cost:
            return found
        listed = self._replace(change=None).dearest(signs.service_tier, signs.speed)
        return found if listed is None else dearest([found, listed])

    def unpriced_speed(self, speed: str | None) -> tuple[str, ...]:
        """The flag of a speed that the price list does not know: the provider may charge more for it than is written down."""
        if speed in (None, "standard"):
            return ()
        found = self._ladder({"speed": speed})
        known = not isinstance(found, UnknownPrice) and "speed=" in found.upto(None).source
        return () if known else (UNPRICED_SPEED,)

    def _ladder(self, context: dict[str, str]) -> Ladder | UnknownPrice:
        return self.book.ladder(self.lists, self.model, at=self.at, context=context, change=self.change)


def rates_of(
    prices: PriceBook, lists: str | Lists, model: str | None, at_ms: int, unknown: UnknownModel, *,
    change: PriceChange | None = None,
) -> Rates:  # fmt: skip
    """The rates that sizes of a model are learned by: the same for every call of it, whatever its tier."""
    found = ModelPrices(prices, lists, model, utc(at_ms), change).dearest(None, None)
    return (found or rates_unknown(unknown)).upto(None)


def rates_unknown(unknown: UnknownModel) -> Ladder:
    """The policy's price of a model whose price nobody knows. It has no context window, so packed input has no bound."""
    each = unknown.input_nanos
    return Ladder((), (Rates(each, each, each, each, each, unknown.output_nanos, 0, 0, None, UNPRICED),))
