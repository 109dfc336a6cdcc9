"""Alerts at their edges, in words that a person reads, and to whom they go."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.alerts.kit import Told, at, nanos, read

from spendgate.alerts.measured import looks_back_to
from spendgate.alerts.routing import told as reaches
from spendgate.config.policy_file import parse_policy

DAY, HOUR = 86_400_000, 3_600_000
NOON = at("2026-11-18T12:00")
DOLLAR = 1_000_000_000
BURN = "alerts: [{name: burn, burn: $15 in 1h, per: person}]\n"
NIGHT = "alerts: [{name: late, spend: $50 outside mon-fri 07:00-20:00, per: person}]\n"
PACE = (
    "budgets: [{name: organization, limit: $100 per quarter}]\n"
    "alerts: [{name: pace, pace: 60% by week 6, budget: organization}]\n"
)
THRESHOLD = "budgets: [{name: person, per: person, limit: $100 per month, alerts: [50%]}]\n"
SPIKE = "alerts: [{name: spike, spike: 3x over 7d, per: person, minimum: $20}]\n"


@pytest.mark.parametrize(("today", "fires"), [(29.9, False), (30, True), (30.1, True)])
def test_a_spike_at_its_edge(today: float, fires: bool) -> None:
    """Three times the mean of $10: $29.90 is none. Six of the seven days were idle."""
    told = Told(read(SPIKE))
    told.charge(NOON - 3 * DAY, nanos(70))
    told.found.clear()
    assert bool(told.charge(NOON, nanos(today))) is fires


_EDGES = {
    "2.99x": (SPIKE, [(-3 * DAY, 70 * DOLLAR), (0, 299 * DOLLAR // 10)], False),
    "a nano-dollar below 3x": (SPIKE, [(-3 * DAY, 70 * DOLLAR), (0, 30 * DOLLAR - 1)], False),
    "3x": (SPIKE, [(-3 * DAY, 70 * DOLLAR), (0, 30 * DOLLAR)], True),
    "3.01x": (SPIKE, [(-3 * DAY, 70 * DOLLAR), (0, 301 * DOLLAR // 10)], True),
    "the eighth day back is no part of the mean": (SPIKE, [(-8 * DAY, 700 * DOLLAR), (0, 20 * DOLLAR)], True),
    "the seventh is": (SPIKE, [(-7 * DAY, 700 * DOLLAR), (0, 20 * DOLLAR)], False),
    "a burn within its hour": (BURN, [(0, 10 * DOLLAR), (HOUR - 1, 5 * DOLLAR)], True),
    "an hour apart": (BURN, [(0, 10 * DOLLAR), (HOUR, 5 * DOLLAR)], False),
    "a nano-dollar below the burn": (BURN, [(0, 10 * DOLLAR), (1, 5 * DOLLAR - 1)], False),
    "half of the limit": (THRESHOLD, [(0, 50 * DOLLAR)], True),
    "a nano-dollar below it": (THRESHOLD, [(0, 50 * DOLLAR - 1)], False),
    "a call of the month before": (THRESHOLD, [(-18 * DAY, 49 * DOLLAR), (0, 1 * DOLLAR)], False),
    "the week 6 of the quarter is over": (PACE, [(-DAY, 60 * DOLLAR)], False),
    "a millisecond before": (PACE, [(-6 * DAY - 12 * HOUR - 1, 60 * DOLLAR)], True),
    "its first millisecond after": (PACE, [(-6 * DAY - 12 * HOUR, 60 * DOLLAR)], False),
    "a nano-dollar below the pace": (PACE, [(-7 * DAY, 60 * DOLLAR - 1)], False),
    "the last millisecond of work": (NIGHT, [(8 * HOUR - 1, 50 * DOLLAR)], False),
    "the first after it": (NIGHT, [(8 * HOUR, 50 * DOLLAR)], True),
    "the last before work": (NIGHT, [(19 * HOUR - 1, 50 * DOLLAR)], True),
    "the first of work": (NIGHT, [(19 * HOUR, 50 * DOLLAR)], False),
    "a nano-dollar below the night": (NIGHT, [(8 * HOUR, 50 * DOLLAR - 1)], False),
}
"""A rule, charges at so many milliseconds from noon on Wednesday 2026-11-18, and whether the last one is told."""


@pytest.mark.parametrize("edge", _EDGES)
def test_a_nano_dollar_or_a_millisecond_decides(edge: str) -> None:
    """Each form at both sides of its mark, its day, its hour, its stretch, its sixth week (which ends with 2026-11-11)."""
    text, charges, fires = _EDGES[edge]
    told, made = Told(read(text)), ()
    for later_ms, cost in charges:
        made = told.charge(NOON + later_ms, cost)
    assert bool(made) is fires


@pytest.mark.parametrize(("fits", "of", "fires"), [(79, 100, False), (80, 100, True), (4, 4, False), (4, 5, True)])
def test_a_share_at_its_edge(fits: int, of: int, fires: bool) -> None:
    """80% of at least five calls of a day."""
    told = Told(
        read("alerts: [{name: mix, share: 80%, match: {model: 'claude-opus-*'}, per: person, minimum_calls: 5}]\n")
    )
    for number in range(of):
        told.charge(NOON + number, 1, model="claude-opus-4-5" if number >= of - fits else "gpt-5")
    assert bool(told.found) is fires


def test_after_an_idle_week_the_minimum_decides() -> None:
    """A mean of nothing is passed by anything; so the minimum keeps small days quiet."""
    told = Told(read(SPIKE))
    assert not told.charge(NOON, nanos(19.99))
    (alert,) = told.charge(NOON + HOUR, nanos(0.01))
    assert alert.text == (
        "spike of alice: $20.00 on one day, where the mean of the 7 days before is $0.00 (told from 3x of it on)"
    )
    assert alert.command == "spendgate calls --since 2026-11-18T00:00:00.000Z --where person=alice"
    assert not told.charge(NOON + 2 * HOUR, nanos(500))


def test_a_team_has_days_of_its_own() -> None:
    """Half past eleven at night in Berlin is another day than an hour later, although in the policy's zone it is not."""
    text = (
        "teams: {payments: {timezone: Europe/Berlin}}\npeople: {alice: {team: payments}}\n"
        "alerts: [{name: late, spend: $50 outside mon-fri 07:00-20:00, per: person}]\n"
    )
    told = Told(read(text, "America/Los_Angeles"))
    evening = at("2026-11-18T20:00", "Europe/Berlin")
    assert not told.charge(evening - 1, nanos(80), team="payments")
    (alert,) = told.charge(evening, nanos(50), team="payments")
    assert alert.window == "2026-11-18T20:00"
    assert not told.charge(at("2026-11-19T06:59:59", "Europe/Berlin"), nanos(80), team="payments")
    assert not told.charge(at("2026-11-19T07:00", "Europe/Berlin"), nanos(80), team="payments")


