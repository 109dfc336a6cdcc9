"""`mode: observe` while the gate cannot decide, through a running gate: who would be refused is told, and nobody is."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import httpx2
import pytest

from end_to_end.raw import trust
from end_to_end.world import PATIENCE_S, Provider, running_gate, until

POLICY = """\
version: 1
owner: tests@acme.example
mode: MODE
on_failure: refuse
budgets: [{name: person, per: person, limit: $5 per day}]
"""
STAGED = "{default: observe, enforce: [{model: 'claude-opus-*'}]}"


@pytest.mark.parametrize(
    ("mode", "model", "passes"),
    [
        pytest.param("observe", "claude-sonnet-4-6", True, id="observe"),
        pytest.param(STAGED, "claude-sonnet-4-6", True, id="not one of those who are refused"),
        pytest.param(STAGED, "claude-opus-4-5", False, id="one of them"),
        pytest.param("enforce", "claude-sonnet-4-6", False, id="enforce"),
    ],
)
def test_only_whom_the_mode_enforces(provider: Provider, folder: Path, mode: str, model: str, *, passes: bool) -> None:
    """Under `on_failure: refuse`, its ledger locked by somebody else: the row says so, once it can be written."""
    file = folder / "policy.yaml"
    file.write_text(POLICY.replace("MODE", mode))
    said = {"model": model, "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
    keys = {"x-api-key": "sk-ant-api03-made-up"}
    with (
        running_gate(folder, provider, file) as gate,
        httpx2.Client(proxy=gate.proxy, verify=trust(gate), headers=keys, timeout=PATIENCE_S) as http,
    ):
        assert http.post("https://api.anthropic.com/v1/messages", json=said).status_code == 200
        until(lambda: [row for row in gate.calls() if row["state"] == "settled"] or None)
        with contextlib.closing(
            sqlite3.connect(gate.state / "ledger.db", timeout=PATIENCE_S, isolation_level=None)
        ) as other:
            other.execute("BEGIN EXCLUSIVE")
            answer = http.post("https://api.anthropic.com/v1/messages", json=said)
            other.execute("ROLLBACK")
        assert answer.is_success is passes
        last = until(lambda: next((row for row in gate.calls()[1:] if row["ended_at"]), None))
        by = "would_refuse_by" if passes else "refused_by"
        assert (last["state"], last[by]) == ("settled" if passes else "refused", "on_failure")
