"""Health of the gate as people run it: a canary call is answered by it and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import subprocess
from pathlib import Path

import httpx2

from end_to_end.raw import trust
from end_to_end.world import PRODUCT, Gate, Provider, calls, environment, policy, running_gate
from spendgate.capture.health import call_canary


def test_a_canary_call_is_answered_and_has_no_row(gate: Gate, provider: Provider) -> None:
    """Each canary names the same instance; ledger, coverage and provider know nothing of it, and calls beside it are metered."""
    listener, pem = ("127.0.0.1", gate.port), gate.ca.read_text()
    with httpx2.Client(proxy=gate.proxy, verify=trust(gate), timeout=60) as http:
        before, served = len(calls(gate.state)), len(provider.served)
        instances = {asyncio.run(call_canary("regular", listener, pem)) for _ in range(3)}
        assert len(instances) == 1
        assert None not in instances
        body = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
        headers = {"x-api-key": "sk-ant-api03-made-up"}
        answer = http.post("https://api.anthropic.com/v1/messages", json=body, headers=headers)
        gate.row(answer.headers["request-id"])
    assert [row["host"] for row in calls(gate.state)[before:]] == ["api.anthropic.com"]
    assert len(provider.served) == served + 1
    with contextlib.closing(sqlite3.connect(f"file:{gate.state / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        tables = [name for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in ledger.execute(f'SELECT * FROM "{table}"')]  # noqa: S608 - names are the ledger's
    assert "canary" not in repr(rows)


def test_a_stranger_does_not_answer_a_canary(gate: Gate, provider: Provider) -> None:
    """Trust in another CA, or a port on which no gate listens, is not health."""
    stranger = provider.ca.read_text()
    assert asyncio.run(call_canary("regular", ("127.0.0.1", gate.port), stranger)) is None
    assert asyncio.run(call_canary("regular", ("127.0.0.1", provider.port), gate.ca.read_text(), timeout_s=5)) is None


def test_status_asks_the_gate_itself(folder: Path, provider: Provider) -> None:
    """Its own canary comes back through the running product, and costs and records nothing."""
    with running_gate(folder, provider, policy(folder)) as gate:
        asked = subprocess.run(
            [*PRODUCT, "status", "--state", str(gate.state), "--format", "json"],
            capture_output=True, text=True, check=True, env=environment(folder),
        )  # fmt: skip
    found = json.loads(asked.stdout)
    assert (found["gate"]["up"], found["gate"]["captures_nothing_through"]) == (True, [])
    assert found["free_calls"] == found["unrecognized_calls"] == found["ledger"]["rows"] == 0
