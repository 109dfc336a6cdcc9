"""A budget of which `check` says that it can never be reached is not, however the calls come: by a second, plain reckoning."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.config.policy_file import parse_policy
from spendgate.review.raised_in_vain import raised_in_vain
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


VAIN = """version: 1
owner: a@b.example
people: {alice: {team: pay}, bob: {team: pay}, carol: {}}
teams: {shop: {}, pay: {parent: shop}}
budgets:
  - {name: hour, per: person, limit: $20 per hour}
"""
RAISED = (
    "exceptions: [{budget: hour, match: {person: alice}, add: $30, until: 2027-01-01, reason: r, approved_by: c}]\n"
)


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        pytest.param("{name: o, per: person, limit: $20 per day}", "$20.00", id="a longer window of no more"),
        pytest.param("{name: o, limit: $15 per rolling 24h}", "$15.00", id="one for all of them"),
        pytest.param("{name: o, match: {person: alice}, limit: $20 per hour}", "$20.00", id="one of the same person"),
        pytest.param("{name: o, match: {team: shop}, limit: $20 per day}", "$20.00", id="one of a team above"),
        pytest.param("{name: o, per: person, limit: $40 per day}", None, id="a part is let through"),
        pytest.param("{name: o, match: {person: bob}, limit: $5 per hour}", None, id="one of somebody else"),
        pytest.param("{name: o, match: {tool: codex}, limit: $5 per hour}", None, id="one of some calls"),
        pytest.param("{name: o, per: person, limit: $20 per day, action: warn}", None, id="one that only warns"),
        pytest.param("{name: o, per: session, limit: $5}", None, id="as many sessions as they like"),
    ],
)
def test_an_exception_beside_a_limit_that_stays_is_told(beside: str, said: str | None) -> None:
    """Where nothing of it can be used, and nowhere else."""
    policy = parse_policy(f"{VAIN}  - {beside}\n{RAISED}".encode())
    found = [each.text for each in raised_in_vain(policy, policy.exceptions)]
    why = f"o counts the same calls and allows {said} at most in that time; raise that, too"
    assert found == ([f"hour: the exception 'r' lets nothing more through: {why}"] if said else [])


def test_an_exception_of_both_limits_is_not_in_vain() -> None:
    """The other one is raised beside it."""
    both = RAISED.replace(
        "]\n", ", {budget: o, match: {person: alice}, add: $9, until: 2027-01-01, reason: r, approved_by: c}]\n"
    )
    policy = parse_policy(f"{VAIN}  - {{name: o, per: person, limit: $20 per day}}\n{both}".encode())
    assert not list(raised_in_vain(policy, policy.exceptions))
