"""To which addresses QUIC is rejected: those the providers' names resolved to within the last hour, and those seen in use.

What this misses: an address of a provider's CDN that a client's own resolver gave it and ours never did. A client that first
connects over TCP, as all do that learn of QUIC from an answer's `alt-svc`, shows its address to the gate by that. What it
hits besides: QUIC to other sites behind the same CDN address, which then goes over TCP, too.
"""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterable

from spendgate.redirect.messages import ADDRESSES_MAX

KEEP_S = 3600.0
RESOLVE_EVERY_S = 300.0


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


async def resolve(hosts: Iterable[str]) -> frozenset[str]:
    """Every address that the system's resolver gives for the names now; what does not resolve adds none, `*.domain` too."""
    loop = asyncio.get_running_loop()
    found = await asyncio.gather(
        *(loop.getaddrinfo(host, 443, type=socket.SOCK_STREAM) for host in hosts if "*" not in host),
        return_exceptions=True,
    )
    answers = (answer for answer in found if not isinstance(answer, BaseException))
    return frozenset(str(entry[4][0]) for answer in answers for entry in answer)


async def keep_rejecting(
    hosts: tuple[str, ...], reject: Callable[[frozenset[str]], None], known: ProviderAddresses | None = None
) -> None:
    """Resolve the names every five minutes and hand on what is known, until cancelled.

    `reject` is `GateSide.reject_quic_to`. Give `known` to add addresses that captured connections went to.
    """
    loop = asyncio.get_running_loop()
    known = known or ProviderAddresses()
    while True:
        known.add(await resolve(hosts), loop.time())
        reject(known.current(loop.time()))
        await asyncio.sleep(RESOLVE_EVERY_S)
