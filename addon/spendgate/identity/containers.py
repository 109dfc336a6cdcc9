"""Connections that come from a container by a bridge of this machine: no account of the machine is behind them.

Whose they are is therefore no word of the kernel's. Either the administrator says so for a range of addresses, or nobody does,
and the policy's `unknown_people` applies. A container can take another address of its range, and so another container's, but no
account's: what the kernel knows goes first, and an address of this machine itself is no container's.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from spendgate.attribution import Evidence, Peer
from spendgate.errors import UsageError
from spendgate.identity.interface import Endpoints, Lookup

IN_CONTAINER: Final = "it came by a bridge, as from a container: no account of this machine is behind it"
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")
_WIDEST: Final = {4: 8, 6: 7}
"""The shortest prefixes of ranges that are private: 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193)."""


@dataclass(frozen=True, slots=True)
class Range:
    """Addresses of containers, and the account that they count for; None: nobody's."""

    network: IPv4Network | IPv6Network
    account: str | None = None

    def __str__(self) -> str:
        return f"{self.network}={self.account}" if self.account else str(self.network)


def ranges(texts: Iterable[str]) -> tuple[Range, ...]:
    """Of `RANGE` or `RANGE=ACCOUNT`, in the order given. Raises UsageError, also for two that have an address in common."""
    found: list[Range] = []
    for text in texts:
        made = _range(text)
        for other in found:
            if other.network.version == made.network.version and other.network.overlaps(made.network):
                raise UsageError(f"--containers {text}: has addresses in common with {other.network}")
        found.append(made)
    return tuple(found)


def _range(text: str) -> Range:
    written, named, account = text.partition("=")
    try:
        if "/" not in written:
            raise ValueError(f"{written} does not say how wide it is (/32 is one address)")
        network = ip_network(written)
    except ValueError as fault:
        raise UsageError(
            f"--containers {text}: {fault}; write a range of addresses, as 172.16.0.0/12, and =ACCOUNT"
        ) from None
    if network.prefixlen < _WIDEST[network.version] or network.is_loopback or network.is_multicast:
        raise UsageError(f"--containers {text}: no range of containers is so wide, or there")
    if named and not _ACCOUNT.fullmatch(account):
        raise UsageError(f"--containers {text}: {account!r} is no account's name")
    return Range(network, account or None)


def of(address: str, listed: Iterable[Range]) -> Range | None:
    """The range that an address is in."""
    found = ip_address(address)
    return next((each for each in listed if found in each.network), None)


class BridgedLookup:
    """The `Lookup` of a gate to which bridges are led, around the system's own."""

    def __init__(self, inner: Lookup, listed: tuple[Range, ...]) -> None:
        self._inner = inner
        self._listed = listed

    def owner(self, ends: Endpoints) -> Peer:
        """What the kernel knows; where it knows nobody, what is said of the range."""
        peer = self._inner.owner(ends)
        if peer.uid is not None:
            return peer
        found = of(ends.local[0], self._listed)
        if found is None or _is_this_machines(ends.local[0]):
            return peer
        if found.account is None:
            return Peer(why_unknown=IN_CONTAINER)
        return Peer(account=found.account, evidence=Evidence.POLICY, why_unknown=IN_CONTAINER)

    def process(self, peer: Peer, ends: Endpoints) -> Peer:
        """Nothing of a container's process: it is in namespaces of its own."""
        return peer if peer.uid is None else self._inner.process(peer, ends)


def _is_this_machines(address: str) -> bool:
    """Whether the address is this machine's: only those can be bound."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
