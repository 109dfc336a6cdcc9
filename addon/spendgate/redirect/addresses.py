"""Providers' addresses: those that their names resolved to within the last hour. QUIC to them is rejected.

What this misses: an address of a provider's CDN that a client's own resolver gave it and ours never did. What it hits
besides: QUIC to other sites behind the same CDN address, which then goes over TCP.
"""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from spendgate.redirect.messages import ADDRESSES_MAX, plain_address

KEEP_S = 3600.0
SHARED_S = 86_400.0
SHARED_MAX = 8192


class ProviderAddresses:
    """Addresses with the steady-clock second each was last known to be a provider's, at most `ADDRESSES_MAX`, newest kept."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, float] = OrderedDict()

    def add(self, addresses: Iterable[str], now_s: float) -> bool:
        """Remember them. True when one of them is new."""
        fresh = False
        for text in addresses:
            fresh = fresh or text not in self._seen
            self._seen[text] = now_s
            self._seen.move_to_end(text)
        while len(self._seen) > ADDRESSES_MAX:
            self._seen.popitem(last=False)
        return fresh

    def current(self, now_s: float) -> frozenset[str]:
        """Those of the last hour."""
        return frozenset(text for text, at_s in self._seen.items() if now_s - at_s < KEEP_S)


class Shared:
    """Addresses at which another host than a provider's was named, with the steady-clock second of the last time.

    `SHARED_MAX` at most, the newest kept.
    """

    def __init__(self) -> None:
        self.providers: Mapping[str, str] = {}
        """Providers' known addresses, each with a host that it was resolved for."""
        self._seen: OrderedDict[str, float] = OrderedDict()

    def add(self, address: str, now_s: float) -> None:
        """Remember it."""
        self._seen[address] = now_s
        self._seen.move_to_end(address)
        if len(self._seen) > SHARED_MAX:
            self._seen.popitem(last=False)

    def current(self, now_s: float) -> frozenset[str]:
        """Those of the last day."""
        return frozenset(address for address, at_s in self._seen.items() if now_s - at_s < SHARED_S)


async def resolve(hosts: Iterable[str]) -> dict[str, str]:
    """Every address that the system's resolver gives for the names now, with the first name that has it.

    What does not resolve adds none, `*.domain` too. An address that no rule may name is left out: with it, all others would be
    refused.
    """
    loop = asyncio.get_running_loop()
    names = [host for host in hosts if "*" not in host]
    asked = (loop.getaddrinfo(host, 443, type=socket.SOCK_STREAM) for host in names)
    made: dict[str, str] = {}
    for host, answer in zip(names, await asyncio.gather(*asked, return_exceptions=True), strict=True):
        for entry in () if isinstance(answer, BaseException) else answer:
            if plain := plain_address(str(entry[4][0])):
                made.setdefault(plain, host)
    return made
