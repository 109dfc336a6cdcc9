"""Which alerts a replay says: those of the calls that the candidate admits, once in their window, of the time asked about."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.replay.virtual import START_MS, Scripted, again, play

from spendgate.config.policy_file import parse_policy
from spendgate.policy import Policy
from spendgate.replay.outcome import Outcome

HEAD = 'version: 1\nowner: lead@acme.example\nnotify: [{to: "slack://${SPENDGATE_SECRET_AI}", for: [alert, page]}]\n'
LENIENT = "budgets: [{name: person, per: person, limit: $500 per day}]\n"
MINUTE, DAY = 60_000, 86_400_000


def read(text: str) -> Policy:
    return parse_policy((HEAD + text).encode())


def told(outcome: Outcome) -> list[tuple[str, str, int]]:
    """Rule, value and when, in milliseconds from the start."""
    return [(alert.rule, alert.value, alert.at_ms - START_MS) for alert, _ in outcome.alerts_kept]


def test_the_first_threshold_is_told_with_the_first_refusal(tmp_path: Path) -> None:
    """Calls of $0.40 under $1.50: 90% is not reached when the fourth is refused, and its person was told before."""
    play(tmp_path, read(LENIENT), [Scripted(number * MINUTE, "alice", 0.4, 500) for number in range(5)])
    outcome, found = again(tmp_path, read(LENIENT.replace("$500 per day", "$1.50 per day, alerts: [90%, 100%]")))
    assert list(found) == ["call-00003", "call-00004"]
    assert told(outcome) == [("person 90%", "alice", 3 * MINUTE)]
    assert "a call was refused" in outcome.alerts_kept[0][0].text


@pytest.mark.heavy
def test_what_was_told_before_the_time_asked_about_is_not_told_again(tmp_path: Path) -> None:
    """The sums of the days before are there, and what they made is not among the alerts."""
    script = [
        *[Scripted(day * DAY, "alice", 0.5, 500) for day in range(4)],
        Scripted(3 * DAY + MINUTE, "alice", 0.5, 500),
        Scripted(3 * DAY + 2 * MINUTE, "alice", 0.8, 500),
        Scripted(4 * DAY, "alice", 0.1, 500),
    ]
    play(tmp_path, read(LENIENT), script)
    rule = f"{LENIENT}alerts: [{{name: spike, spike: 3x over 3d, per: person, minimum: $0.60}}]\n"
    whole, _ = again(tmp_path, read(rule))
    assert told(whole) == [("spike", "alice", 3 * DAY + 2 * MINUTE + 500)]
    late, _ = again(tmp_path, read(rule), since_ms=START_MS + 3 * DAY + MINUTE)
    assert told(late) == told(whole)
    later, _ = again(tmp_path, read(rule), since_ms=START_MS + 4 * DAY - MINUTE)
    assert told(later) == []


def test_only_calls_that_the_candidate_admits_are_summed(tmp_path: Path) -> None:
    """A loop that a budget stops never burns enough to page anybody; the budget's own thresholds are told."""
    play(tmp_path, read(LENIENT), [Scripted(number * MINUTE, "alice", 0.3, 500) for number in range(10)])
    burn = "alerts: [{name: burn, burn: $1.50 in 1h, severity: page}]\n"
    loose, _ = again(tmp_path, read(LENIENT + burn))
    assert told(loose) == [("burn", "", 4 * MINUTE + 500)]
    tight, _ = again(tmp_path, read(LENIENT.replace("$500 per day", "$1 per day, alerts: [50%]") + burn))
    assert told(tight) == [("person 50%", "alice", MINUTE + 500)]


def test_the_same_history_tells_the_same(tmp_path: Path) -> None:
    """Twice."""
    play(tmp_path, read(LENIENT), [Scripted(number * MINUTE, "alice", 0.3, 500 * number) for number in range(20)])
    rules = read(
        "budgets: [{name: p, per: person, limit: $2 per hour, alerts: [50%, 80%]}]\n"
        "alerts: [{name: b, burn: $1 in 1h}]\n"
    )
    first, second = (again(tmp_path, rules)[0] for _ in range(2))
    assert first.alerts_kept == second.alerts_kept
    assert len(first.alerts_kept) == 3


def test_a_threshold_is_a_share_of_the_limit_as_it_is(tmp_path: Path) -> None:
    """Raised by an exception, or the day's mean: neither the number in the file nor the most that a mean may be."""
    days = [Scripted(day * DAY, "alice", 1.0, 500) for day in range(3)]
    play(
        tmp_path,
        read(LENIENT),
        [*days, *[Scripted(3 * DAY + number * MINUTE, "alice", 0.3, 500) for number in range(7)]],
    )
    plain = "budgets: [{name: p, per: person, limit: $2 per day, alerts: [90%]}]\n"
    lifted = (
        "exceptions: [{budget: p, match: {person: alice}, add: $0.20, until: 2027-01-01, reason: r, approved_by: c}]\n"
    )
    sixth, seventh = 3 * DAY + 5 * MINUTE + 500, 3 * DAY + 6 * MINUTE + 500
    assert told(again(tmp_path, read(plain))[0]) == [("p 90%", "alice", sixth)]
    assert told(again(tmp_path, read(plain + lifted))[0]) == [("p 90%", "alice", seventh)]
    mean = "budgets: [{name: p, per: person, limit: 2x mean of 3d per day, at_most: $100, alerts: [90%]}]\n"
    assert told(again(tmp_path, read(mean))[0]) == [("p 90%", "alice", sixth)]


def test_what_a_plan_pays_reaches_thresholds_of_budgets_that_count_it_alone(tmp_path: Path) -> None:
    """At list price; a rule about money says nothing of calls that cost none."""
    calls = [Scripted(number * MINUTE, "alice", 0.4, 500, billing="subscription") for number in range(3)]
    play(tmp_path, read("budgets: [{name: p, per: person, limit: $500 per day, counts: value}]\n"), calls)
    rules = "alerts: [{name: burn, burn: $0.10 in 1h}]\n"
    for counts, expected in (("value", [("p 50%", "alice", 2 * MINUTE + 500)]), ("captured", [])):
        text = f"budgets: [{{name: p, per: person, limit: $2 per day, alerts: [50%], counts: {counts}}}]\n{rules}"
        assert told(again(tmp_path, read(text))[0]) == expected
