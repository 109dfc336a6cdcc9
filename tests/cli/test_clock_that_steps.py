"""The clock is stepped forward and back under a running gate, over real connections, also while calls are under way.

The gate is that of `spendgate run`, in this process; only what it reads as the time of day is the test's. What every budget
has after each step is compared with plain sums over the calls that the provider's answers say were charged.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from end_to_end.raw import trust
from end_to_end.world import PATIENCE_S, Gate, Provider, calls, upstream
from gate.test_windows import Spent, expected
from spendgate.cli.serving import Serving, serving
from spendgate.cli.wanted import Wanted
from spendgate.config import paths
from spendgate.config.known import KNOWN
from spendgate.config.policies import load
from spendgate.fitting import scopes
from spendgate.gate.clock import Clock
from spendgate.ledger.check import check
from spendgate.ledger.queries import Reader
from spendgate.selector import Facts
from spendgate.window import CALENDAR_UNITS, DAY_MS, HOUR_MS, MINUTE_MS, Calendar


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    """The stand-in."""
    found = Provider(tmp_path)
    yield found
    found.close()


ZONE = "America/Los_Angeles"
CALENDAR = Calendar(ZONE, 6, 2)
WINDOWS = (*CALENDAR_UNITS, "rolling 30m", "rolling 24h", "rolling 7d")
STARTS_MS = int(datetime.fromisoformat("2026-10-31T23:50:00-07:00").timestamp() * 1000)
"""Ten minutes before the day, and the month, in which an hour comes twice."""
STEPS_MS = (
    20 * MINUTE_MS, HOUR_MS, HOUR_MS, -HOUR_MS, 3 * HOUR_MS, -2 * DAY_MS, 3 * DAY_MS, 29 * DAY_MS, -29 * DAY_MS, 31 * DAY_MS,
    31 * DAY_MS, -62 * DAY_MS, 66 * DAY_MS, 61 * DAY_MS, HOUR_MS, -HOUR_MS, -DAY_MS,
)  # fmt: skip
"""Into the day that has 25 hours, its repeated hour and back; over the week's end, the month, the new year, the fiscal one."""
OUTPUT = 40
POLICY = f"""\
version: 1
owner: tests@acme.example
timezone: {ZONE}
week_starts: sunday
fiscal_year_starts: february
budgets:
""" + "".join(
    f'  - {{{{name: {words.replace(" ", "-")}, limit: "{{limit}} per {words}", wait: 0s}}}}\n' for words in WINDOWS
)


@dataclass
class Walls:
    """A time of day that goes on by itself and is stepped."""

    began: float = field(default_factory=time.monotonic)
    stepped_ms: int = STARTS_MS

    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return self.stepped_ms + int((time.monotonic() - self.began) * 1000)


@dataclass
class Stepped:
    """The running gate, and its clock."""

    serving: Serving
    walls: Walls
    state: Path
    file: Path

    async def ask(self, number: int, delay_ms: int = 0) -> httpx2.Response:
        """One call that is like no other."""
        gate = Gate(self.state, self.serving.listening.address[1], None)  # type: ignore[arg-type]  # it is in this process
        body = {
            "model": "claude-opus-4-5",
            "max_tokens": OUTPUT,
            "messages": [{"role": "user", "content": "x" * (200 + number)}],
        }
        headers = {
            "x-standin": f"input={1_000 + number}; output={OUTPUT}; delay_ms={delay_ms}",
            "x-api-key": "sk-ant-api03-made-up",
        }
        async with httpx2.AsyncClient(proxy=gate.proxy, verify=trust(gate), timeout=PATIENCE_S) as http:
            return await http.post("https://api.anthropic.com/v1/messages", json=body, headers=headers)

    async def rows(self, state: str) -> list[dict[str, Any]]:
        """Calls in this state."""
        return [row for row in await asyncio.to_thread(calls, self.state) if row["state"] == state]

    async def spent(self) -> list[Spent]:
        """All that was charged."""
        return [Spent(_ms(row["booked_at"]), row["cost_nanos"]) for row in await self.rows("settled")]

    async def refused(self, answer: httpx2.Response) -> None:
        """Where this answer, the only one since the last comparison, is a refusal: its row has the sum of the window."""
        if answer.status_code == 200:
            return
        assert answer.status_code == 429
        with closing(sqlite3.connect(f"file:{self.state / 'ledger.db'}?mode=ro", uri=True, timeout=30)) as ledger:
            newest = "SELECT refused_by, refused_settled_nanos, booked_ms FROM call_rows ORDER BY seq DESC LIMIT 1"
            rule, told, at_ms = ledger.execute(newest).fetchone()
        words = rule.replace("rolling-", "rolling ")
        assert told == expected(await self.spent(), words, CALENDAR, at_ms), words

    async def compare(self) -> None:
        """Every budget's standing, as `status` reads it, against the plain sums over the rows."""
        while await self.rows("open"):
            await asyncio.sleep(0.02)
        spent, now_ms = await self.spent(), self.walls.now_ms()
        found = scopes(
            load(self.file, KNOWN), Facts.of(person="anyone", model="claude-opus-4-5"), now_ms, enforced=True
        )
        with Reader(self.state / "ledger.db") as reader:
            standings = reader.standings(found, now_ms)
        for words, standing in zip(WINDOWS, standings, strict=True):
            assert (standing.settled_nanos, standing.held_nanos) == (expected(spent, words, CALENDAR, now_ms), 0), words


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


