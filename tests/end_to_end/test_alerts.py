"""The whole product: an SDK's call through a running gate, and its owner hears; what told is in no file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from alerts.receiving import endpoint, until
from end_to_end.test_policy_reload import CALL, client
from end_to_end.world import ROOT, Provider, environment, running_gate
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
