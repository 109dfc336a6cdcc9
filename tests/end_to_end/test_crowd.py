"""Thirty budgets over five kinds of window, five hundred people, a running gate: what is in flight, refused and told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import crowded
from crowded import Limited
from end_to_end.storm import MODEL, Standin, post
from end_to_end.world import PATIENCE_S, PRODUCT, Gate, calls, environment, running_gate

INPUT = 2_000
"""Bytes of a request."""


@pytest.fixture
def standin(folder: Path) -> Iterator[Standin]:
    """The stand-in in a process of its own."""
    running = Standin(folder)
    yield running
    if running.process.poll() is None:
        running.stop()


def body(number: int, max_tokens: int = 3_600) -> bytes:
    """A request of 2,000 bytes, whose ceiling is exactly $0.10: a token for each byte, and all its output."""
    made: dict[str, Any] = {"model": MODEL, "max_tokens": max_tokens, "messages": [{"role": "user", "content": ""}]}
    made["messages"][0]["content"] = f"{number:06}" + "x" * (INPUT - 6 - len(json.dumps(made)))
    return json.dumps(made).encode()


def status(gate: Gate, folder: Path) -> dict[str, Any]:
    """What `spendgate status` says."""
    command = [*PRODUCT, "status", "--state", str(gate.state), "--format", "json"]
    done = subprocess.run(command, env=environment(folder), capture_output=True, timeout=PATIENCE_S, check=True)
    return dict(json.loads(done.stdout))


def open_holds(state: Path) -> dict[str, int]:
    """By budget what the open calls hold, by their own rows."""
    with contextlib.closing(sqlite3.connect(f"file:{state / 'ledger.db'}?mode=ro", uri=True, timeout=30)) as ledger:
        summed = """SELECT budget, sum(nanos) FROM holds JOIN balances ON balances.id = holds.balance
            WHERE budget <> '' AND charged_nanos IS NULL GROUP BY budget"""
        return dict(ledger.execute(summed).fetchall())


async def _asked(gate: Gate, number: int, script: str, session: str = "one", **words: int) -> int:
    trust = ssl.create_default_context(cafile=str(gate.ca))
    return (await post(gate.port, trust, body(number, **words), script, session))[0]


async def _in_flight(gate: Gate, folder: Path) -> dict[str, Any]:
    """Status while six calls are answered."""
    running = [
        asyncio.create_task(_asked(gate, number, "input=100; output=10; delay_ms=60000", max_tokens=50))
        for number in range(6)
    ]
    while sum(row["state"] == "open" for row in await asyncio.to_thread(calls, gate.state)) < 6:
        await asyncio.sleep(0.05)
    held, told = open_holds(gate.state), await asyncio.to_thread(status, gate, folder)
    assert open_holds(gate.state) == held
    ceilings = [row["ceiling_nanos"] for row in calls(gate.state)]
    assert {row["budget"]: row["held_nanos"] for row in told["budgets"]} == held
    largest = [row["held_nanos"] for row in calls(gate.state)]
    above = sum(max(0, ceiling - most) for ceiling, most in zip(ceilings, largest, strict=True))
    assert told["open_calls_above_holds_nanos"] == above
    for each in running:
        each.cancel()  # the client hangs up: what was sent is charged
    await asyncio.gather(*running, return_exceptions=True)
    while any(row["state"] == "open" for row in await asyncio.to_thread(calls, gate.state)):
        await asyncio.sleep(0.05)
    return told


def test_status_tells_all_thirty_and_what_open_calls_could_still_cost(standin: Standin, folder: Path) -> None:
    """Each of the thirty with what it holds while calls run, equal to the calls' own rows; and nothing held afterwards."""
    file = folder / "policy.yaml"
    file.write_text(crowded.text(Limited("firm", "session", hold="ceiling")))
    with running_gate(folder, standin, file) as gate:  # type: ignore[arg-type]  # port and CA are all it needs
        told = asyncio.run(_in_flight(gate, folder))
        assert len(told["budgets"]) == crowded.BUDGETS
        assert len({row["window"].split(" ")[0] for row in told["budgets"]}) >= 5
        afterwards = status(gate, folder)
    spent = sum(row["cost_nanos"] for row in calls(gate.state))
    assert spent > 0
    assert {(row["spent_nanos"], row["held_nanos"]) for row in afterwards["budgets"]} == {(spent, 0)}
    assert set(crowded.agree(gate.state / "ledger.db").values()) == {(spent, 0)}


async def _at_once(gates: list[Gate]) -> list[int]:
    return await asyncio.gather(
        *(_asked(gates[n % len(gates)], n, "input=2000; output=3600; delay_ms=1000") for n in range(300))
    )


@pytest.mark.parametrize("gates", [pytest.param(1, marks=pytest.mark.heavy), 2])
def test_a_ceiling_among_thirty_is_not_passed(standin: Standin, folder: Path, gates: int) -> None:
    """300 clients at once with a bound of $0.10 each against $5, over one gate or two on one ledger: exactly fifty reach the
    provider, not a nano-dollar over, and each refusal is proved by its row."""
    file = folder / "policy.yaml"
    file.write_text(crowded.text(Limited("firm", "session", "$5", "ceiling")))
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(running_gate(folder, standin, file)) for _ in range(gates)]  # type: ignore[arg-type]  # port and CA are all it needs
        said = asyncio.run(_at_once(running))
    standin.stop()
    assert (said.count(200), said.count(429)) == (50, 250)
    assert len(standin.served()) == 50
    assert set(crowded.agree(folder / "state" / "ledger.db").values()) == {(5 * 10**9, 0)}
    for row in calls(folder / "state"):
        if row["state"] == "refused":
            others = row["refused_held_nanos"] if row["refused_why"] == "held" else 0
            assert row["refused_settled_nanos"] + others + row["refused_hold_nanos"] > row["refused_limit_nanos"]
