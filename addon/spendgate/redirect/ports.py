"""Ports that are held before anything else is done: the wanted ones, or others where somebody has them already.

Any account may listen at a port of loopback while no gate does, before it is started and in the seconds of a restart. If the gate
ended there, whoever did that would switch capture off for everybody. So it takes others, the same for both families, since a rule
names one, and has the rules lead there (`Side.lead_to`).

It listens from then on, so that nobody can come in between: who connects by himself waits until the gate turns him away, and
the rules lead nothing to it before it answers the pulse.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from spendgate.attribution import Peer
from spendgate.errors import PortTaken, StateError
from spendgate.identity.interface import Address, Endpoints, Lookup

PORT_LEAST: Final = 1024
"""A gate has no privilege, and so none below."""
PORT_MOST: Final = 65_535
_SELDOM_TAKEN: Final = 49_152
"""From here on no port is anybody's own (RFC 6335): others are taken where all of these are."""
_WAITING: Final = 16
"""Connections that may wait; the gate lengthens it once it serves."""

Places = Callable[[int], tuple[Address, ...]]
"""Where it is to listen, by the port that the rules name."""
Sockets = dict[Address, socket.socket]


@dataclass(frozen=True, slots=True)
class Held:
    """What listens, at `port`."""

    port: int
    sockets: Sockets
    instead_of: Address | None = None
    """What was wanted and is somebody else's; None: what was wanted is held."""


def hold(at: Places, port: int, may_move: Callable[[PortTaken], None]) -> Held:
    """Listen at all of them, at `port` or, where one of them is taken, at another; `may_move` is asked before, and may raise.

    Raises PortTaken: somebody has every port that there is; StateError: an address is not to be had at all.
    """
    try:
        return Held(port, _all(at(port)))
    except PortTaken as fault:
        taken = fault
    may_move(taken)
    for other in _others():
        try:
            return Held(other, _all(at(other)), (taken.host, taken.port))
        except PortTaken:
            continue
    raise PortTaken(taken.port, f"{taken.why}, and so is every other port", "end what holds them", taken.host)


def listening_at(place: Address, lookup: Lookup) -> Peer:
    """Who listens there, as far as the kernel and `lookup` tell: without an account where somebody only reserves it."""
    host, port = place
    ends = Endpoints((host, port), ("::" if ":" in host else "0.0.0.0", 0))  # noqa: S104 - no address to listen at
    peer = lookup.owner(ends)
    return peer if peer.uid is None else lookup.process(peer, ends)


def _all(places: tuple[Address, ...]) -> Sockets:
    held: Sockets = {}
    try:
        for place in places:
            held[place] = _listening(place)
    except BaseException:
        for each in held.values():
            each.close()
        raise
    return held


def _listening(place: Address) -> socket.socket:
    """As asyncio would make it."""
    host, port = place
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(place)
        made.listen(_WAITING)
        made.setblocking(False)
    except OSError as fault:
        made.close()
        why = f"port {port} of {host} cannot be listened on: {os.strerror(fault.errno or 0)}"
        if fault.errno == errno.EADDRINUSE:
            raise PortTaken(port, why, "choose another with --port", host) from fault
        raise StateError(f"{why}; choose another with --port") from fault
    return made


def _others() -> Iterator[int]:
    """Every port below the last, which has none behind it for containers, in an order that nobody foresees."""
    for least, end in ((_SELDOM_TAKEN, PORT_MOST), (PORT_LEAST, _SELDOM_TAKEN)):
        yield from secrets.SystemRandom().sample(range(least, end), end - least)
