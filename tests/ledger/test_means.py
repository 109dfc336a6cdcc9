"""Limits by the mean: what the days before had settled, fixed for the day, the same for everyone, and as cheap as ever."""

from __future__ import annotations

import os
import signal
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.desk import Desk, at, dollars
from ledger.processes import finish, line, worker
from spendgate.admission import Admit, Refuse

RUNAWAY = "budgets: [{name: runaway, per: person, limit: 4x mean of 7d per day, at_least: $20, at_most: $200, hold: ceiling}]\n"
NOON = at("2026-12-07T12:00Z")
DAY = 86_400_000


def spend_before(made: Desk, *daily: float, now: int = NOON, **words: object) -> None:
    """So many dollars on each of the days before, the latest first."""
    for back, amount in enumerate(daily, 1):
        if amount:
            assert made.spend(now - back * DAY, dollars(amount), **words)


@pytest.mark.parametrize(
    ("daily", "limit"),
    [
        pytest.param([], 200, id="no spend: at_most"),
        pytest.param([90, 80], 200, id="two days of spend: at_most"),
        pytest.param([20, 20, 16], 32, id="three days: four times a seventh of it"),
        pytest.param([0, 20, 0, 20, 0, 16, 0], 32, id="idle days are days"),
        pytest.param([0, 0, 0, 0, 20, 20, 16], 32, id="the seventh day counts"),
        pytest.param([0, 0, 0, 0, 20, 20, 16, 100], 32, id="the eighth does not"),
        pytest.param([1, 1, 1], 20, id="at_least"),
        pytest.param([150, 150, 150], 200, id="at_most"),
    ],
)
def test_the_limit_of_a_day(tmp_path: Path, daily: list[float], limit: int) -> None:
    """N times the mean of the complete days before, within its bounds; too few days of spend say nothing."""
    made = Desk(tmp_path, RUNAWAY)
    spend_before(made, *daily)
    assert made.standing(NOON, "runaway").limit_nanos == dollars(limit)
    assert made.spend(NOON, dollars(limit))
    _, refused = made.ask(NOON, 1)
    assert isinstance(refused, Refuse)
    assert refused.limit_nanos == dollars(limit)
    assert "4x mean of 7d" in refused.limit_from
    made.close()
    assert made.faults() == ()


def test_it_says_where_it_comes_from(tmp_path: Path) -> None:
    """The mean, a bound that held, or that too few days had spend."""
    made = Desk(tmp_path, RUNAWAY)
    spend_before(made, 20, 20, 16, person="bob")
    spend_before(made, 1, 1, 1, person="carol")
    said = {who: made.ask(NOON, dollars(201), person=who)[1] for who in ("alice", "bob", "carol")}
    assert {who: refused.limit_from for who, refused in said.items() if isinstance(refused, Refuse)} == {
        "alice": "at_most, since 0 days of the 7 before had spend (4x mean of 7d)",
        "bob": "4x mean of 7d, which is $8.00 a day",
        "carol": "at_least (4x mean of 7d, which is $0.43 a day)",
    }
    made.close()


def test_it_is_fixed_for_the_day_for_every_gate_and_after_a_restart(tmp_path: Path) -> None:
    """A call of yesterday that settles after the day's first call changes today's limit at no gate, and tomorrow's at all."""
    made = Desk(tmp_path, RUNAWAY)
    spend_before(made, 0, 20, 20, 16)
    late, _ = made.ask(NOON - DAY, dollars(28))
    other = Desk(tmp_path, RUNAWAY)
    assert other.spend(NOON, dollars(1))
    made.settle(late, dollars(28))
    for each in (made, other):
        assert each.spend(NOON, dollars(1))
        assert each.standing(NOON, "runaway").limit_nanos == dollars(32)
    made.close()
    other.close()
    again = Desk(tmp_path, RUNAWAY)
    again.fill(NOON + 1)
    assert not again.spend(NOON + 2, dollars(30))
    assert again.spend(NOON + 2, dollars(29))
    assert again.standing(NOON + DAY, "runaway").limit_nanos == round(4 * dollars(20 + 20 + 16 + 28 + 32) / 7)
    again.close()
    assert again.faults() == ()


