"""What an operating system must answer about the other end of a connection. One module per system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from spendgate.attribution import Peer


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The client's socket as the kernel sees it: local is the client's own address, remote is where it believes it connects.

    In regular mode remote is the gate's listener; in transparent mode it is the original destination (gate.md, Attribution).
    """

    local: tuple[str, int]
    remote: tuple[str, int]


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
