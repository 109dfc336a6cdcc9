"""One gate's sign of life, and the rules that act only while it comes: asked of the gate, renewed when it answers."""

from __future__ import annotations

import contextlib
import socket
import time

from spendgate.redirect import messages
from spendgate.redirect.lapses import Lapse, Why
from spendgate.redirect.table import Table


class Pulse:
    """The rules' side of the socket to one gate. Never blocks on it."""

    def __init__(self, table: Table, gate: socket.socket) -> None:
        self._table, self._gate = table, gate
        self._gate.setblocking(False)
        self._asked = False
        self._renewed_s: float | None = None
        self._told = False
        """Whether this gate knows that the rules act for it."""
        self._lapse: Lapse | None = None
        """What it is still to be told."""
        self._port: int | None = None
        """Where it is, while it does not know that the rules lead there: it answers nothing before."""
        self.unable = False
        """Whether it lives, and has said that nothing is to be led to it."""

    def fileno(self) -> int:
        """For poll(2): readable when there is something to `hear`."""
        return self._gate.fileno()

    def close(self) -> None:
        """Hear this gate no more."""
        self._gate.close()

    @property
    def acts(self) -> bool:
        """Whether the rules act now, by what this gate has answered."""
        return self._renewed_s is not None and time.monotonic() - self._renewed_s < self._table.rules.timeout_ms / 1000

    def ask(self) -> None:
        """One question at a time: a gate that hangs finds one waiting, not a queue."""
        if self._port is not None:
            self._lead()
        if not self._asked:
            with contextlib.suppress(OSError):  # it has just closed its end
                self._asked = self._gate.send(messages.PULSE) > 0

    def hear(self) -> bool:
        """Take one message. False: the gate has closed its end."""
        try:
            packet = self._gate.recv(messages.PACKET_BYTES_MAX)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if packet in (messages.PULSE, messages.UNABLE):
            if self._asked:
                self._asked = False
                self._answered(able=packet == messages.PULSE)
        elif packet == messages.TOLD:
            self._table.told()
        elif packet:
            with contextlib.suppress(ValueError):
                self._named(packet)
        return bool(packet)

    def _answered(self, *, able: bool) -> None:
        was_unable, self.unable = self.unable, not able
        if not able:
            if not was_unable:
                self.pause(Why.UNABLE)
        elif self._table.act():
            self._renewed_s = time.monotonic()
            self._lapse = self._table.lapse or self._lapse
            if self._lapse is not None or not self._told:
                self._tell()

    def _tell(self) -> None:
        """That the rules act, and what that has ended; again the next time where it does not read."""
        with contextlib.suppress(OSError):
            self._gate.send(messages.pack_acting(messages.Acts(self._lapse, self._table.held_before)))
            self._told, self._lapse = True, None

    def hear_all(self) -> None:
        """What a gate that has ended still said: also that nothing is to be held."""
        for _ in range(messages.WAITING_MAX):
            if not self.hear():
                return

    def pause(self, why: Why = Why.GATE_GONE) -> None:
        """New connections go direct, or are held, from now on until the gate answers again."""
        self._renewed_s = None
        self._table.pause(why)

    def let_go(self) -> None:
        """New connections go direct from now on: the gate is being stopped by who may stop it."""
        self._renewed_s = None
        self._table.let_go()

    def _lead(self) -> None:
        """Have the rules lead there, and say so; again the next time where that fails."""
        if self._port is not None and self._table.lead_to(self._port):
            with contextlib.suppress(OSError):
                self._gate.send(messages.pack_leads(self._port))
                self._port = None

    def _named(self, packet: bytes) -> None:
        """Raises ValueError."""
        if (port := messages.port(packet)) is not None:
            if port != self._table.rules.port:
                self._renewed_s = None  # other rules, which do not act yet
            self._port = port
            self._lead()
            return
        held = messages.held(packet)
        if held is None:
            self._table.reject_quic_to(messages.addresses(packet))
        else:
            self._table.hold(held)
