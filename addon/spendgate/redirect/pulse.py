"""One gate's sign of life, and the rules that act only while it comes: asked of the gate, renewed when it answers."""

from __future__ import annotations

import contextlib
import socket
import time

from spendgate.redirect import messages
from spendgate.redirect.table import Table


class Pulse:
    """The rules' side of the socket to one gate. Never blocks on it."""

    def __init__(self, table: Table, gate: socket.socket) -> None:
        self._table, self._gate = table, gate
        self._gate.setblocking(False)
        self._asked = False
        self._renewed_s: float | None = None

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
        if packet == messages.PULSE:
            if self._asked:
                self._asked = False
                if self._table.act():
                    self._renewed_s = time.monotonic()
        elif packet:
            with contextlib.suppress(ValueError):
                self._named(packet)
        return bool(packet)

    def hear_all(self) -> None:
        """What a gate that has ended still said: also that nothing is to be held."""
        for _ in range(messages.WAITING_MAX):
            if not self.hear():
                return

    def pause(self) -> None:
        """New connections go direct, or are held, from now on until the gate answers again."""
        self._renewed_s = None
        self._table.pause()

    def let_go(self) -> None:
        """New connections go direct from now on: the gate is being stopped by who may stop it."""
        self._renewed_s = None
        self._table.let_go()

    def _named(self, packet: bytes) -> None:
        """Raises ValueError."""
        held = messages.held(packet)
        if held is None:
            self._table.reject_quic_to(messages.addresses(packet))
        else:
            self._table.hold(held)
