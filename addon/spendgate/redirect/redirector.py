"""What `spendgate-redirect.service` runs: the firewall rules of a gate that is a service of its own. CAP_NET_ADMIN, nothing else.

It renews nothing by itself: the set element that lets the rules act is put in again only when the gate has answered that it can
serve. So gate killed, or without a certificate to show: direct at once; gate hung, or this process killed or hung: direct when
the last sign of life runs out. Where the policy says so, held instead of direct (`holding`). It outlives gates: the next one
connects, and is captured for. It is no parent of the gate, and can neither signal nor read it.
"""

from __future__ import annotations

import select
import time
from contextlib import closing
from pathlib import Path

from spendgate.redirect.door import Door, check_place
from spendgate.redirect.pulse import Pulse
from spendgate.redirect.ruleset import Rules
from spendgate.redirect.stop_signals import stop_signals
from spendgate.redirect.table import Table
from spendgate.service.notify import Manager
from spendgate.service.redirect_units import CAPTURING, DIRECT, HELD, UNABLE

WAITING = "no gate is there"
SILENT = "the gate does not answer"


def keep_rules(rules: Rules, gate: int, place: Path, manager: Manager) -> int:
    """Set the rules, let them act while the gate of uid `gate` answers, take them away when stopped. Raises StateError."""
    check_place(place)
    table = Table(rules)
    try:
        with stop_signals() as signals, closing(Door(place, gate)) as door:
            _Redirector(table, door, manager).until(signals)
        manager.stopping()
        table.let_go()  # somebody may stop this: then nothing is held
    finally:
        table.leave()
    return 0


class _Redirector:
    def __init__(self, table: Table, door: Door, manager: Manager) -> None:
        self._table, self._door, self._manager = table, door, manager
        self._pulse: Pulse | None = None
        self._port = table.rules.port
        """Where a gate is that names no other."""
        self._said = ""

    def until(self, signals: int) -> None:
        pause_s = min(self._table.rules.timeout_ms / 3000, self._manager.every_s or 1.0)
        self._manager.ready(told(WAITING, len(self._table.held)))
        next_s = time.monotonic()
        while signals not in (ready := self._ready(signals, next_s - time.monotonic())):
            if self._pulse is not None and self._pulse.fileno() in ready and not self._pulse.hear():
                self._lose()
            if self._door.fileno() in ready and (gate := self._door.take()) is not None:
                self._lose()
                self._table.lead_to(self._port)
                self._pulse = Pulse(self._table, gate)
                self._pulse.ask()
            if time.monotonic() >= next_s:
                next_s = time.monotonic() + pause_s
                self._manager.alive()
                if self._pulse is not None:
                    self._pulse.ask()
                if self._pulse is None or not self._pulse.acts:
                    self._table.keep()
            self._tell()

    def _ready(self, signals: int, within_s: float) -> set[int]:
        poll = select.poll()
        for watched in (signals, self._door.fileno(), *([] if self._pulse is None else [self._pulse.fileno()])):
            poll.register(watched, select.POLLIN)
        return {fd for fd, _ in poll.poll(max(0.0, within_s) * 1000)}

    def _lose(self) -> None:
        """The gate has gone, or another one has come: what it let the rules do ends now."""
        if self._pulse is not None:
            self._pulse.pause()
            self._pulse.close()
            self._pulse = None

    def _tell(self) -> None:
        """One line for `systemctl status`, when it is another."""
        if self._pulse is not None and self._pulse.acts:
            now = CAPTURING
        else:
            why = self._table.fault or (WAITING if self._pulse is None else UNABLE if self._pulse.unable else SILENT)
            now = told(why, len(self._table.held))
        if now != self._said:
            self._said = now
            self._manager.says(now)


def told(why: str, held: int) -> str:
    """What becomes of traffic while no gate answers. Pure."""
    if not held:
        return f"{DIRECT}: {why}"
    return f"{HELD} ({held} addresses, on_failure: refuse): {why}; `spendgate service stop` lets them go direct"
