"""Windows in the running gate: spend stands in exactly one calendar window of each kind, whatever the clock does meanwhile.

A clock walks forward and is set back, over changes of the zone's time, turns of months, quarters and years; after each step
every budget's figures, read as `status` reads them and as a refusal tells them, are compared with sums over the rows.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from gate.world import House, asyncio, budget, costing, dollars, end, house, intent, policy
from spendgate.fitting import scopes
from spendgate.gate.interface import Admitted, Refused
from spendgate.ledger.check import check
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.selector import Facts
from spendgate.window import CALENDAR_UNITS, DAY_MS, HOUR_MS, MINUTE_MS, Calendar, Window, bounds

ROLLING = ("rolling 30m", "rolling 24h", "rolling 7d")
WINDOWS = (*CALENDAR_UNITS, *ROLLING)
STEPS_MS = (1, 1_000, 20 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS, DAY_MS, 6 * DAY_MS, 40 * DAY_MS)
ZONES = ("America/Los_Angeles", "Australia/Lord_Howe", "Pacific/Kiritimati", "Pacific/Niue")
STARTS_MS = 1_790_000_000_000
"""September 2026: a walk of some months passes the clocks' changes and the turn of the year."""


class Spent(NamedTuple):
    """One settled call."""

    booked_ms: int
    nanos: int


def rules(zone: str, limit: float) -> Policy:
    """One budget over each kind of window."""
    kinds = [(words, Window.parse(words)) for words in WINDOWS]
    budgets = [budget(limit, words.replace(" ", "-"), window=window, wait_ms=0) for words, window in kinds]
    return policy(*budgets, timezone=zone, week_starts=6, fiscal_month=2)


def expected(calls: list[Spent], words: str, calendar: Calendar, now_ms: int) -> int:
    """What a window has settled, by the plain sum: a rolling one has no upper bound, so that a clock set back frees nothing."""
    window = Window.parse(words)
    if window.length_ms:
        return sum(call.nanos for call in calls if call.booked_ms > now_ms - window.length_ms)
    key = bounds(window, calendar, now_ms).key
    return sum(call.nanos for call in calls if bounds(window, calendar, call.booked_ms).key == key)


async def walk(home: House, calendar: Calendar, rng: random.Random, calls: int, path: Path) -> tuple[list[Spent], int]:
    """Serve calls while the clock steps about; what was spent, and how many calls were refused."""
    spent: list[Spent] = []
    refused = 0
    for _ in range(calls):
        home.time.wall_ms += rng.choice(STEPS_MS) * rng.choice((1, 1, 1, 0, -1))
        call, cost = intent(), rng.randrange(1, 60) / 100
        before = list(spent)
        answer = await home.gate.hold(call)
        if isinstance(answer, Admitted):
            booked = home.time.wall_ms
            home.gate.sent(call.call_id)
            home.time.wall_ms += rng.choice(STEPS_MS[:5]) * rng.choice((1, -1))
            home.gate.settle(call.call_id, costing(cost), end())
            home.gate.backlog.write_out()
            (row,) = home.rows.calls(f"id = '{call.call_id}'")
            spent.append(Spent(booked_of(path, call.call_id, booked), row["cost_nanos"]))
        else:
            assert isinstance(answer, Refused)
            refused += 1
            words = answer.refuse.rule.replace("rolling-", "rolling ")
            assert answer.refuse.settled_nanos == expected(before, words, calendar, home.time.wall_ms), words
        compare(path, home, spent, calendar)
    return spent, refused


def booked_of(path: Path, call_id: str, near_ms: int) -> int:
    """When the row says that the call was booked: the clock has not gone on by more than its own ticks."""
    with closing(sqlite3.connect(path)) as conn:
        (booked,) = conn.execute("SELECT booked_ms FROM call_rows WHERE id = ?", (call_id,)).fetchone()
    assert 0 <= near_ms - booked < 1_000
    return int(booked)


def compare(path: Path, home: House, spent: list[Spent], calendar: Calendar) -> None:
    """Every budget's standing now, as `status` reads it."""
    now_ms = home.time.wall_ms
    found = scopes(home.gate.policy, Facts.of(person="alice", model="claude-opus-4-5"), now_ms, enforced=True)
    with Reader(path) as reader:
        standings = reader.standings(found, now_ms)
    for words, standing in zip(WINDOWS, standings, strict=True):
        assert standing.settled_nanos == expected(spent, words, calendar, now_ms), words
        assert standing.held_nanos == 0


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("limit", [1_000, 4], ids=["all fit", "some are refused"])
def test_spend_is_in_one_window_of_each_kind_while_the_clock_steps(tmp_path: Path, zone: str, limit: float) -> None:
    """Each call is charged once in each calendar budget; all windows of one budget together are all that was spent."""

    async def whole() -> None:
        path = tmp_path / "ledger.db"
        rng = random.Random(f"{zone} {limit}")
        async with house(tmp_path, rules(zone, limit)) as home:
            home.time.wall_ms = STARTS_MS
            spent, refused = await walk(home, Calendar(zone, 6, 2), rng, 40, path)
        assert bool(refused) is (limit < 1_000)
        total = sum(call.nanos for call in spent)
        with closing(sqlite3.connect(path, isolation_level=None)) as conn:
            assert check(conn) == ()
            sums = dict(conn.execute("SELECT budget, sum(settled) FROM balances WHERE length_ms = 0 GROUP BY budget"))
            assert {unit: sums[unit] for unit in CALENDAR_UNITS} == dict.fromkeys(CALENDAR_UNITS, total)
            each = """SELECT count(*) FROM holds JOIN balances ON balances.id = holds.balance
                WHERE length_ms = 0 AND budget <> '' GROUP BY holds.call, budget HAVING count(*) <> 1"""
            assert conn.execute(each).fetchall() == []

    asyncio.run(whole())


def test_a_clock_set_back_frees_nothing_in_a_rolling_window(tmp_path: Path) -> None:
    """What was spent a minute ago is not forgotten when the clock returns to last week, and is when it has truly passed."""

    async def whole() -> None:
        rolling = policy(budget(1, "rolling", window=Window.parse("rolling 24h"), wait_ms=0))
        async with house(tmp_path, rolling) as home:
            home.time.wall_ms = STARTS_MS
            first = intent()
            assert isinstance(await home.gate.hold(first), Admitted)
            home.gate.sent(first.call_id)
            home.gate.settle(first.call_id, costing(1), end())
            for step_ms in (-7 * DAY_MS, 7 * DAY_MS, -40 * DAY_MS, 40 * DAY_MS):
                home.time.wall_ms += step_ms
                answer = await home.gate.hold(intent())
                assert isinstance(answer, Refused)
                assert answer.refuse.settled_nanos == dollars(1)
            home.time.wall_ms += DAY_MS + HOUR_MS
            assert isinstance(await home.gate.hold(intent()), Admitted)

    asyncio.run(whole())