async def _walk(at: Stepped) -> None:
    """A call under way at each step, and one after it; each begins when nothing else is under way."""
    for number, step_ms in enumerate(STEPS_MS):
        under_way = asyncio.create_task(at.ask(2 * number, delay_ms=200))
        while not under_way.done() and not await at.rows("open"):
            await asyncio.sleep(0.01)
        if not under_way.done():
            at.walls.stepped_ms += step_ms
            await under_way
        else:
            await at.refused(under_way.result())
            at.walls.stepped_ms += step_ms
        await at.compare()
        await at.refused(await at.ask(2 * number + 1))
        await at.compare()


@pytest.mark.parametrize("limit", ["$1,000", "$0.03"], ids=["all fit", "some are refused"])
async def test_the_clock_steps_under_a_running_gate(provider: Provider, tmp_path: Path, limit: str) -> None:
    """Each call counts in exactly one window of each calendar budget: that of its hold, wherever the clock stood at its end.

    A refusal tells the sum of its window at that moment; and the steps are in the audit trail.
    """
    file, walls = tmp_path / "policy.yaml", Walls()
    file.write_text(POLICY.format(limit=limit))
    wanted = Wanted(policy=file, state=paths.find(tmp_path / "state"), port=0, sets=tuple(upstream(provider)[1::2]))
    async with serving(wanted, Clock(now_ms=walls.now_ms)) as gate:
        at = Stepped(gate, walls, tmp_path / "state", file)
        await _walk(at)
        settled, refused = await at.rows("settled"), await at.rows("refused")
        while not await asyncio.to_thread(_steps_audited, at.state):
            await asyncio.sleep(0.1)
    assert len(settled) + len(refused) == 2 * len(STEPS_MS)
    assert settled
    assert bool(refused) is (limit != "$1,000")
    with closing(sqlite3.connect(at.state / "ledger.db", isolation_level=None)) as conn:
        assert check(conn) == ()
        sums = dict(conn.execute("SELECT budget, sum(settled) FROM balances WHERE length_ms = 0 GROUP BY budget"))
        spent = sum(row["cost_nanos"] for row in settled)
        assert {unit: sums[unit] for unit in CALENDAR_UNITS} == dict.fromkeys(CALENDAR_UNITS, spent)
        each = """SELECT count(*) FROM holds JOIN balances ON balances.id = holds.balance
            WHERE length_ms = 0 AND budget <> '' GROUP BY holds.call, budget HAVING count(*) <> 1"""
        assert conn.execute(each).fetchall() == []


def _steps_audited(state: Path) -> int:
    """How many steps the audit trail tells."""
    with closing(sqlite3.connect(f"file:{state / 'ledger.db'}?mode=ro", uri=True, timeout=30)) as ledger:
        return int(ledger.execute("SELECT count(*) FROM audit WHERE what = 'clock stepped'").fetchone()[0])
