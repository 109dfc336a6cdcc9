"""What a gate under transparent capture listens with, whoever has its ports (Linux).

Where somebody has the one that the rules lead to, they lead to another. Beside it a proxy's port is what variables name, so that
another one helps nobody who goes by them; the gate takes one all the same, since what is redirected must not depend on it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial

from spendgate.capture.movable import movable
from spendgate.cli import own_service
from spendgate.cli.wanted import Wanted
from spendgate.errors import PortTaken
from spendgate.identity.interface import Address, Lookup
from spendgate.redirect.ports import Sockets, hold, listening_at
from spendgate.redirect.supervisor import Settings, held, listeners


@dataclass(frozen=True, slots=True)
class Listening:
    """What listens already."""

    wanted: Wanted
    """With the modes that the rules lead to in place of `transparent`, each where it is."""
    sockets: Sockets
    port: int
    """Where the rules must lead."""


def listening(wanted: Wanted, settings: Settings, lookup: Lookup) -> Listening:
    """Listen. Raises StateError: another gate has the port, or there is none to be had; with who has it."""

    def may_move(taken: PortTaken) -> None:
        """Another gate is no squatter: two of them would set the rules by turns."""
        if own_service.has(taken.port) or listening_at((taken.host, taken.port), lookup).uid == os.geteuid():
            raise taken

    try:
        led = held(settings, may_move)
        sockets, modes, told = dict(led.sockets), list(listeners(replace(settings, port=led.port))), []
        if led.instead_of:
            told.append(f"{_taken(led.instead_of, lookup)}: what is redirected comes in at port {led.port} instead")
        for text in (mode for mode in wanted.modes if mode != "transparent"):
            mode = movable(text)
            if mode is None:
                modes.append(text)  # opened as ever
                continue
            found = hold(partial(_alone, mode.host), mode.port, may_move)
            sockets |= found.sockets
            modes.append(mode.at(found.port))
            if found.instead_of:
                told.append(
                    f"{_taken(found.instead_of, lookup)}: {mode.name} listens at port {found.port} instead, "
                    "and what goes by a proxy variable does not reach the gate"
                )
    except PortTaken as taken:
        raise own_service.told(taken, lookup) from taken
    wanted = replace(wanted, modes=tuple(modes), port=None, held=frozenset(sockets), taken=tuple(told))
    return Listening(wanted, sockets, led.port)


def _alone(host: str, port: int) -> tuple[Address, ...]:
    return ((host, port),)


def _taken(place: Address, lookup: Lookup) -> str:
    host, port = place
    who = own_service.holder(place, lookup) or "another program"
    return f"port {port} of {f'[{host}]' if ':' in host else host} is taken by {who}"
