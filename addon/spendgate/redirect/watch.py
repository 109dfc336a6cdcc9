"""Root's loop: renews the rules while the gate answers, ends the gate when asked to, ends when the gate has ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator

from spendgate.errors import StateError
from spendgate.redirect import messages, nftables
from spendgate.redirect.nftables import Rules

_STOPPERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_END_WITHIN_S = 15.0
_ENDS_TOGETHER_MS = 1000
"""The clerk sees the gate's socket close before root sees the gate end."""


class Watch:
    """Watches one gate and its clerk. `pulse` is root's end of the socket to the gate, `gate` and `clerk` are pids."""

    def __init__(self, rules: Rules, pulse: socket.socket, gate: int, clerk: int) -> None:
        self._rules, self._pulse, self._gate, self._clerk = rules, pulse, gate, clerk
        self._gate_fd, self._clerk_fd = os.pidfd_open(gate), os.pidfd_open(clerk)
        self._pulse.setblocking(False)
        self._asked = False
        self._targets: frozenset[str] = frozenset()
        self._fault = ""

    def until_the_gate_ends(self) -> int:
        """The gate's exit status, 128 + signal where it was killed."""
        with _signals() as signals:
            poll = select.poll()
            for watched in (self._gate_fd, self._clerk_fd, self._pulse.fileno(), signals):
                poll.register(watched, select.POLLIN)
            pause_s = self._rules.timeout_ms / 3000
            next_s = time.monotonic()
            while True:
                ready = {fd for fd, _ in poll.poll(max(0.0, next_s - time.monotonic()) * 1000)}
                if self._gate_fd in ready:
                    break
                if signals in ready:
                    self._end(os.read(signals, 1)[0], signals)
                    break
                if self._clerk_fd in ready:
                    if _ends(self._gate_fd, _ENDS_TOGETHER_MS):
                        break
                    self._say("the process that answers for connections has ended; stopping")
                    self._end(signal.SIGTERM, signals)
                    break
                if self._pulse.fileno() in ready and not self._hear():
                    poll.unregister(self._pulse.fileno())
                if time.monotonic() >= next_s:
                    next_s = time.monotonic() + pause_s
                    self._ask()
        self._reap_clerk()
        return _status(self._gate)

    def _ask(self) -> None:
        """One question at a time: a gate that hangs finds one waiting, not a queue."""
        if not self._asked:
            with contextlib.suppress(OSError):  # it has just closed its end; its pid says the rest
                self._asked = self._pulse.send(messages.PULSE) > 0

    def _hear(self) -> bool:
        """Take one message. False: the gate has closed its end."""
        try:
            packet = self._pulse.recv(messages.PACKET_BYTES_MAX)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if packet == messages.PULSE:
            self._asked = False
            self._renew()
        elif packet:
            with contextlib.suppress(ValueError):
                self._targets = messages.addresses(packet)
                self._attempt(nftables.quic_targets(self._targets))
        return bool(packet)

    def _renew(self) -> None:
        """Let the rules act on. Where they have gone (a firewall service that flushes and reloads), put them back."""
        if not self._attempt(nftables.sign_of_life(self._rules)):
            again = nftables.ruleset(self._rules) + nftables.quic_targets(self._targets)
            self._attempt(again + nftables.sign_of_life(self._rules))

    def _attempt(self, commands: str) -> bool:
        try:
            nftables.apply(commands)
        except StateError as error:
            if str(error) != self._fault:
                self._say(f"traffic goes direct: {error}")
            self._fault = str(error)
            return False
        self._fault = ""
        return True

    def _end(self, number: int, signals: int) -> None:
        """New connections go direct, then the gate gets the signal and its time to finish; another signal goes to it too."""
        self._attempt(nftables.PAUSE)
        os.kill(self._gate, number)
        poll = select.poll()
        poll.register(self._gate_fd, select.POLLIN)
        poll.register(signals, select.POLLIN)
        until_s = time.monotonic() + _END_WITHIN_S
        while (left_s := until_s - time.monotonic()) > 0:
            ready = {fd for fd, _ in poll.poll(left_s * 1000)}
            if self._gate_fd in ready:
                return
            if signals in ready:
                os.kill(self._gate, os.read(signals, 1)[0])
        self._say(f"the gate did not end within {_END_WITHIN_S:.0f} s and is killed")
        os.kill(self._gate, signal.SIGKILL)

    def _reap_clerk(self) -> None:
        """The clerk ends when the gate's end of their socket closes; one that is stuck in a file system is killed."""
        if not _ends(self._clerk_fd, _ENDS_TOGETHER_MS):
            os.kill(self._clerk, signal.SIGKILL)
            return
        os.waitpid(self._clerk, 0)

    def _say(self, what: str) -> None:
        sys.stderr.write(f"spendgate: {what}\n")
        sys.stderr.flush()


def _ends(pid_fd: int, within_ms: int) -> bool:
    poll = select.poll()
    poll.register(pid_fd, select.POLLIN)
    return bool(poll.poll(within_ms))


def _status(pid: int) -> int:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _signals() -> Iterator[int]:
    """A file descriptor from which each stop signal can be read as one byte, its number."""
    readable, writable = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    before = {number: signal.signal(number, lambda *_: None) for number in _STOPPERS}
    woken = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    try:
        yield readable
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(readable)
        os.close(writable)
