"""What `status` says of limits that are raised or found for the day, of what each budget counts, and of what went by."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from cli.kit import ran
from ledger.desk import HEAD, Desk, dollars
from spendgate.cli import in_force
from spendgate.config import policies
from spendgate.config.paths import State, prepare

NOW_MS = time.time_ns() // 1_000_000
DAY = 86_400_000
TEXT = """\
budgets:
  - {name: person, per: person, limit: $100 per rolling 90d, hold: ceiling}
  - {name: runaway, per: person, limit: 4x mean of 7d per day, at_least: $2, at_most: $50, counts: value}
  - {name: project, per: project, limit: $40 per rolling 90d, per_machine: $5}
exceptions:
  - {budget: person, match: {person: alice}, add: $50, until: 2100-12-31, reason: release week, approved_by: cto@acme.example}
  - {budget: person, match: {person: bob}, add: $70, until: 2100-12-31, reason: on call, approved_by: cto@acme.example}
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """Three days of alice's spend, some of it without a project, one day on a plan."""
    monkeypatch.setattr("spendgate.cli.file_desk.own_account", lambda: "alice")
    found = prepare(State(tmp_path / "state"))
    file = tmp_path / "policy.yaml"
    file.write_text(HEAD + TEXT)
    policy = policies.LastGood(found).start(file, NOW_MS).policy
    told = in_force.InForce(policy.hash, str(file), NOW_MS, (), None, "m" * 32, "genai-prices 0", ("regular",))
    in_force.tell(found, told)
    desk = Desk(found.root, TEXT)
    for back, project in ((3, "host/acme/x"), (2, None), (1, None)):
        assert desk.spend(NOW_MS - back * DAY, dollars(2), project=project)
    assert desk.spend(NOW_MS - DAY, dollars(1), billing="subscription")
    desk.close()
    return found


def test_programs_read_limit_source_and_place(state: State) -> None:
    """Each budget of this person with its limit of now, where that comes from and where it holds; no tally among them."""
    budgets = {each["budget"]: each for each in json.loads(ran(state, "status", "--format", "json"))["budgets"]}
    assert set(budgets) == {"person", "runaway", "project"}
    assert budgets["person"]["limit_nanos"] == dollars(150)
    assert budgets["person"]["limit_from"] == (
        "$50.00 of it by the exception 'release week', approved by cto@acme.example (as claimed)"
    )
    assert budgets["runaway"]["limit_nanos"] == dollars(4)
    assert budgets["runaway"]["limit_from"] == "4x mean of 7d, which is $1.00 a day"
    assert (budgets["runaway"]["counts"], budgets["person"]["counts"]) == ("value", "captured")
    assert budgets["project"]["per_machine_nanos"] == dollars(5)


def test_people_read_it_in_words(state: State) -> None:
    """The table has the limit of now, and a line says what made it so."""
    said = ran(state, "status")
    assert "person (alice): the limit, $150.00: $50.00 of it by the exception 'release week'" in said
    assert "runaway (alice): the limit, $4.00: 4x mean of 7d, which is $1.00 a day" in said
    assert "runaway (alice): counts subscription traffic, too, at list price" in said
    assert "a machine that cannot reach the fleet's ledger may take $5.00" in said
    assert "limits, on this machine:\n" in said
    assert "on call" not in said


def test_what_went_by_for_want_of_a_value_is_told(state: State) -> None:
    """Two calls without a project, their cost, and since when; not the one on a plan, which that budget never counts."""
    (row,) = json.loads(ran(state, "status", "--format", "json"))["went_by"]
    assert (row["budget"], row["lacks"], row["calls"], row["spent_nanos"]) == ("project", "project", 2, dollars(4))
    assert "went by (missing: skip):" in ran(state, "status")