def test_a_weekend_is_one_stretch() -> None:
    """From Friday evening to Monday morning $50 count together, and are told once."""
    told = Told(read("alerts: [{name: late, spend: $50 outside mon-fri 07:00-20:00}]\n"))
    assert not told.charge(at("2026-11-20T20:00"), nanos(25))
    assert told.charge(at("2026-11-23T06:59:59"), nanos(25))
    assert not told.charge(at("2026-11-23T20:00"), nanos(49))
    assert told.charge(at("2026-11-23T20:01"), nanos(1))


@pytest.mark.parametrize(("fiscal", "first"), [("january", "2026-10-01"), ("february", "2026-11-01")])
@pytest.mark.parametrize(("days", "fires"), [(42, False), (41, True)])
def test_week_six_of_a_quarter(fiscal: str, first: str, days: int, fires: bool) -> None:
    """It ends with the 42nd day, on the wall of the policy's zone, where the clock changes on 2026-11-01."""
    text = (
        f"fiscal_year_starts: {fiscal}\nbudgets: [{{name: organization, limit: $100 per quarter}}]\n"
        "alerts: [{name: pace, pace: 60% by week 6, budget: organization, severity: page}]\n"
    )
    told = Told(read(text, "America/Los_Angeles"))
    day = at(first) // DAY + days
    moment = at(f"1970-01-01T{'00:00' if days == 42 else '23:59'}", "UTC") + day * DAY
    wall = moment + 8 * HOUR  # Pacific standard time, which holds from November on
    made = told.charge(wall, nanos(60))
    assert bool(made) is fires
    assert all(alert.severity == "page" and alert.person is None for alert in made)


def test_the_first_threshold_comes_before_any_refusal() -> None:
    """Also where one call alone is too large: nobody is refused who was not told."""
    told = Told(read("budgets: [{name: person, per: person, limit: $100 per day, alerts: [50%, 80%]}]\n"))
    told.charge(NOON, nanos(30))
    (alert,) = told.refuse(NOON + 1, "person", nanos(30))
    assert (alert.rule, alert.person, alert.form) == ("person 50%", "alice", "threshold")
    assert alert.text == "person of alice: $30.00 of $100.00 is spent, less than 50%, and a call was refused"
    assert not told.refuse(NOON + 2, "person", nanos(30))
    assert not told.charge(NOON + 3, nanos(30))
    assert [alert.rule for alert in told.charge(NOON + 4, nanos(30))] == ["person 80%"]


@pytest.mark.parametrize(
    ("window", "day", "spent", "words"),
    [
        ("month", "2026-11-16T00:00:00", 60, "; at this pace it is gone on 2026-11-26"),
        ("month", "2026-11-16T00:00:00", 50, ""),
        ("month", "2026-11-15T23:00:00", 50, "; at this pace it is gone on 2026-11-30"),
        ("day", "2026-11-16T06:00:00", 60, ""),
        ("rolling 7d", "2026-11-16T06:00:00", 60, ""),
        ("month", "2026-11-16T00:00:00", 100, ""),
    ],
)
def test_the_day_on_which_a_budget_is_gone(window: str, day: str, spent: float, words: str) -> None:
    """Told with a threshold where it comes before the window's end, on the calendar of the budget's zone, whose first
    day here has 25 hours."""
    zone = "America/Los_Angeles"
    told = Told(read(f"budgets: [{{name: person, per: person, limit: $100 per {window}, alerts: [50%]}}]\n", zone))
    (alert,) = told.charge(at(day, zone), nanos(spent))
    assert alert.text.partition("50% and more")[2] == words


