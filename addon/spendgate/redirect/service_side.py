"""The gate's side of the two services beside it, which systemd starts and stops by themselves.

One that has gone is started again, so that the gate goes on, serves what comes, and connects again. As under root, the pulse is
answered on the event loop that carries the traffic.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from dataclasses import replace
from pathlib import Path

from spendgate.redirect import door, messages
from spendgate.redirect.ahead import heard
from spendgate.redirect.gate_side import SERVED, AskingLookup, Served, let_go
from spendgate.redirect.lapses import Acting, Lapse, Why
from spendgate.redirect.ruleset import TIMEOUT_MS
from spendgate.redirect.table import now

logger = logging.getLogger(__name__)
_CONNECT_EVERY_S = 1.0
_LED_WITHIN_S = 5.0
_OLDER = (
    "traffic goes direct: what redirects does not lead it to port %s, where this gate is; is it of an older version? "
    "`systemctl restart spendgate-redirect`"
)


class ServiceSide:
    """What a gate that is a service of its own has of the two beside it: it connects, and connects again where they were started
    again. While they are away, it serves what comes."""

    def __init__(self, rules: Path = door.RULES, questions: Path = door.QUESTIONS) -> None:
        self.lookup = AskingLookup(None, lambda: door.connected(questions))
        self._place = rules
        self._pulse: socket.socket | None = None
        self._targets: frozenset[str] = frozenset()
        self._held: frozenset[str] | None = None
        """None: not known yet, so that what an earlier gate had held stays held."""
        self._attending: asyncio.Task[None] | None = None
        self._acting = Acting(TIMEOUT_MS)
        """As this side knows it: what redirects forgets it when it ends."""
        self._own: Lapse | None = None
        """What the first answer to this connection's pulse has ended, by that."""
        self._first = True
        """Whether this connection's pulse has not been answered yet."""
        self._served = SERVED
        self._port: int | None = None
        """Where the gate is, if not where the rules were made to lead."""
        self._led = True
        """Whether this connection's rules lead there."""
        self._owed = False
        """Whether a pulse waits for that."""
        self._closed = asyncio.Event()
        """Whether the other side has closed this connection."""
        self._ending = False

    def attend(self, loop: asyncio.AbstractEventLoop, served: Served = SERVED) -> None:
        """As `Side` says."""
        self._served = served
        self._acting.renewed(now())  # from here on something should lead to it, whether it ever does or not
        self._attending = loop.create_task(self._attend(loop))

    def reject_quic_to(self, addresses: frozenset[str]) -> None:
        """As `Side` says; kept for the service that comes next."""
        self._targets = addresses
        self._send(messages.pack_addresses(addresses))

    def hold(self, addresses: frozenset[str]) -> None:
        """As `Side` says; kept likewise."""
        self._held = addresses
        self._acting.holds(now(), held=bool(addresses))
        self._send(messages.pack_held(addresses))

    def lead_to(self, port: int) -> None:
        """As `Side` says; told to the service that comes next, too."""
        self._port = port

    async def ends(self) -> None:
        """As `Side` says. What redirects may end with it, as where the machine does, and need not tell it again."""
        if gone := self._pulse is None:
            self._acting.if_lapsed(Why.RULES_GONE)
        if (lapse := self._acting.lasts(now())) is not None:
            self._served.lapsed(_went(lapse, None) if gone else lapse)
            self._send(messages.TOLD)
        self.hold(frozenset())
        self._ending = True  # it connects no more
        if self._pulse is not None:
            await let_go(self._pulse, self._closed)

    async def _attend(self, loop: asyncio.AbstractEventLoop) -> None:
        """One connection after the other, until cancelled."""
        told = ""
        while not self._ending:
            try:
                self._pulse = door.connected(self._place)
            except OSError as fault:
                if str(fault) != told:
                    logger.warning(
                        "traffic goes direct: what redirects it cannot be reached (%s)", fault.strerror or fault
                    )
                told = str(fault)
            else:
                told = ""
                await self._until_closed(loop, self._pulse)
            await asyncio.sleep(_CONNECT_EVERY_S)

    async def _until_closed(self, loop: asyncio.AbstractEventLoop, pulse: socket.socket) -> None:
        """Heard ahead of the traffic, not in a task that waits: the answer is the loop's."""
        self._closed = closed = asyncio.Event()
        self._first = True
        self._led, self._owed = self._port is None, False
        late = loop.call_later(_LED_WITHIN_S, self._is_led)

        def on_pulse() -> bool:
            packet = messages.received(pulse)
            if packet and self._port is not None and messages.leads(packet, self._port):
                self._led = True
                packet = messages.PULSE if self._owed else packet
            if packet == messages.PULSE:
                self._owed = not self._led
                if self._led:
                    self._answer()
            elif packet == b"":
                closed.set()
            elif packet and (told := messages.acting(packet)):
                self._acts(told)
            return packet != b""

        if self._port is not None:
            self._send(messages.pack_port(self._port))
        self._send(messages.pack_addresses(self._targets))
        if self._held is not None:
            self._send(messages.pack_held(self._held))
        heard(loop, pulse, on_pulse)
        try:
            await closed.wait()
        finally:
            late.cancel()
            self._pulse = None
            with contextlib.suppress(OSError):  # the other side has gone
                pulse.shutdown(socket.SHUT_RDWR)
            pulse.close()

    def _is_led(self) -> None:
        if not self._led:
            logger.warning(_OLDER, self._port)

    def _answer(self) -> None:
        if not self._served.able():
            self._acting.ended(now(), Why.UNABLE)
            self._send(messages.UNABLE)
            return
        if self._first:
            self._acting.if_lapsed(Why.RULES_GONE)
        lapse = self._acting.renewed(now())
        self._own = lapse if self._first else None
        self._first = False
        self._send(messages.PULSE)

    def _acts(self, acts: messages.Acts) -> None:
        """One lapse is told once. The other side knows it best, unless it was started again meanwhile: then it began before."""
        own = None if self._own is None else _went(self._own, acts.held_before)
        if found := [each for each in (acts.lapse, own) if each is not None]:
            self._served.lapsed(min(found, key=lambda each: each.from_ms))
        self._own = None

    def _send(self, packet: bytes) -> None:
        if self._pulse is not None:
            with contextlib.suppress(OSError):  # stopped or gone: the rules end by themselves
                self._pulse.send(packet)


def _went(own: Lapse, held_before: bool | None) -> Lapse:
    """With what is known of how calls went: what redirects lets them go direct where it is stopped, and holds on where it is
    killed, which the gate does not see and the next one finds (`held_before`). Pure."""
    if own.held == held_before or (held_before is None and not own.held):
        return own
    return replace(own, held=False if own.why is Why.RULES_GONE and held_before is False else None)
