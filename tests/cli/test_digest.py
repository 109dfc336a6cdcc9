"""`spendgate digest` as a person calls it: its forms, whose week, and what it refuses."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alerts.weeks import Weeks
from cli.kit import app
from spendgate.cli import in_force
from spendgate.config import policies
from spendgate.config.paths import State, prepare
from spendgate.digest import week_before, week_of
from spendgate.errors import UsageError

NOW_MS = time.time_ns() // 1_000_000
POLICY = """\
version: 1
owner: ops@acme.example
timezone: Europe/Berlin
teams: {payments: {}, other: {}}
people: {alice: {team: payments}, bob: {}}
budgets: [{name: person, per: person, limit: $100 per month}]
"""


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Alice spent $7 last week, bob $3 in the one before, and alice $1 in this one."""
    found, file = prepare(State(tmp_path / "state")), tmp_path / "policy.yaml"
    file.write_text(POLICY)
    policy = policies.LastGood(found).start(file, NOW_MS).policy
    in_force.tell(found, in_force.InForce(policy.hash, str(file), NOW_MS, (), None, "lt-1", "", ()))
    this = week_of(policy, NOW_MS)
    last = week_before(policy, this)
    weeks = Weeks(found.root, policy, week_before(policy, last).starts_ms)
    weeks.spend("bob", last.starts_ms - 1, 3)
    weeks.spend("alice", last.starts_ms, 7)
    weeks.spend("alice", this.starts_ms, 1)
    weeks.ledger.close()
    return found


def ran(state: State, *words: str) -> str:
    result = CliRunner().invoke(app, ["digest", *words, "--state", str(state.root)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_last_week_is_shown(state: State) -> None:
    """A table for people, Markdown for a page, JSON for programs: the same figures."""
    line = "$7.00 spent, 133% more than the week before ($3.00), in 1 call of 1 person"
    assert line in ran(state)
    assert "Europe/Berlin" in ran(state) and "On the machine lt-1" in ran(state)
    page = ran(state, "--format", "markdown")
    assert line in page and "| alice | $7.00 | nothing the week before | 1 call |" in page
    found = json.loads(ran(state, "--format", "json"))
    assert (found["spent_nanos"], found["before_nanos"]) == (7_000_000_000, 3_000_000_000)
    assert found["spenders"][0]["person"] == "alice"


def test_other_weeks_and_teams(state: State) -> None:
    """This one, one by any of its days, one in which an instant lies; a team alone."""
    found = json.loads(ran(state, "--format", "json"))
    assert json.loads(ran(state, "--week", found["last_day"], "--format", "json")) == found
    assert json.loads(ran(state, "--since", found["first_day"], "--format", "json")) == found
    assert json.loads(ran(state, "--week", "last", "--format", "json")) == found
    assert "$1.00 spent, 85% less than the week before ($7.00)" in ran(state, "--week", "this")
    assert "$7.00 spent, nothing the week before" in ran(state, "--team", "payments")
    assert "Nobody spent anything." in ran(state, "--team", "other")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--week", "tomorrow"), "--week 'tomorrow' is no week; write last, this, or one of its days"),
        (("--week", "2999-01-01"), "2999-01-01 is still to come"),
        (("--week", "9999-12-31"), "is still to come"),
        (("--since", "soon"), "'soon' is not a time"),
        (("--week", "last", "--since", "7d"), "--week and --since both name the week"),
        (("--team", "nobody"), "has no such team"),
        (("--team", "\udcff"), "is not UTF-8"),
    ],
)
def test_what_it_refuses(state: State, words: tuple[str, ...], said: str) -> None:
    """One line that says what would do."""
    result = CliRunner().invoke(app, ["digest", *words, "--state", str(state.root)])
    assert isinstance(result.exception, UsageError), result.output
    assert said in str(result.exception)


def test_a_format_that_is_none(state: State) -> None:
    """The formats are named."""
    result = CliRunner().invoke(app, ["digest", "--format", "csv", "--state", str(state.root)])
    assert result.exit_code == 2
    assert "table, markdown, json" in result.output
