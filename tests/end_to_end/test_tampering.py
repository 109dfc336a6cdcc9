"""A ledger that somebody touches between two runs of the product, and under one: named on stderr, in `status`, in the trail."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from end_to_end.test_policy_files import ask, status
from end_to_end.world import ROOT, Gate, Provider, environment, policy, running_gate, until
from spendgate.standin.script import Script


def delete(state: Path) -> None:
    """As `rm ledger.db*` does."""
    for path in state.glob("ledger.db*"):
        path.unlink()


def cheapen(state: Path) -> None:
    """A settled call costs nothing, and the person has all back."""
    edit(state, "UPDATE call_rows SET cost_nanos = 0, holds = NULL", "UPDATE sums SET settled = 0")


def forget(state: Path) -> None:
    """As if the calls had never been, the trail left as it is."""
    edit(state, "DELETE FROM chain", "DELETE FROM call_rows", "DELETE FROM sums", "DELETE FROM windows")


def edit(state: Path, *statements: str) -> None:
    """By SQL, with the triggers taken off."""
    with closing(sqlite3.connect(state / "ledger.db", isolation_level=None)) as conn:
        for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            conn.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            conn.execute(statement)


def run(folder: Path, state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of the product."""
    command = [sys.executable, "-m", "spendgate", *words, "--state", str(state)]
    return subprocess.run(command, env=environment(folder), capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize(("tamper", "word"), [(delete, "ledger new"), (forget, "ledger shrunken")])
def test_a_ledger_touched_between_two_runs(
    provider: Provider, folder: Path, tamper: Callable[[Path], None], word: str
) -> None:
    """The next start says so, `status` until it is acknowledged, the trail for good; `verify` then holds again or tells."""
    provider.set(Script(input=1_000, output=10))
    file = policy(folder)
    with running_gate(folder, provider, file) as gate:
        assert ask(gate.proxy, gate.ca).status_code == 200
    before = json.loads(run(folder, gate.state, "status", "--format", "json").stdout)["ledger"]
    assert (before["rows"] >= 1, before["findings"]) == (True, [])
    assert "holds" in run(folder, gate.state, "audit", "verify").stdout
    tamper(gate.state)
    assert (
        word in run(folder, gate.state, "status").stdout
        or "ledger.db is gone" in run(folder, gate.state, "status").stderr
    )
    with running_gate(folder, provider, file) as gate:
        assert f"{word}: ledger {before['id']}" in gate.output.decode()
        (found,) = status(gate, folder)["ledger"]["findings"]  # type: ignore[misc]
        assert found["what"] == word  # type: ignore[index]
        acknowledged = run(folder, gate.state, "audit", "ack")
        assert (acknowledged.returncode, word in acknowledged.stderr) == (0, True)
        assert status(gate, folder)["ledger"]["findings"] == []
    trail = [line["what"] for line in json.loads(run(folder, gate.state, "audit", "list", "--format", "json").stdout)]
    assert [what for what in trail if what in (word, "acknowledged")] == [word, "acknowledged"]
    assert run(folder, gate.state, "audit", "verify").returncode == (0 if tamper is delete else 1)


def test_a_settled_call_that_was_made_cheaper(provider: Provider, folder: Path) -> None:
    """The command names the link, its time and its call."""
    provider.set(Script(input=1_000, output=10))
    with running_gate(folder, provider, policy(folder)) as gate:
        ask(gate.proxy, gate.ca)
        row = until(lambda: next((row for row in gate.calls() if row["state"] == "settled"), None))
    cheapen(gate.state)
    found = run(folder, gate.state, "audit", "verify")
    assert found.returncode == 1
    first = found.stdout.splitlines()[0]
    assert first.startswith("first fault: link ")
    assert f", call {row['id']}): is not what was chained" in first
    assert row["booked_at"][:16] in first


def test_a_ledger_removed_under_a_running_gate(provider: Provider, folder: Path) -> None:
    """Within seconds; the gate goes on counting, so that nobody has a new budget by it."""
    provider.set(Script(input=1_000, output=10))
    with running_gate(folder, provider, policy(folder)) as gate:
        assert ask(gate.proxy, gate.ca).status_code == 200
        delete(gate.state)
        until(lambda: b"ledger gone: " in gate.output or None)
        assert ask(gate.proxy, gate.ca).status_code == 200
        assert not (gate.state / "ledger.db").exists()
    with running_gate(folder, provider, policy(folder)) as again:
        assert b"ledger new: " in again.output


def test_two_gates_killed_at_random_points_leave_chains_that_hold(provider: Provider, folder: Path) -> None:
    """Calls, lines and heads of both; nothing is accused that a kill alone has done."""
    provider.set(Script(input=1_000, output=10))
    file = policy(folder)
    for round_ in range(3):
        with running_gate(folder, provider, file) as first, running_gate(folder, provider, file) as second:
            asyncio.run(_load((first, second), 6))
            first.process.kill()
            first.process.wait()
            asyncio.run(_load((second,), 3))
            second.process.kill()
            second.process.wait()
        verified = run(folder, first.state, "audit", "verify")
        assert (verified.returncode, verified.stderr) == (0, ""), (round_, verified.stdout)
    with running_gate(folder, provider, file) as last:
        assert status(last, folder)["ledger"]["findings"] == []
        trail = json.loads(run(folder, last.state, "audit", "list", "--format", "json").stdout)
    assert [line["what"] for line in trail].count("gate died") == 6


async def _load(gates: tuple[Gate, ...], calls: int) -> None:
    """So many at once through each."""
    await asyncio.gather(*(asyncio.to_thread(ask, gate.proxy, gate.ca) for gate in gates for _ in range(calls)))
