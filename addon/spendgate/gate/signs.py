"""All of a call that its terms depend on: calls that are alike in it have the same terms (`terms.KnownTerms`)."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from spendgate.attribution import Attribution
from spendgate.gate.interface import Intent
from spendgate.model_names import family
from spendgate.providers.interface import Route


class Signs(NamedTuple):
    """All of a call that its terms depend on; fields as in `Attribution`, `Route` and `Ask`."""

    since: datetime
    """When the prices of its instant began to hold: of the list (`PriceBook.since`), and the policy's adjustments of them."""
    attribution: Attribution
    route: Route
    model: str | None
    """The one that the path names, else the body."""
    also: tuple[str, ...]
    api_key: str | None
    account: str | None
    billing: str
    service_tier: str | None
    speed: str | None
    context_window: int | None

    @classmethod
    def of(cls, intent: Intent, since: datetime) -> Signs:
        """The signs of one call."""
        ask, route = intent.ask, intent.route
        return cls(
            since, intent.attribution, route, route.model or ask.model, others_of(intent), ask.api_key, ask.account,
            route.billing or ask.billing, ask.service_tier, ask.speed, ask.context_window,
        )  # fmt: skip


def others_of(intent: Intent) -> tuple[str, ...]:
    """The other models that the call names, in its body and its path."""
    ask, route = intent.ask, intent.route
    also = tuple(dict.fromkeys((*ask.also, *route.also))) if route.also else ask.also
    if route.model and ask.model and route.model != ask.model and family(route.model) != family(ask.model):
        return (*also, ask.model)  # gateways differ in which of the two they obey
    return also
