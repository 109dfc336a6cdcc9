"""What this Spendgate knows by name, of what a policy and its cases may name freely."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from spendgate.config.prices import least_prices, listed_models
from spendgate.identity import tools
from spendgate.pricing import PriceBook
from spendgate.providers import client_program
from spendgate.providers.registry import STATING
from spendgate.providers.registry_data import PROVIDERS
from spendgate.review.doubts import Known

TOOLS: Final = tools.KNOWN | client_program.TOOLS
"""By their programs, and by what they say of themselves."""


def known_here() -> Known:
    """The models of the shipped price list, tools, and the hosts of each provider."""
    hosts = {name: tuple(provider.hosts) for name, provider in PROVIDERS.items()}
    listed = listed_models()
    own = {name: listed[name] for name in PROVIDERS if name in listed}
    return Known(tuple(PriceBook().model_ids()), TOOLS, hosts, STATING, own, least_prices(datetime.now(UTC)))