def test_a_rolling_window_is_told_again_when_all_has_left() -> None:
    """It has no start: what stays above the mark is told once in its length."""
    told = Told(read("budgets: [{name: person, per: person, limit: $10 per rolling 24h, alerts: [50%]}]\n"))
    assert told.charge(NOON, nanos(6))
    assert not told.charge(NOON + 20 * HOUR, nanos(6))
    assert told.charge(NOON + DAY, nanos(1))


def test_a_life_is_told_of_once() -> None:
    """And another session has another life."""
    told = Told(read("budgets: [{name: session, per: session, limit: $10, alerts: [100%]}]\n"))
    assert told.charge(NOON, nanos(10), session="one")
    assert not told.charge(NOON + 400 * DAY, nanos(10), session="one")
    assert told.charge(NOON, nanos(10), session="two")


@pytest.mark.parametrize("form", ["spike: 2x over 7d", "burn: $1 in 1h", "spend: $1 outside mon-fri 07:00-20:00"])
def test_what_costs_nothing_tells_nothing_of_money(form: str) -> None:
    """A call of a subscription is no spend."""
    told = Told(read(f"alerts: [{{name: a, {form}, per: person}}]\n"))
    assert not told.charge(at("2026-11-21T12:00"), 0)


def test_whom_an_alert_reaches() -> None:
    """The person, the team's entries and those of the teams above it, the file's; each for what it is for."""
    text = (
        "teams:\n  commerce: {notify: [{to: 'mailto://vp.example', for: [page]}]}\n"
        "  payments: {parent: commerce, notify: [{to: 'discord://${SPENDGATE_SECRET_D}', for: [alert, page]}]}\n"
        "people: {alice: {team: payments}}\nbudgets: [{name: team, match: {team: payments}, limit: $1 per day, alerts: [100%]}]\n"
        "alerts:\n  - {name: burn, burn: $1 in 1h, per: person, severity: page}\n  - {name: all, burn: $1 in 1h}\n"
    )
    policy = read(text)
    told = Told(policy)
    alerts = told.charge(NOON, nanos(2), team=("payments", "commerce"))
    assert {alert.rule: reaches(policy, alert) for alert in alerts} == {
        "team 100%": ("discord", "slack"),
        "burn": ("alice", "discord", "mailto", "slack"),
        "all": ("slack",),
    }


def test_the_command_is_inert_in_a_shell() -> None:
    """A client chooses its session id."""
    told = Told(read("alerts: [{name: b, burn: $1 in 1h, per: session}]\n"))
    (alert,) = told.charge(NOON, nanos(1), session="x'; rm -rf ~ #")
    assert alert.command.endswith("""--where 'session=x'"'"'; rm -rf ~ #'""")
    assert alert.person == "alice"


def test_a_changed_rule_begins_anew_and_what_was_told_stays_told() -> None:
    """The state of one policy is put into another: sums belong to a rule's words, what was told to its name."""
    first = Told(read(SPIKE))
    first.charge(NOON - DAY, nanos(70))
    first.found.clear()
    assert first.charge(NOON, nanos(70))
    later = Told(read(SPIKE.replace("3x", "2x")))
    later.alerts.load(first.alerts.dump())
    assert not later.charge(NOON + 1, nanos(70))
    assert later.charge(NOON + DAY, nanos(200))


def test_how_far_back_the_rules_look() -> None:
    """A mean over seven days needs them all, and the days on which late calls may still end."""
    assert looks_back_to(read(SPIKE), NOON) == NOON - 9 * DAY
    assert looks_back_to(read(""), NOON) == NOON


def test_a_loop_on_a_saturday_night_under_the_example() -> None:
    """$8 every five minutes from 03:00 on: who is told what, and when, until the day's limit stops it."""
    example = Path(__file__).parents[2] / "policies" / "examples" / "off-hours-page.yaml"
    told = Told(parse_policy(example.read_bytes(), str(example)))
    night = at("2026-06-20T03:00", "Europe/Berlin")
    for number in range(25):
        told.charge(night + number * 5 * 60_000, nanos(8), session="loop")
    said = [(alert.rule, (alert.at_ms - night) // 60_000, reaches(told.policy, alert)) for alert in told.found]
    assert said == [
        ("session-burn", 5, ("alice", "pagerduty")),
        ("spike", 15, ("alice", "slack")),
        ("off-hours", 30, ("alice", "pagerduty")),
        ("person 50%", 60, ("alice", "slack")),
        ("session-burn", 65, ("alice", "pagerduty")),
        ("person 80%", 95, ("alice", "slack")),
        ("person 100%", 120, ("alice", "slack")),
    ]
