"""Who is told what, when and on which channel, when an agent begins to loop on Saturday at three in the morning: a live gate.

The alerts are those that a running gate writes into its ledger's outbox, looked for each second as it does; nothing is sent.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from parts import weekend_loop
from parts.weekend_loop import LOOP, SATURDAY, ZONE

from spendgate.alerts import routing
from spendgate.gate.clock import Clock
from spendgate.gate.looking import Looking
from spendgate.ledger.ended_calls import EndedCalls
from spendgate.ledger.outbox import Outbox
from spendgate.ledger.shared_connection import SharedConnection
from spendgate.money import short_dollars
from spendgate.policy import Policy

LOOP_MS: Final = int(SATURDAY.timestamp()) * 1_000


@dataclass(frozen=True, slots=True)
class Told:
    """One alert. Epoch milliseconds, nano-dollars."""

    at_ms: int
    severity: str
    text: str
    to: tuple[str, ...]
    cost_nanos: int
    """What the loop had cost when it was told."""


@dataclass(slots=True)
class Night:
    """What became of the loop."""

    told: list[Told] = field(default_factory=list)
    refused_ms: int = 0
    refused_by: str = ""
    cost_nanos: int = 0


def night(policy: Policy, folder: Path, play: Callable[..., None]) -> Night:
    """Play the week, then the loop, to a gate under this policy; look for alerts as a running gate does."""
    folder.mkdir()
    found = Night()

    async def listen(clock: Clock) -> None:
        with closing(SharedConnection(folder / "ledger.db")) as shared:
            looking, outbox = Looking(EndedCalls(shared)), Outbox(shared)
            try:
                await asyncio.sleep((LOOP_MS - clock.now_ms()) / 1000)
                looking.look(policy, clock.now_ms())
                _route(folder, outbox, policy, clock.now_ms())  # the week's own
                while True:
                    await asyncio.sleep(1)
                    looking.look(policy, clock.now_ms())
                    found.told += _told(folder, outbox, policy, clock.now_ms())
            except asyncio.CancelledError:
                looking.look(policy, clock.now_ms(), keeps=True)
                found.told += _told(folder, outbox, policy, clock.now_ms())

    play(folder, policy, weekend_loop.runs(SATURDAY), listen)
    refused = "SELECT booked_ms, refused_by FROM call_rows WHERE state = 'refused' AND session = ?"
    found.refused_ms, found.refused_by = _asked(folder, refused, LOOP)[0]
    found.cost_nanos = _cost(folder, found.refused_ms)
    return found


def _told(folder: Path, outbox: Outbox, policy: Policy, now_ms: int) -> list[Told]:
    cost = _cost(folder, now_ms)
    return [Told(now_ms, severity, text, to, cost) for severity, text, to in _route(folder, outbox, policy, now_ms)]


def _route(folder: Path, outbox: Outbox, policy: Policy, now_ms: int) -> list[tuple[str, str, tuple[str, ...]]]:
    found = []
    for each in outbox.unrouted():
        keys = routing.keys(policy, each.severity, each.person, each.team, desktop=True)
        outbox.route(each.id, keys, now_ms)
        ((text,),) = _asked(folder, "SELECT text FROM alerts WHERE id = ?", each.id)
        person = f" of {each.person}" if each.person else ""
        names = (f"desktop{person}" if key == routing.DESKTOP else key.rpartition("-")[0] or key for key in keys)
        found.append((each.severity, text, tuple(names)))
    return found


def _cost(folder: Path, until_ms: int) -> int:
    sql = "SELECT coalesce(sum(cost_nanos), 0) FROM call_rows WHERE session = ? AND ended_ms <= ?"
    return int(_asked(folder, sql, LOOP, until_ms)[0][0])


def _asked(folder: Path, sql: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(folder / "ledger.db")) as conn:
        return conn.execute(sql, values).fetchall()


def story(name: str, policy: Policy, folder: Path, play: Callable[..., None]) -> list[str]:
    """The night under one policy, a line for each thing that happened."""
    found = night(policy, folder, play)
    lines = [f"{name}: the loop begins {_clock(LOOP_MS)}"]
    lines += [
        f"  {_clock(each.at_ms)}  {short_dollars(each.cost_nanos):>8}  {each.severity:<6}  {', '.join(each.to)}: {each.text}"
        for each in found.told
    ]
    stopped = f"  {_clock(found.refused_ms)}  {short_dollars(found.cost_nanos):>8}  refused by {found.refused_by}"
    return [*lines, stopped]


def _clock(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZONE):%a %H:%M:%S}"
