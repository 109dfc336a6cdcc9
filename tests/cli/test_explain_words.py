"""What `explain`, `test`, `replay` and `ask` say to whoever reads a policy for the first time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.replay.virtual import Scripted, play
from typer.testing import CliRunner, Result

from cli.kit import app
from spendgate.config.policy_file import parse_policy

POLICY = """\
version: 1
owner: lead@acme.example
people: {alice: {team: pay, email: alice@acme.example}, bob: {team: pay}}
teams: {pay: {}}
budgets:
  - {name: small, per: person, limit: $1 per day}
  - {name: large, per: person, limit: $9 per day}
  - {name: told, per: person, limit: $2 per day, action: warn}
  - {name: proj, per: project, missing: refuse, limit: $50 per week}
"""


def ran(file: Path, text: str, *words: str) -> Result:
    """`policy WORDS`, of this text."""
    file.write_text(text)
    command, *more = words
    at = [] if command == "test" else ["--state", str(file.parent / "none")]
    return CliRunner(env={"COLUMNS": ""}).invoke(app, ["policy", command, str(file), *more, *at])


def explained(file: Path, text: str, *words: str) -> dict[str, dict[str, object]]:
    done = ran(file, text, "explain", "--format", "json", *words)
    assert done.exit_code == 0, done.output
    return {line["rule"]: line for line in json.loads(done.stdout)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.yaml"


def test_a_provider_that_is_never_decrypted_is_asked_nothing(file: Path) -> None:
    """`capture.never` with all of its hosts, by `explain` and in a case; with some of them it is said which."""
    text = POLICY + "capture: {never: [api.anthropic.com, eu.api.openai.com]}\n"
    lines = explained(file, text, "--person", "bob", "--model", "claude-opus-4-5", "--cost", "$20")
    assert lines["call"]["says"] == "leaves unseen: what is not decrypted is asked nothing"
    assert lines["capture"]["applies"] == "no" and "capture.never names every host" in str(lines["capture"]["says"])
    lines = explained(file, text, "--person", "bob", "--model", "gpt-5", "--cost", "$20", "--with", "project=a")
    assert str(lines["call"]["says"]).startswith("is refused by small")
    assert lines["capture"]["says"] == "openai is decrypted, but for eu.api.openai.com (capture.never)"
    cases = "cases:\n  - {name: it, when: {person: bob, model: claude-opus-4-5, costs: $20}, then: uncaptured}\n"
    file.with_name("policy.test.yaml").write_text(cases)
    assert ran(file, text, "test").exit_code == 0
    file.with_name("policy.test.yaml").write_text(cases.replace("then: uncaptured", "then: refused"))
    failed = ran(file, text, "test", "--format", "json")
    assert failed.exit_code == 1 and "capture.never names every host of anthropic" in failed.stdout


def test_a_rule_that_refuses_for_what_is_missing_applies(file: Path) -> None:
    """And the first line says that nobody said it."""
    lines = explained(file, POLICY, "--person", "bob")
    assert lines["proj"]["applies"] == "yes"
    assert "no project" in str(lines["proj"]["says"]) and "it refuses it" in str(lines["proj"]["says"])
    assert "no project said" in str(lines["asked"]["says"])
    assert "no api_key said" not in str(lines["asked"]["says"])


def test_each_budget_that_refuses_is_marked_and_the_others_are_counted(file: Path) -> None:
    words = ("--person", "bob", "--cost", "$10", "--with", "project=a")
    lines = explained(file, POLICY, *words)
    assert str(lines["small"]["says"]).startswith("refuses: $1.00 left")
    assert str(lines["large"]["says"]).startswith("refuses: $9.00 left")
    assert str(lines["told"]["says"]).startswith("would refuse: $2.00 left")
    assert str(lines["proj"]["says"]).startswith("$50.00 left")
    assert str(lines["call"]["says"]).endswith("1 more rule refuses it too. To ask for more, run: `spendgate ask`")
    file.with_name("policy.test.yaml").write_text(
        "cases:\n  - {name: it, when: {person: bob, project: a, costs: $10}, then: admitted}\n"
    )
    (row,) = json.loads(ran(file, POLICY, "test", "--format", "json").stdout)
    assert row["why"].endswith("1 more rule refuses it too.")


@pytest.mark.parametrize(
    ("person", "says"),
    [
        ("alice@acme.example", "it is an e-mail address: did you mean alice?"),
        ("pay", "it is a team: name a person of it, as alice, bob"),
    ],
)
def test_a_person_by_another_name(file: Path, person: str, says: str) -> None:
    assert says in ran(file, POLICY, "explain", "--person", person).stderr


def test_a_time_that_the_clocks_skip_is_refused(file: Path) -> None:
    text = POLICY.replace("budgets:", "timezone: Europe/Berlin\nbudgets:", 1)
    done = ran(file, text, "explain", "--person", "bob", "--at", "2026-03-29T02:30")
    assert "the clocks of Europe/Berlin skip" in str(done.exception)
    assert ran(file, text, "explain", "--person", "bob", "--at", "2026-10-25T02:30").exit_code == 0


def test_a_replay_of_the_same_ledger_is_the_same(file: Path, tmp_path: Path) -> None:
    """Whenever on that day it is run; a host under `never` passes unseen in it."""
    file.write_text(POLICY)
    state = tmp_path / "state"
    state.mkdir()
    play(state, parse_policy(b"version: 1\nowner: a@b.example\n"), [Scripted(0, "alice", 0.3, 500)])
    words = ["policy", "replay", str(file), "--state", str(state), "--format", "json", "--since", "520w"]
    found = [json.loads(CliRunner().invoke(app, words).stdout) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0]["since_at"].endswith("T00:00:00.000Z") and found[0]["calls"] == 1
    file.write_text(POLICY + "capture: {never: [api.anthropic.com]}\n")
    found = [json.loads(CliRunner().invoke(app, words).stdout)]
    assert (found[0]["calls"], found[0]["not_captured"]) == (0, 1)
