"""The gate's side of the two sockets to root; to the two services beside it: `service_side`.

It shows that it is alive, names QUIC targets and what is held while it is gone, and asks about processes.

The pulse is answered on the event loop that carries the traffic, in its next turn (`ahead`), so that a loop that hangs puts
traffic back on its direct way, and one that is busy does not. When root has gone, the rules act for `timeout_ms` more; the gate
serves that long and then ends itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from spendgate.attribution import Peer
from spendgate.identity.interface import Endpoints
from spendgate.identity.linux import LinuxLookup
from spendgate.redirect import messages
from spendgate.redirect.ahead import heard
from spendgate.redirect.lapses import Acting, Lapse, Why
from spendgate.redirect.table import now

_ANSWER_WITHIN_S = 2.0
_LET_GO_WITHIN_S = 1.0
NO_ANSWER = "the process could not be asked for in time"


def _nobody(_lapse: Lapse) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Served:
    """What the gate behind the side is asked and told. On its event loop."""

    able: Callable[[], bool] = lambda: True
    """Whether it can serve what is led to it. While it cannot, nothing is: as where it is gone."""
    lapsed: Callable[[Lapse], None] = _nobody
    """Told of each stretch in which nothing was led to it, or to the gates before it, once that is over."""


SERVED: Final = Served()


class Side(Protocol):
    """What a redirected gate has of what redirects."""

    @property
    def lookup(self) -> AskingLookup:
        """Who knows the processes behind connections."""

    def attend(self, loop: asyncio.AbstractEventLoop, served: Served = SERVED) -> None:
        """Answer the pulse from now on: from here traffic is captured. Call it when every listener accepts."""

    def reject_quic_to(self, addresses: frozenset[str]) -> None:
        """Make these the only addresses to which QUIC is rejected."""

    def hold(self, addresses: frozenset[str]) -> None:
        """Make these the only addresses that are refused while no gate answers; none: what goes there then goes direct."""

    def lead_to(self, port: int) -> None:
        """The gate is at this port, not where the rules were made to lead: it gives no sign of life before they lead there.

        Call it before `attend`.
        """

    async def ends(self) -> None:
        """The gate is stopped by who may stop it: call it while every listener still accepts.

        Nothing is held, and nothing led to it when this is over; a lapse that lasts is told where nobody else will.
        """


async def let_go(pulse: socket.socket, closed: asyncio.Event) -> None:
    """Close our end, and wait until the other side has closed its own, which it does when nothing is led here any more.

    Not for long: one that hangs lets go by itself, and the gate ends meanwhile.
    """
    with contextlib.suppress(OSError, TimeoutError):
        pulse.shutdown(socket.SHUT_WR)
        await asyncio.wait_for(closed.wait(), _LET_GO_WITHIN_S)


class AskingLookup:
    """The `Lookup` of an unprivileged gate: account and cgroup from the kernel, the process from who may see it.

    `again` connects anew, where that can be done: without `questions` at first, and after the other side has gone.
    """

    def __init__(self, questions: socket.socket | None, again: Callable[[], socket.socket] | None = None) -> None:
        self._kernel = LinuxLookup()
        self._questions = questions
        if questions is not None:
            questions.settimeout(_ANSWER_WITHIN_S)
        self._again = again
        self._number = 0
        self._one_at_a_time = threading.Lock()

    def close(self) -> None:
        """Ask nobody any more."""
        if self._questions is not None:
            self._questions.close()

    def owner(self, ends: Endpoints) -> Peer:
        """Account and cgroup, asked by the gate itself."""
        return self._kernel.owner(ends)

    def process(self, peer: Peer, ends: Endpoints) -> Peer:
        """The peer with what root knows of its process; as it was, with the reason, when no answer comes."""
        if peer.uid is None:
            return peer
        try:
            with self._one_at_a_time:
                return self._ask(peer, ends)
        except (OSError, ValueError):
            return replace(peer, why_unknown=NO_ANSWER)

    def _ask(self, peer: Peer, ends: Endpoints) -> Peer:
        try:
            return self._asked(self._line(), peer, ends)
        except TimeoutError:
            raise  # it is there, and busy: an answer that comes late is known by its number
        except OSError:
            if self._again is None:
                raise
        if self._questions is not None:
            self._questions.close()
            self._questions = None
        return self._asked(self._line(), peer, ends)

    def _line(self) -> socket.socket:
        if self._questions is None and self._again is not None:
            self._questions = self._again()
            self._questions.settimeout(_ANSWER_WITHIN_S)
        if self._questions is None:
            raise OSError("nobody can be asked")
        return self._questions

    def _asked(self, questions: socket.socket, peer: Peer, ends: Endpoints) -> Peer:
        self._number += 1
        questions.send(messages.pack_question(self._number, peer.uid or 0, ends))
        while packet := questions.recv(messages.PACKET_BYTES_MAX):
            number, told = messages.answer(packet, peer)
            if number == self._number:  # an older number is the answer to a question that was given up
                return told
        raise OSError("the other side has closed the socket")


class GateSide:
    """What `supervise` hands to the gate's main function."""

    def __init__(self, pulse: socket.socket, questions: socket.socket, timeout_ms: int) -> None:
        self.lookup = AskingLookup(questions)
        self._pulse = pulse
        self._pulse.setblocking(False)
        self._timeout_ms = timeout_ms
        self._acting = Acting(timeout_ms)
        """As this side knows it: root ends with its gate, and tells nobody of a lapse in which that is."""
        self._served = SERVED
        self._port: int | None = None
        """Where the rules must lead yet; None: they do."""
        self._owed = False
        """Whether a pulse waits for that."""
        self._closed = asyncio.Event()
        self._ending = False

    def attend(self, loop: asyncio.AbstractEventLoop, served: Served = SERVED) -> None:
        """As `Side` says."""
        self._served = served
        self._acting.renewed(now())
        heard(loop, self._pulse, lambda: self._on_pulse(loop))

    def reject_quic_to(self, addresses: frozenset[str]) -> None:
        """Make these the only addresses to which QUIC is rejected; dropped silently while root is stopped or gone."""
        self._send(messages.pack_addresses(addresses))

    def hold(self, addresses: frozenset[str]) -> None:
        """As `Side` says; dropped likewise."""
        self._acting.holds(now(), held=bool(addresses))
        self._send(messages.pack_held(addresses))

    def lead_to(self, port: int) -> None:
        """As `Side` says."""
        self._port = port
        self._send(messages.pack_port(port))

    async def ends(self) -> None:
        """As `Side` says."""
        if (lapse := self._acting.lasts(now())) is not None:
            self._served.lapsed(lapse)
        self.hold(frozenset())
        self._ending = True
        await let_go(self._pulse, self._closed)

    def _on_pulse(self, loop: asyncio.AbstractEventLoop) -> bool:
        packet = messages.received(self._pulse)
        if packet and self._port is not None and messages.leads(packet, self._port):
            self._port = None
            packet = messages.PULSE if self._owed else packet
        if packet == messages.PULSE:
            self._owed = self._port is not None
            if not self._owed:
                self._send(messages.PULSE if self._able() else messages.UNABLE)
        elif packet == b"":
            self._closed.set()
            if not self._ending:
                self._acting.if_lapsed(Why.RULES_GONE)
                loop.call_later(self._timeout_ms / 1000, os.kill, os.getpid(), signal.SIGTERM)
        elif packet and (told := messages.acting(packet)) and told.lapse is not None:
            self._served.lapsed(told.lapse)
        return packet != b""

    def _able(self) -> bool:
        if able := self._served.able():
            self._acting.renewed(now())
        else:
            self._acting.ended(now(), Why.UNABLE)
        return able

    def _send(self, packet: bytes) -> None:
        try:
            self._pulse.send(packet)
        except OSError:
            pass  # root is stopped or gone: the rules end by themselves
