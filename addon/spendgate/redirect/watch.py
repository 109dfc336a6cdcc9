"""Root's loop: renews the rules while the gate answers, ends the gate when asked to, ends when the gate has ended."""

from __future__ import annotations

import os
import select
import signal
import socket
import time

from spendgate.redirect.pulse import Pulse
from spendgate.redirect.stop_signals import stop_signals
from spendgate.redirect.table import Table, say

_END_WITHIN_S = 15.0
_ENDS_TOGETHER_MS = 1000
"""The clerk sees the gate's socket close before root sees the gate end."""


class Watch:
    """Watches one gate and its clerk. `pulse` is root's end of the socket to the gate, `gate` and `clerk` are pids."""

    def __init__(self, table: Table, pulse: socket.socket, gate: int, clerk: int) -> None:
        self._table, self._gate, self._clerk = table, gate, clerk
        self._pulse = Pulse(table, pulse)
        self._gate_fd, self._clerk_fd = os.pidfd_open(gate), os.pidfd_open(clerk)

    def until_the_gate_ends(self) -> int:
        """The gate's exit status, 128 + signal where it was killed."""
        with stop_signals() as signals:
            poll = select.poll()
            for watched in (self._gate_fd, self._clerk_fd, self._pulse.fileno(), signals):
                poll.register(watched, select.POLLIN)
            pause_s = self._table.rules.timeout_ms / 3000
            next_s = time.monotonic()
            while True:
                ready = {fd for fd, _ in poll.poll(max(0.0, next_s - time.monotonic()) * 1000)}
                if self._gate_fd in ready:
                    self._pulse.hear_all()
                    break
                if signals in ready:
                    self._pulse.let_go()
                    self._end(os.read(signals, 1)[0], signals)
                    break
                if self._clerk_fd in ready:
                    if _ends(self._gate_fd, _ENDS_TOGETHER_MS):
                        self._pulse.hear_all()
                        break
                    say("the process that answers for connections has ended; stopping")
                    self._pulse.pause()
                    self._end(signal.SIGTERM, signals)
                    break
                if self._pulse.fileno() in ready and not self._pulse.hear():
                    poll.unregister(self._pulse.fileno())
                    self._pulse.pause()
                    self._pulse.close()  # for the gate to know that
                if time.monotonic() >= next_s:
                    next_s = time.monotonic() + pause_s
                    self._pulse.ask()
                    if not self._pulse.acts:
                        self._table.keep()
        self._pulse.pause()
        self._reap_clerk()
        return _status(self._gate)

    def _end(self, number: int, signals: int) -> None:
        """The gate gets the signal and its time to finish; another signal goes to it too."""
        self._pulse.close()  # it is heard no more, and need not wait for that
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
        say(f"the gate did not end within {_END_WITHIN_S:.0f} s and is killed")
        os.kill(self._gate, signal.SIGKILL)

    def _reap_clerk(self) -> None:
        """The clerk ends when the gate's end of their socket closes; one that is stuck in a file system is killed."""
        if not _ends(self._clerk_fd, _ENDS_TOGETHER_MS):
            os.kill(self._clerk, signal.SIGKILL)
            return
        os.waitpid(self._clerk, 0)


def _ends(pid_fd: int, within_ms: int) -> bool:
    poll = select.poll()
    poll.register(pid_fd, select.POLLIN)
    return bool(poll.poll(within_ms))


def _status(pid: int) -> int:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code
