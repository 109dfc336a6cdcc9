"""A budget's name as the policy writes its window, wherever a person types one: `person/rolling 24h`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.kit import NOW_MS, app, ran, row
from spendgate.admission import RefusalKind, Refuse
from spendgate.cli import in_force
from spendgate.config import policies
from spendgate.config.paths import State, prepare
from spendgate.ledger.ledger import Ledger

POLICY = """\
version: 1
owner: ops@acme.example
people: {alice: {}}
budgets:
  - {name: person, per: person, limit: [$5 per rolling 60m, $9 per rolling 24h, $50 per month]}
"""
SPELLINGS = ("person/rolling-24h", "person/rolling 24h", "person/rolling 1d", "person/Rolling  24H")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A gate's, with one call that the sliding day refused."""
    monkeypatch.setattr("spendgate.cli.file_desk.own_account", lambda: "alice")
    found = prepare(State(tmp_path / "state"))
    (tmp_path / "policy.yaml").write_text(POLICY)
    policy = policies.LastGood(found).start(tmp_path / "policy.yaml", NOW_MS).policy
    told = in_force.InForce(policy.hash, str(tmp_path / "policy.yaml"), NOW_MS, (), None, "lt-1", "", ())
    in_force.tell(found, told)
    ledger = Ledger.open(found.ledger, found.gates, NOW_MS)
    refuse = Refuse(RefusalKind.SPENT, "person/rolling-24h", "spent", settled_nanos=9, hold_nanos=1, limit_nanos=9)
    ledger.refused(row("0c1b2c3d-refused", 2), refuse, now_ms=NOW_MS, waited_ms=0, http_status=429)
    ledger.close()
    return found


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_asks_and_filters(state: State, spelling: str) -> None:
    """`ask --budget` finds the budget, `--where` its refusals."""
    assert "more of person/rolling-24h" in ran(state, "ask", "5", "--budget", spelling)
    calls = json.loads(ran(state, "calls", "--where", f"refused_by={spelling}", "--format", "json"))
    assert [call["refused_by"] for call in calls] == ["person/rolling-24h"]


def test_a_name_with_several_limits_names_them(state: State) -> None:
    """Whoever types the file's own name is told which there are."""
    done = CliRunner().invoke(app, ["ask", "5", "--budget", "person", "--state", str(state.root)])
    assert "one of person/rolling-1h, person/rolling-24h, person/month" in str(done.exception)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_policies_and_cases(tmp_path: Path, spelling: str) -> None:
    """An exception raises it, and a case expects it to refuse; both are what the kept name would be."""
    raised = (
        f"exceptions: [{{budget: {spelling}, match: {{person: alice}}, add: $5, until: 2999-01-31, "
        "reason: release, approved_by: cto@acme.example}]\n"
    )
    case = (
        "cases:\n  - name: spent\n    given: [{spent: $4, ago: 20h}, {spent: $4, ago: 10h}, {spent: $5, ago: 2h}]\n"
        "    when: {person: alice, model: claude-sonnet-4-5, costs: $2}\n"
        f"    then: refused by {spelling}\n"
    )
    (tmp_path / "policy.yaml").write_text(POLICY + raised)
    (tmp_path / "policy.test.yaml").write_text(case)
    for command in ("check", "test"):
        done = CliRunner().invoke(app, ["policy", command, str(tmp_path / "policy.yaml")])
        assert done.exit_code == 0, done.output
    kept = tmp_path / "kept.yaml"
    kept.write_text(POLICY + raised.replace(spelling, "person/rolling-24h"))
    done = CliRunner().invoke(app, ["policy", "diff", str(tmp_path / "policy.yaml"), str(kept)])
    assert done.output == "nothing changes\n"
