"""One gate's sign of life, and the rules that act only while it comes: asked of the gate, renewed when it answers."""

from __future__ import annotations

import contextlib
import socket
import sys
import time

from spendgate.errors import StateError
from spendgate.redirect import messages, nftables
from spendgate.redirect.nftables import Rules


class Pulse:
    """The rules' side of the socket to one gate. Never blocks on it."""

    def __init__(self, rules: Rules, gate: socket.socket) -> None:
        self._rules, self._gate = rules, gate
        self._gate.setblocking(False)
        self._asked = False
        self._targets: frozenset[str] = frozenset()
        self._renewed_s: float | None = None
        self.fault = ""
        """Why the rules could not be renewed; empty where they could."""

    def fileno(self) -> int:
        """For poll(2): readable when there is something to `hear`."""
        return self._gate.fileno()

    def close(self) -> None:
        """Hear this gate no more."""
        self._gate.close()

    @property
    def acts(self) -> bool:
        """Whether the rules act now, by what this gate has answered."""
        return self._renewed_s is not None and time.monotonic() - self._renewed_s < self._rules.timeout_ms / 1000

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
                self._renew()
        elif packet:
            with contextlib.suppress(ValueError):
                self._targets = messages.addresses(packet)
                self.attempt(nftables.quic_targets(self._targets))
        return bool(packet)

    def pause(self) -> None:
        """New connections go direct, from now on until the gate answers again."""
        self._renewed_s = None
        self.attempt(nftables.PAUSE)

    def attempt(self, commands: str) -> bool:
        """One transaction; False, and told once, where it fails."""
        try:
            nftables.apply(commands)
        except StateError as error:
            if str(error) != self.fault:
                say(f"traffic goes direct: {error}")
            self.fault = str(error)
            return False
        self.fault = ""
        return True

    def _renew(self) -> None:
        """Let the rules act on. Where they have gone (a firewall service that flushes and reloads), put them back."""
        done = self.attempt(nftables.sign_of_life(self._rules))
        if not done:
            again = nftables.ruleset(self._rules) + nftables.quic_targets(self._targets)
            done = self.attempt(again + nftables.sign_of_life(self._rules))
        if done:
            self._renewed_s = time.monotonic()


def say(what: str) -> None:
    """One line on stderr: root's processes load neither the command line nor its styles."""
    sys.stderr.write(f"spendgate: {what}\n")
    sys.stderr.flush()
