"""What `status` says of the policy's files and of the machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cli.kit import NOW_MS, ran
from spendgate.cli import in_force
from spendgate.config import policies
from spendgate.config.paths import State, prepare
from spendgate.errors import Why
from spendgate.ledger.ledger import Ledger

POLICY = """\
version: 1
revision: 7
valid_until: 2020-01-31
owner: tests@acme.example
include: [people.yaml]
unknown_people: owner
fleet: {hub: https://spend.acme.example}
privacy: {keep: 400 days}
budgets:
  - {name: ci, per: machine_group, limit: $9 per day}
"""
PEOPLE = """\
people: {alice: {email: alice@acme.example, accounts: [nobody-is-this]}}
machines: {ci: {match: ["ci-*"], owner: Alice@acme.example}, all: {match: ["*"]}}
"""


@pytest.fixture
def told(tmp_path: Path) -> State:
    """A state directory whose gate runs on ci-7 under that policy."""
    state = prepare(State(tmp_path / "state"))
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    file.with_name("people.yaml").write_text(PEOPLE)
    found = policies.LastGood(state).start(file, NOW_MS)
    in_force.tell(
        state,
        in_force.InForce(
            found.policy.hash,
            str(file),
            NOW_MS,
            (),
            None,
            "ci-7",
            "genai-prices 0",
            ("regular",),
            included=found.included,
        ),
    )
    Ledger.open(state.ledger, state.gates, NOW_MS).close()
    return state


def test_the_table_tells_of_files_end_hub_and_machine(told: State) -> None:
    """Which state of which files, that it has ended, what this version does not do, and whose machine it is."""
    said = ran(told, "status")
    for line in (
        "          revision 7\n",
        "          with people.yaml\n",
        "          valid until 2020-01-31, then it is kept\n",
        "the policy ended on 2020-01-31: it stays in force (expired: keep); tests@acme.example answers for it",
        "fleet.hub https://spend.acme.example: no hub is reached by this version; nothing is leased",
        "rows are kept for 400 days, then sums by day\n",
        "person    alice\n",
        "machine   ci-7  ci of Alice@acme.example, all\n",
        "limits, on this machine:\n",
    ):
        assert line in said, said


def test_what_could_not_be_fetched_is_not_called_refused(told: State) -> None:
    """Nobody knows of a newer policy while its server cannot be asked."""
    said = in_force.told(told)
    assert said is not None
    fault = "https://policy.acme.example/policy.yaml: cannot be fetched: its name does not resolve"
    for why, word in ((Why.UNREACHED, "not fetched"), (Why.SIGNATURE, "refused")):
        in_force.tell(told, replace(said, refused=(fault,), refused_ms=NOW_MS, refused_why=why))
        assert f"          {word} since 2" in ran(told, "status")


def test_programs_get_the_same(told: State) -> None:
    """And the budgets of each of the machine's groups."""
    said = json.loads(ran(told, "status", "--format", "json"))
    policy = said["policy"]
    assert (policy["revision"], policy["valid_until"], policy["included"]) == (7, "2020-01-31", ["people.yaml"])
    assert [notice.split()[0] for notice in policy["notices"]] == ["the", "fleet.hub"]
    assert (said["ledger"]["keep_days"], said["ledger"]["purged_until"]) == (400, None)
    assert said["machine"] == {"id": "ci-7", "groups": ["ci", "all"], "owners": ["Alice@acme.example"]}
    assert said["limits_hold"] == "on this machine"
    assert [budget["value"] for budget in said["budgets"]] == ["ci", "all"]


def test_a_plain_policy_says_nothing_of_it(state: State) -> None:
    """No line without a word in the file."""
    said = ran(state, "status")
    assert not [word for word in ("revision", "valid until", "fleet", "privacy", "with ") if word in said]
    assert "machine   mmmm" in said
