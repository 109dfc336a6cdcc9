"""The hosts that a policy adds (`capture.hosts`): whose rules their paths follow, and whose prices their calls have."""

from __future__ import annotations

from typing import Final, Protocol

from spendgate.providers.below import canonical
from spendgate.providers.registry_data import FAMILIES

_AZURE: Final = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")


class HostPolicy(Protocol):
    """One of a policy's `capture.hosts`."""

    @property
    def host(self) -> str: ...
    @property
    def dialect(self) -> str: ...
    @property
    def prices(self) -> str | None: ...
    @property
    def billing(self) -> str | None: ...


def family_of(added: HostPolicy) -> str:
    """The word in `registry_data.FAMILIES` of one of them; its dialect's may be none."""
    return "azure" if canonical(added.host).endswith(_AZURE) else added.dialect


def provider_of_host(added: HostPolicy) -> str:
    """The provider of calls to one of them: whose prices they have."""
    family = FAMILIES.get(family_of(added))
    return added.prices or (family.prices if family is not None else added.dialect)
