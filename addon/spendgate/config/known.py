"""What this Spendgate knows by name, against which a policy's words are checked: providers, dialects, hosts, price lists."""

from __future__ import annotations

from typing import Final

from spendgate.config import prices
from spendgate.config.people import Known
from spendgate.providers.registry import HOST_DIALECTS, PROVIDER_HOSTS, PROVIDER_NAMES

KNOWN: Final = Known(
    providers=PROVIDER_NAMES, dialects=HOST_DIALECTS, hosts=PROVIDER_HOSTS, price_lists=prices.list_names()
)
