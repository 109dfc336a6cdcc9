"""`kill -9` at any point: counter = settled + open holds, every served call charged once, no call twice."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

import crowded
from crowded import counters
from ledger.kit import NOW, open_ledger
from ledger.processes import worker
from ledger.worker import BUDGETS
from spendgate.config.paths import write_private
from spendgate.ledger.check import check
from spendgate.ledger.heads_file import HeadsFile
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.ledger.verify import verify


def kill_at_random_points(folder: Path, times: int, seed: int, budgets: int) -> None:
    """Kill a busy gate so many times; look at the ledger after each."""
    chance, served = random.Random(seed), set[str]()
    for number in range(times):
        gate = worker("churn", folder, f"run{number}", budgets)
        assert gate.stdout is not None
        first = gate.stdout.readline().strip()
        assert first, f"the gate of run {number} ended by itself with {gate.wait()}"
        served.add(first)
        time.sleep(chance.uniform(0, 0.05))
        gate.kill()
        # Not communicate(): it would read past what readline() has buffered. A line cut short by the kill names no call.
        rest = gate.stdout.read()
        gate.communicate()
        served.update(each.strip() for each in rest.splitlines(keepends=True) if each.endswith("\n"))
        with closing(sqlite3.connect(folder / "ledger.db", isolation_level=None)) as conn:
            assert check(conn) == ()
            seen = HeadsFile(folder, write_private).read()
            assert list(verify(conn, seen.heads if seen else None)) == []
            assert seen is None or seen.findings == ()
    last = open_ledger(folder)
    last.resolve_orphans(NOW)
    last.close()
    with Reader(folder / "ledger.db") as reader:
        calls = {each["id"]: each for each in reader.calls(Span())}
        assert reader.check() == ()
    kept = counters(folder / "ledger.db")
    assert len(kept) == budgets
    assert set(kept.values()) == {(sum(each["cost_nanos"] for each in calls.values()), 0)}
    assert served - calls.keys() == set()
    # 700 where the end was seen, 1,000 (what was held) where the gate died first; never nothing.
    assert {calls[call]["cost_nanos"] for call in served} <= {700, 1_000}


@pytest.mark.parametrize("budgets", [pytest.param(len(BUDGETS), marks=pytest.mark.heavy), crowded.BUDGETS])
def test_killed_gate_loses_and_doubles_nothing(tmp_path: Path, budgets: int) -> None:
    """Twenty kills."""
    kill_at_random_points(tmp_path, 20, seed=1, budgets=budgets)


@pytest.mark.heavy
@pytest.mark.parametrize("budgets", [len(BUDGETS), crowded.BUDGETS])
@pytest.mark.timeout(3600)  # two hundred process starts, on whatever machine
def test_killed_gate_loses_and_doubles_nothing_200_times(tmp_path: Path, budgets: int) -> None:
    """Two hundred kills."""
    kill_at_random_points(tmp_path, 200, seed=2, budgets=budgets)