def test_a_clock_set_back_finds_the_limit_of_that_day(tmp_path: Path) -> None:
    """Yesterday's fixed limit holds yesterday, whatever has been settled since, and today's comes back with the clock."""
    made = Desk(tmp_path, RUNAWAY)
    spend_before(made, 10, 20, 20, 16)
    yesterday = made.standing(NOON - DAY, "runaway").limit_nanos
    assert made.spend(NOON, dollars(5))
    assert made.spend(NOON - DAY, dollars(5))
    seen = [made.standing(now, "runaway").limit_nanos for now in (NOON - DAY, NOON, NOON - DAY, NOON)]
    assert seen == [yesterday, (4 * dollars(66) + 3) // 7, yesterday, (4 * dollars(66) + 3) // 7]
    made.close()


def test_a_new_budget_counts_the_days_before(tmp_path: Path) -> None:
    """The mean of a budget that comes into force rests on calls that were made before it was written; of a widened one too."""
    before = Desk(tmp_path, "budgets: [{name: runaway, per: person, limit: $90 per day}]\n")
    spend_before(before, 20, 20, 16)
    before.close()
    made = Desk(tmp_path, RUNAWAY)
    made.fill(NOON)
    assert made.standing(NOON, "runaway").limit_nanos == dollars(32)
    made.close()
    assert made.faults() == ()


@pytest.mark.parametrize(
    ("window", "limit"),
    [
        pytest.param("hour", "1.3333", id="hour"),
        pytest.param("rolling 12h", "16", id="half a day"),
        pytest.param("rolling 2d", "64", id="two days"),
        pytest.param("week", "224", id="week"),
        pytest.param("month", "973.3333", id="month"),
        pytest.param("year", "11680", id="year"),
    ],
)
def test_other_windows_are_scaled(tmp_path: Path, window: str, limit: str) -> None:
    """The mean of a day, times the window's usual length; sums of days are kept beside the budget's own windows."""
    words = f"limit: 4x mean of 7d per {window}, at_most: $90000"
    made = Desk(tmp_path, f"budgets: [{{name: runaway, per: person, {words}}}]\n")
    spend_before(made, 20, 20, 16)
    found = made.standing(NOON, "runaway").limit_nanos
    assert abs(found - dollars(float(limit))) <= dollars(0.0001)
    made.close()
    again = Desk(tmp_path, f"budgets: [{{name: anew, per: person, {words}}}]\n")
    again.fill(NOON)
    assert again.standing(NOON, "anew").limit_nanos == found
    again.close()
    assert again.faults() == ()


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
@pytest.mark.parametrize("month", ["2026-03-20", "2026-10-24", "2026-11-04", "2026-04-08"])
def test_days_begin_where_the_clock_says_on_days_of_23_and_25_hours(tmp_path: Path, zone: str, month: str) -> None:
    """A dollar an hour for 20 days around a change of clocks: each day's mean is the plain sum over its seven local days."""
    limit = "limit: 1000x mean of 7d per day, at_most: $90000"
    made = Desk(tmp_path, f"timezone: {zone}\nbudgets: [{{name: runaway, per: person, {limit}}}]\n")
    first = datetime.fromisoformat(f"{month}T00:30:00").replace(tzinfo=UTC)
    made_at = [first + timedelta(hours=hour) for hour in range(0, 24 * 20, 3)]
    for moment in made_at:
        assert made.spend(int(moment.timestamp() * 1000), dollars(1))
    local = [moment.astimezone(ZoneInfo(zone)).date() for moment in made_at]
    for today in sorted(set(local))[8:]:
        noon = datetime(today.year, today.month, today.day, 12, tzinfo=ZoneInfo(zone))
        count = sum(today - timedelta(days=7) <= day < today for day in local)
        assert made.standing(int(noon.timestamp() * 1000), "runaway").limit_nanos == round(1000 * dollars(count) / 7)
    made.close()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 14 * 24), st.integers(1, 30), st.sampled_from(["settles", "later", "fails"])),
        max_size=40,
    ),
    st.integers(3, 8),
    st.sampled_from(["day", "week", "rolling 36h"]),
)
def test_it_is_the_plain_mean_of_what_had_settled(calls: list[tuple[int, int, str]], days: int, window: str) -> None:
    """In any order of calls and clocks, at the first call of a day and for the rest of it."""
    start = at("2026-12-01T00:00Z")
    words = f"limit: 2x mean of {days}d per {window}, at_most: $9000"
    text = f"budgets: [{{name: runaway, per: person, {words}}}]\n"
    with tempfile.TemporaryDirectory() as folder, closing(Desk(Path(folder), text)) as made:
        minutes = {"day": 1440, "week": 7 * 1440, "rolling 36h": 36 * 60}[window]
        ended: list[tuple[int, int]] = []
        fixed: dict[int, int] = {}
        for hour, amount, fate in calls:
            now = start + hour * 3_600_000
            today = hour // 24
            if today not in fixed:
                sums = [sum(nanos for day, nanos in ended if day == today - back) for back in range(1, days + 1)]
                mean = round(2 * sum(sums) * minutes / (days * 1440))
                fixed[today] = mean if sum(nanos > 0 for nanos in sums) >= 3 else dollars(9000)
            call, decision = made.ask(now, dollars(amount))
            assert abs(made.standing(now, "runaway").limit_nanos - fixed[today]) <= 1
            if isinstance(decision, Admit) and fate == "settles":
                made.settle(call, dollars(amount))
                ended.append((today, dollars(amount)))
            elif fate == "fails" and isinstance(decision, Admit):
                made.fail(call)
        assert made.faults() == ()


def test_a_killed_gate_leaves_the_limit_that_it_decided_by(tmp_path: Path) -> None:
    """`kill -9` right after the day's first decision: the next gate goes by the same limit, and the call is there."""
    made = Desk(tmp_path, RUNAWAY)
    spend_before(made, 20, 20, 16)
    late, _ = made.ask(NOON - DAY, dollars(28))
    doomed = worker("decide", tmp_path, RUNAWAY, NOON, 1, dollars(1))
    assert line(doomed) == "1"
    os.kill(doomed.pid, signal.SIGKILL)
    finish(doomed)
    made.settle(late, dollars(28))
    assert made.standing(NOON, "runaway").limit_nanos == dollars(32)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as conn:
        assert conn.execute("SELECT settled_nanos, days FROM means WHERE day = '2026-12-07'").fetchall() == [
            (dollars(56), 3)
        ]
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            conn.execute("UPDATE means SET settled_nanos = 0")
    made.close()
    assert made.faults() == ()


def test_deciding_reads_the_days_once_a_day_however_old_the_ledger(tmp_path: Path) -> None:
    """After the day's first call a decision asks nothing of the days before: the statements are counted."""
    made = Desk(tmp_path, RUNAWAY)
    for back in range(60, 0, -1):
        assert made.spend(NOON - back * DAY, dollars(1))
    said: list[str] = []
    made.ledger._store.conn.set_trace_callback(said.append)
    counts = []
    for _ in range(3):
        said.clear()
        assert made.spend(NOON, dollars(1))
        counts.append(len([text for text in said if "FROM balances" in text or "means" in text]))
    made.ledger._store.conn.set_trace_callback(None)
    assert counts[0] <= 7 + 4
    assert counts[1:] == [0, 0]
    made.close()
