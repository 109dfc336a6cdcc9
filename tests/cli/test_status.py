"""Whom `status` speaks of, and by what a swapped or shortened ledger is noticed."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from cli.kit import NOW_MS, POLICY, ran
from spendgate.cli import in_force, status
from spendgate.config.paths import State
from spendgate.config.policies import LastGood


@pytest.mark.skipif(os.name != "posix", reason="accounts as POSIX has them")
@pytest.mark.parametrize("name", ["LOGNAME", "USER", "LNAME", "USERNAME"])
def test_this_person_is_the_account_and_not_what_the_environment_claims(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The gate goes by the account, too: whoever sets LOGNAME would read of another's budgets than their calls draw on."""
    import pwd

    monkeypatch.setenv(name, "somebody-else")

    assert status.own_account() == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.skipif(os.name != "posix", reason="accounts as POSIX has them")
def test_an_account_without_a_name_is_called_as_the_gate_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container no directory may know the number."""
    monkeypatch.setattr("os.getuid", lambda: 3_999_999_999)

    assert status.own_account() == "uid:3999999999"


def test_the_table_shows_the_ledgers_id_and_head(state: State) -> None:
    """A person can note them down; what programs read is the whole head."""
    ledger = json.loads(ran(state, "status", "--format", "json"))["ledger"]

    assert f"id {ledger['id']}  head {ledger['head'][:12]}\n" in ran(state, "status")


def test_alerts_are_said_to_be_told_to_nobody_yet(state: State) -> None:
    """A policy's alerts are no silent option: the line says what this version does with them, and is not there without any."""
    assert "alerts    " not in ran(state, "status")
    said = in_force.told(state)
    assert said is not None
    source = Path(said.source)
    notify = 'notify: [{to: "slack://${SPENDGATE_SECRET_AI}", for: [alert]}]\n'
    source.write_text(POLICY.replace("$10 per month]}", "$10 per month], alerts: [50%, 80%]}") + notify)
    policy = LastGood(state).start(source, NOW_MS).policy
    in_force.tell(state, replace(said, hash=policy.hash))

    assert "alerts    0 rules, 4 thresholds: evaluated by `policy replay`, not delivered by this version\n" in ran(
        state, "status"
    )
    told = json.loads(ran(state, "status", "--format", "json"))["alerts"]
    assert told == {"rules": 0, "thresholds": 4, "delivered": False}
