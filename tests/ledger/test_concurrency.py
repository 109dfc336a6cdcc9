"""Many at once: threads, gates and processes on one file never admit more than one alone would."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.kit import NOW, open_ledger, row, scope, standing_of, within_limits
from ledger.processes import finish, line, worker
from ledger.worker import BUDGETS, LIMIT, retried
from spendgate.admission import Admit
from spendgate.errors import LedgerBusy
from spendgate.ledger import Ledger, balances, holds

CALL = 100_000_000
"""$0.10 against $5: fifty fit."""


def race_of_threads(folder: Path, calls: int, gates: int) -> int:
    """How many of so many calls at once are admitted, spread over gates in this process."""
    opened = [open_ledger(folder) for _ in range(gates)]

    def one(number: int) -> bool:
        gate = opened[number % gates]
        return isinstance(retried(lambda: gate.hold(row(str(number)), BUDGETS, within_limits(CALL), NOW)), Admit)

    with ThreadPoolExecutor(max_workers=100) as pool:
        admitted = sum(pool.map(one, range(calls)))
    for gate in opened:
        gate.close()
    return admitted


@pytest.mark.parametrize("gates", [1, 2])
def test_threads_admit_exactly_what_fits(ledger: Ledger, tmp_path: Path, gates: int) -> None:
    """300 calls of $0.10 at once against $5: exactly 50 go, not one nano-dollar over."""
    assert race_of_threads(tmp_path, 300, gates) == LIMIT // CALL
    assert standing_of(ledger, BUDGETS[0]).held_nanos == LIMIT


def test_without_the_hold_the_budget_is_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same race with the hold taken out of the code goes far over: the test above does test the hold."""
    monkeypatch.setattr(holds, "bound_of", lambda ceiling_nanos, hold_nanos: 0)
    monkeypatch.setattr(balances.Balances, "move", lambda self, booked_ms, changes: None)
    assert race_of_threads(tmp_path, 300, 2) == 300


def test_processes_admit_exactly_what_fits(ledger: Ledger, tmp_path: Path) -> None:
    """Three gates in processes of their own, 60 calls each: exactly 50 go."""
    workers = [worker("race", tmp_path, 60, CALL) for _ in range(3)]
    admitted = sum(int(line(each)) for each in workers)
    standing = standing_of(ledger, BUDGETS[1])
    for each in workers:
        finish(each)
    assert admitted == LIMIT // CALL
    assert standing.held_nanos == LIMIT


def test_busy_ledger_says_so_at_once(ledger: Ledger, tmp_path: Path) -> None:
    """While another process writes, every method raises LedgerBusy instead of stalling the loop, and changes nothing."""
    other = worker("lock", tmp_path)
    assert line(other) == "locked"
    tries = (
        lambda: ledger.hold(row("a"), (scope(),), within_limits(5), NOW),
        lambda: ledger.sent("a", NOW),
        lambda: ledger.leave("a"),
        lambda: ledger.resize("a", (), NOW),
    )
    asked: list[str] = []
    ledger._store.conn.set_trace_callback(asked.append)
    for attempt in tries:
        with pytest.raises(LedgerBusy, match="another process"):
            attempt()
    ledger._store.conn.set_trace_callback(None)
    # Once each, and SQLite itself does not wait.
    assert [statement.split()[0] for statement in asked] == ["BEGIN", "UPDATE", "BEGIN", "BEGIN"]
    assert ledger._store.conn.execute("PRAGMA busy_timeout").fetchone() == (0,)
    finish(other)
    assert isinstance(ledger.hold(row("a"), (scope(),), within_limits(5), NOW), Admit)
