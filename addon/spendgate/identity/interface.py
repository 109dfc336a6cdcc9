"""What an operating system must answer about the other end of a connection. One module per system."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Protocol

from spendgate.attribution import Peer

Address = tuple[str, int]
"""An IP address as text, and a port."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The client's socket as the kernel sees it: local is the client's own address, remote is where it believes it connects.

    In regular mode remote is the gate's listener; in transparent mode it is the original destination (gate.md, Attribution).
    """

    local: Address
    remote: Address
    pid: int | None = None
    """The process that opened it, where the system's redirector says so (macOS, Windows): then the addresses may be anything."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A TCP connection of this machine, as the system's table has it."""

    local: Address
    remote: Address
    pid: int | None
    """None: nobody's any more, or another account's, which this one may not see."""
    open: bool = True
    """Established, or about to be."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process that runs."""

    pid: int
    account: str
    path: str
    """Of its program's file; its name where that is not shown."""
    tool: str
    """Empty: not known."""
    browser: str | None
    """As `Peer.browser`."""


class Lookup(Protocol):
    """Asks the operating system. Must be called when the connection opens: later the process may have gone."""

    def owner(self, ends: Endpoints) -> Peer:
        """Account and cgroup of the socket's owner: fast (0.03 ms on Linux), never blocks, never raises.

        With its pid, and all that `process` tells, where that is at hand: `process` need not be asked then.

        A socket that the kernel no longer ties to a process is `Peer(why_unknown=…)`, never root.
        """
        ...

    def process(self, peer: Peer, ends: Endpoints) -> Peer:
        """The same peer with pid, process, path, project where allowed: may take milliseconds, is called off the loop."""
        ...


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address the kernel files a connection under: no zone, and IPv4 where it is IPv4 mapped into IPv6. Raises ValueError."""
    parsed = ipaddress.ip_address(text.partition("%")[0])
    return getattr(parsed, "ipv4_mapped", None) or parsed
