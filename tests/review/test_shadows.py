"""A budget of which `check` says that it can never be reached is not, however the calls come: by a second, plain reckoning."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.config.policy_file import parse_policy
from spendgate.review.shadows import shadows
from spendgate.window import HOUR_MS, Calendar, Unit, Window, bounds

WINDOWS = ("hour", "day", "week", "month", "rolling 90m", "rolling 6h", "rolling 24h", "rolling 7d")
STARTS = (datetime(2026, 10, 20, tzinfo=UTC), datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 12, 28, tzinfo=UTC))
"""Around both changes of the clock, and the end of a year."""
ZONE = "Europe/Berlin"


def told(other: str, budget: str) -> bool:
    """Whether the second limit is said to be out of reach."""
    head = f"version: 1\nowner: a@b.example\ntimezone: {ZONE}\nbudgets:\n"
    text = f"{head}  - {{name: a, limit: {other}}}\n  - {{name: b, limit: {budget}}}\n"
    return any(doubt.subject == "budgets.b" for doubt in shadows(parse_policy(text.encode()), ()))


def spent(window: Window, calls: list[tuple[int, int]], at_ms: int) -> int:
    """What the window that runs at this instant has."""
    if window.unit is Unit.ROLLING:
        return sum(dollars for when, dollars in calls if at_ms - window.length_ms < when <= at_ms)
    here = bounds(window, Calendar(ZONE, 0, 1), at_ms)
    return sum(dollars for when, dollars in calls if here.starts_ms <= when <= at_ms)


@given(
    other=st.sampled_from(WINDOWS),
    limit=st.integers(1, 12),
    budget=st.sampled_from(WINDOWS),
    more=st.integers(0, 200),
    start=st.sampled_from(STARTS),
    steps=st.lists(st.sampled_from([0, 1, 5, 30, 90, 360, 1440]), min_size=20, max_size=120),
)
def test_what_is_said_to_be_out_of_reach_is_never_passed(
    *, other: str, limit: int, budget: str, more: int, start: datetime, steps: list[int]
) -> None:
    """Every dollar that the one budget lets through, as early as it can: the other one has room for all of them."""
    if not told(f"${limit} per {other}", f"${limit + more} per {budget}"):
        return
    first, second = Window.parse(other), Window.parse(budget)
    now_ms, calls = int(start.timestamp()) * 1000, []
    for minutes in steps:
        now_ms += minutes * HOUR_MS // 60
        while spent(first, calls, now_ms) < limit:
            assert spent(second, calls, now_ms) < limit + more
            calls.append((now_ms, 1))


@pytest.mark.parametrize(
    ("other", "budget", "said"),
    [
        ("$5 per hour", "$130 per day", True),
        ("$5 per hour", "$129 per day", False),  # Antarctica/Troll has a day of 26 hours
        ("$5 per day", "$35 per week", True),
        ("$5 per week", "$25 per month", False),
        ("$5 per week", "$30 per month", True),
        ("$5 per rolling 6h", "$20 per rolling 24h", True),
        ("$5 per rolling 24h", "$5 per day", False),
        ("$5 per day", "$10 per rolling 24h", True),
        ("$5 per day", "$9 per rolling 24h", False),
    ],
)
def test_where_the_line_is(other: str, budget: str, said: bool) -> None:
    assert told(other, budget) is said


def test_very_many_rules_about_the_same_calls_are_not_all_compared_and_that_is_told() -> None:
    """Each falls short of none before it: compared with each other they would be a quarter of a million pairs."""
    rules = "".join(f"  - {{name: b{place}, limit: ${2000 - place} per day}}\n" for place in range(700))
    found = list(shadows(parse_policy(f"version: 1\nowner: a@b.example\nbudgets:\n{rules}".encode()), ()))
    assert found[-1].subject == "budgets"
    assert found[-1].text.startswith("too many budgets that are about the same calls")


def test_rules_about_one_person_each_are_compared_by_the_person() -> None:
    """However many there are of others: the last two are about the same one, whatever the case of the name."""
    rules = "".join(f"  - {{name: b{place}, match: {{person: p{place}}}, limit: $1 per day}}\n" for place in range(700))
    rules += "  - {name: more, match: {person: [P699]}, limit: $2 per day}\n"
    found = list(shadows(parse_policy(f"version: 1\nowner: a@b.example\nbudgets:\n{rules}".encode()), ()))
    assert [doubt.subject for doubt in found] == ["budgets.more"]
