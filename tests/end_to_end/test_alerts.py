"""The whole product: an SDK's call through a running gate, and its owner hears; what told is in no file."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import anthropic
import pytest

from alerts.receiving import endpoint, until
from alerts.weeks import Weeks
from end_to_end.test_policy_reload import CALL, client
from end_to_end.world import ROOT, Provider, environment, running_gate
from spendgate.config.paths import State, prepare
from spendgate.config.policies import load
from spendgate.digest import week_to_tell
from spendgate.standin.script import Script

SECRET = "canary-5ec4e7"


def test_the_owner_hears_of_a_call(provider: Provider, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through `spendgate run`: the web hook has it, `alerts list` says so, and its password is nowhere in the state."""
    provider.set(Script(input=100_000, output=10))  # $0.2001
    surroundings = environment(folder, SPENDGATE_SECRET_HOOK=SECRET)
    monkeypatch.setattr("end_to_end.world.environment", lambda *_, **more: {**surroundings, **more})
    with endpoint() as hook:
        to = hook.to.replace("json://", "json://spend:${SPENDGATE_SECRET_HOOK}@")
        file = folder / "alerting.yaml"
        file.write_text(
            f"""version: 1
owner: lead@acme.example
budgets: [{{name: person, per: person, limit: $1 per day, alerts: [20%]}}]
notify: [{{to: "{to}", for: [alert]}}]
"""
        )
        with running_gate(folder, provider, file) as gate, client(gate) as sdk:
            sdk.messages.create(**CALL)
            until(lambda: hook.heard)
            state = gate.state
        command = [sys.executable, "-m", "spendgate", "alerts", "list", "--state", str(state), "--format", "json"]
        done = subprocess.run(command, env=environment(folder), capture_output=True, check=True, cwd=ROOT)
    (row,) = json.loads(done.stdout)
    assert row["rule"] == "person 20%"
    assert row["deliveries"][0]["delivered_at"] is not None
    assert row["name"] in hook.heard[0]["message"]
    assert not [each for each in state.rglob("*") if each.is_file() and SECRET.encode() in each.read_bytes()]


def test_the_owner_hears_of_an_ask(provider: Provider, folder: Path) -> None:
    """Refused, asked, heard: through `spendgate run`, with the command that grants it in the message."""
    provider.set(Script(input=100_000, output=10))  # $0.2001
    with endpoint() as hook:
        file = folder / "asking.yaml"
        file.write_text(
            f"""version: 1
owner: lead@acme.example
budgets: [{{name: person, per: person, limit: $0.10 per day}}]
notify: [{{to: "{hook.to}", for: [alert]}}]
"""
        )
        with running_gate(folder, provider, file) as gate, client(gate) as sdk:
            sdk.messages.create(**CALL)
            with pytest.raises(anthropic.RateLimitError):
                sdk.messages.create(**CALL)
            told = ask(folder, gate.state, "5", "--for", "release week").stdout
            assert b"The running gate tells them now" in told
            until(lambda: hook.heard)
            listed = json.loads(ask(folder, gate.state, "list", "--format", "json").stdout)
            until(lambda: b"delivered to json-" in ask(folder, gate.state, "list").stdout)
    (heard,) = hook.heard
    assert heard["title"].endswith("asks for more")
    assert "asks for $5.00 more of person until" in heard["message"]
    assert "$0.2001 spent of $0.10" in heard["message"]
    assert "add: $5.00, until: " in heard["message"]
    assert [row["reason"] for row in listed] == ["release week"]


def ask(folder: Path, state: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """`spendgate ask`."""
    command = [sys.executable, "-m", "spendgate", "ask", *words, "--state", str(state)]
    return subprocess.run(command, env=environment(folder), capture_output=True, check=True, cwd=ROOT)


def test_the_week_is_told(provider: Provider, folder: Path) -> None:
    """A gate that starts over the ledger of last week sends its digest, another start none; `spendgate digest` says the same."""
    with endpoint() as hook:
        file = folder / "weekly.yaml"
        file.write_text(
            f"""version: 1
owner: lead@acme.example
budgets: [{{name: person, per: person, limit: $100 per month}}]
notify: [{{to: "{hook.to}", for: [digest]}}]
"""
        )
        policy, now_ms = load(file), time.time_ns() // 1_000_000
        week = week_to_tell(policy, now_ms)
        state = prepare(State(folder / "state"))
        weeks = Weeks(state.root, policy, week.starts_ms)
        weeks.spend("alice", week.starts_ms, 42)
        weeks.ledger.close()
        with running_gate(folder, provider, file):
            until(lambda: hook.heard)
        with running_gate(folder, provider, file) as gate, client(gate) as sdk:
            sdk.messages.create(**CALL)
            command = [sys.executable, "-m", "spendgate", "digest", "--state", str(state.root), "--week"]
            day = week.key.removeprefix("week ")
            done = subprocess.run([*command, day], env=environment(folder), capture_output=True, check=True, cwd=ROOT)
    (heard,) = hook.heard
    assert "$42.00 spent, nothing the week before, in 1 call of 1 person" in heard["message"]
    assert heard["message"].splitlines()[:2] == done.stdout.decode().splitlines()[:2]
