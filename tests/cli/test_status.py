"""Whom `status` speaks of, and by what a swapped or shortened ledger is noticed."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from cli.kit import NOW_MS, POLICY, ran, row
from spendgate.admission import Admit
from spendgate.cli import account, in_force
from spendgate.config import policies
from spendgate.config.paths import State
from spendgate.config.policies import LastGood
from spendgate.flow import Tokens
from spendgate.gate.clock import Clock
from spendgate.ledger.interface import Flowing
from spendgate.ledger.ledger import Ledger
from spendgate.rates import rate_scopes
from spendgate.selector import Facts


@pytest.mark.skipif(os.name != "posix", reason="accounts as POSIX has them")
@pytest.mark.parametrize("name", ["LOGNAME", "USER", "LNAME", "USERNAME"])
def test_this_person_is_the_account_and_not_what_the_environment_claims(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The gate goes by the account, too: whoever sets LOGNAME would read of another's budgets than their calls draw on."""
    import pwd

    monkeypatch.setenv(name, "somebody-else")

    assert account.own_account() == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.skipif(os.name != "posix", reason="accounts as POSIX has them")
def test_an_account_without_a_name_is_called_as_the_gate_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container no directory may know the number."""
    monkeypatch.setattr("os.getuid", lambda: 3_999_999_999)

    assert account.own_account() == "uid:3999999999"


def test_the_table_shows_the_ledgers_id_and_head(state: State) -> None:
    """A person can note them down; what programs read is the whole head."""
    ledger = json.loads(ran(state, "status", "--format", "json"))["ledger"]

    assert f"id {ledger['id']}  head {ledger['head'][:12]}\n" in ran(state, "status")


def test_rates_are_shown_with_what_is_used_now(state: State, tmp_path: Path) -> None:
    """Each limit of each rate that counts this person's calls, for people and for programs."""
    file = tmp_path / "policy.yaml"
    rates = "rates:\n  - {name: loop, per: person, requests: 100 per hour, tokens: 5000 per 2h, parallel: 8}\n"
    file.write_text(POLICY + rates + "  - {name: bobs, match: {person: bob}, parallel: 2}\n")
    policy = policies.LastGood(state).start(file, NOW_MS).policy
    in_force.tell(
        state, in_force.InForce(policy.hash, str(file), NOW_MS, (), None, "m" * 32, "genai-prices 0", ("regular",))
    )
    clock, ledger = Clock(), Ledger.open(state.ledger, state.gates, NOW_MS)
    facts = Facts.of(model="claude-sonnet-4-5", person="alice", session="s1")
    scopes = rate_scopes(policy.rate_draws, (facts,), True)
    flowing = Flowing(clock.boot(), clock.boot_ms(), Tokens(1_200), scopes, 7_200_000)
    admit = Admit(tuple((scope, 0) for scope in scopes))
    ledger.hold(row("0d1b2c3d-rated", 3), scopes, lambda _s, _k: admit, NOW_MS, flowing=flowing)

    shown = {each["what"]: each for each in json.loads(ran(state, "status", "--format", "json"))["rates"]}
    ledger.close()
    assert {what: (each["used"], each["limit"], each["per"]) for what, each in shown.items()} == {
        "requests": (1, 100, "hour"), "tokens": (1_200, 5_000, "2h"), "at once": (1, 8, None),
    }  # fmt: skip
    assert {(each["rate"], each["value"], each["mode"]) for each in shown.values()} == {("loop", "alice", "enforced")}
    table = [line.split() for line in ran(state, "status").splitlines()]
    assert ["loop", "alice", "requests", "1", "100", "hour", "now", "enforced"] in table
    assert ["loop", "alice", "tokens", "1,200", "5,000", "2h", "now", "enforced"] in table
    assert ["loop", "alice", "at", "once", "1", "8", "now", "enforced"] in table
    assert "loop" not in ran(state, "calls", "show", "0d1b2c3d")


def test_alerts_are_counted(state: State) -> None:
    """A policy's alerts are no silent option: the line says how many, and is not there without any."""
    assert "alerts    " not in ran(state, "status")
    said = in_force.told(state)
    assert said is not None
    source = Path(said.source)
    notify = 'notify: [{to: "slack://${SPENDGATE_SECRET_AI}", for: [alert]}]\n'
    source.write_text(POLICY.replace("$10 per month]}", "$10 per month], alerts: [50%, 80%]}") + notify)
    policy = LastGood(state).start(source, NOW_MS).policy
    in_force.tell(state, replace(said, hash=policy.hash))

    assert "alerts    0 rules, 4 thresholds\n" in ran(state, "status")
    told = json.loads(ran(state, "status", "--format", "json"))["alerts"]
    assert told == {"rules": 0, "thresholds": 4, "undelivered": 0, "why": [], "unseen": []}
