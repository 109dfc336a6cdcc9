"""A policy that changes on disk takes force while calls go on; a bad one changes nothing but what `status` says."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from pathlib import Path

import anthropic
import httpx2
import pytest

from end_to_end.world import ROOT, Gate, Provider, environment, policy, running_gate, until
from spendgate.standin.script import Script

CALL = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


def client(gate: Gate) -> anthropic.Anthropic:
    """The official SDK, through the gate, trying once."""
    http = httpx2.Client(proxy=gate.proxy, verify=ssl.create_default_context(cafile=gate.ca))
    return anthropic.Anthropic(api_key="sk-ant-api03-x", http_client=http, max_retries=0)


def status(gate: Gate, folder: Path) -> dict[str, dict[str, object]]:
    """`spendgate status --format json`."""
    command = [sys.executable, "-m", "spendgate", "status", "--state", str(gate.state), "--format", "json"]
    done = subprocess.run(command, env=environment(folder), capture_output=True, check=True, cwd=ROOT)
    return json.loads(done.stdout)


def test_a_changed_policy_takes_force(provider: Provider, folder: Path) -> None:
    """What was spent counts at once against the new limit; a later, wider one lets calls through again."""
    provider.set(Script(input=100_000, output=10))  # $0.2001
    with running_gate(folder, provider, policy(folder, limit="$100")) as gate, client(gate) as sdk:
        sdk.messages.create(**CALL)
        before = status(gate, folder)["policy"]["hash"]

        policy(folder, limit="$0.15")
        until(lambda: True if status(gate, folder)["policy"]["hash"] != before else None)
        with pytest.raises(anthropic.RateLimitError, match="spent"):
            sdk.messages.create(**CALL)

        policy(folder, limit="$200")
        until(lambda: True if b"$200" in (gate.state / "policy" / "last-good.yaml").read_bytes() else None)
        until(lambda: _goes(sdk))


def _goes(sdk: anthropic.Anthropic) -> bool | None:
    """Whether a call is let through; the new policy needs a moment after its file was taken."""
    try:
        sdk.messages.create(**CALL)
    except anthropic.RateLimitError:
        return None
    return True


def test_a_bad_policy_changes_nothing(provider: Provider, folder: Path) -> None:
    """The last good one decides on; the fault is told with its place, in the log and by `status`."""
    file = policy(folder, limit="$100")
    with running_gate(folder, provider, file) as gate, client(gate) as sdk:
        before = status(gate, folder)["policy"]["hash"]
        file.write_text(file.read_text().replace("limit:", "limitt:"))

        faults = until(lambda: status(gate, folder)["policy"]["refused"] or None)

        assert any("limitt" in fault and fault.startswith(f"{file}:") for fault in faults)
        assert status(gate, folder)["policy"]["hash"] == before
        sdk.messages.create(**CALL)
        assert b"last good one stays in force" in gate.output
