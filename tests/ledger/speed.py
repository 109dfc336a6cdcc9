"""What a call costs the ledger on this machine: three budgets, one of them rolling, one gate.

    PYTHONPATH=addon:tests python tests/ledger/speed.py [CALLS]      prints microseconds: median, 99th percentile, largest

`joined` is the end of one call and the hold of the next in one transaction, as a busy gate makes them (`gate/backlog.py`).

Beside it stands what SQLite alone needs for the same promises, in turns with the calls, so that the ratio holds on any
machine and under any load: two transactions, one that inserts a row of a call's size under a unique id and changes three
balances, one that ends that row and changes them again.

Goal (issue 2, Show 8): hold and settle take 100 µs in the median, 500 µs at the 99th percentile.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.kit import DAY, NOW, open_ledger, row, scope, settled
from spendgate.admission import Admit
from spendgate.ledger import Ledger
from spendgate.ledger.connection import connect
from spendgate.ledger.interface import Decide
from spendgate.standing import Scope

_ROW = "x" * 500


@dataclass(frozen=True, slots=True)
class Speed:
    """Microseconds of one operation."""

    median_us: float
    p99_us: float
    largest_us: float


def measure(calls: int, folder: Path) -> dict[str, Speed]:
    """Holds, sends and settles so many calls one after the other, each beside one of the bare database."""
    budgets = (scope("person/day"), scope("person/month", window="2026-11"), scope("person/24h", rolling_ms=DAY))
    end, decide, ledger, bare = settled(700, *budgets), _admit(budgets), open_ledger(folder), _bare(folder / "bare.db")
    took: dict[str, list[int]] = {name: [] for name in ("hold", "sent", "settle", "hold+settle", "bare")}
    for number in range(calls):
        call = row(f"01939d3e-0000-7000-8000-{number:012d}")
        hold = _timed(lambda: ledger.hold(call, budgets, decide, NOW + number))  # noqa: B023 - called at once
        sent = _timed(lambda: ledger.sent(call.id, NOW + number))  # noqa: B023 - called at once
        settle = _timed(lambda: ledger.settle(call.id, end))  # noqa: B023 - called at once
        pair = _timed(lambda: _bare_pair(bare, call.id))  # noqa: B023 - called at once
        for name, each in zip(took, (hold, sent, settle, hold + settle, pair), strict=True):
            took[name].append(each)
    took["joined"] = [_timed(one) for one in _joined(ledger, budgets, calls)]
    ledger.close()
    bare.close()
    return {name: _speed(each) for name, each in took.items()}


def _admit(budgets: tuple[Scope, ...]) -> Decide:
    """The answer is there already: deciding is not the ledger's."""
    answer = Admit(tuple([(each, 1_000) for each in budgets]))
    return lambda standings, kind: answer


def _joined(ledger: Ledger, budgets: tuple[Scope, ...], calls: int) -> Iterator[Callable[[], object]]:
    """On a busy gate: the end of one call and the hold of the next, as one transaction."""
    end, decide, before = settled(700, *budgets), _admit(budgets), row("joined")
    ledger.hold(before, budgets, decide, NOW)
    for number in range(calls):
        ledger.sent(before.id, NOW)
        ending, call = before.id, row(f"01939d3f-0000-7000-8000-{number:012d}")

        def both() -> None:
            ledger.settle(ending, end)  # noqa: B023 - called at once
            ledger.hold(call, budgets, decide, NOW + number)  # noqa: B023 - called at once

        yield lambda: ledger.together(both)
        before = call


def _bare(path: Path) -> sqlite3.Connection:
    conn = connect(path, timeout_ms=0)
    conn.execute("CREATE TABLE rows (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, text TEXT, cost INTEGER)")
    conn.execute("CREATE TABLE sums (id INTEGER PRIMARY KEY, settled INTEGER, held INTEGER)")
    conn.executemany("INSERT INTO sums VALUES (?, 0, 0)", [(1,), (2,), (3,)])
    return conn


def _bare_pair(conn: sqlite3.Connection, call_id: str) -> None:
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("INSERT INTO rows (id, text) VALUES (?, ?)", (call_id, _ROW))
    conn.execute("UPDATE sums SET held = held + ? WHERE id IN (1, 2, 3)", (1_000,))
    conn.execute("COMMIT")
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("UPDATE rows SET cost = ? WHERE id = ?", (700, call_id))
    conn.execute("UPDATE sums SET settled = settled + ?, held = held - ? WHERE id IN (1, 2, 3)", (700, 1_000))
    conn.execute("COMMIT")


def _timed(work: Callable[[], object]) -> int:
    before = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - before


def _speed(took_ns: list[int]) -> Speed:
    took_ns.sort()
    return Speed(took_ns[len(took_ns) // 2] / 1000, took_ns[len(took_ns) * 99 // 100] / 1000, took_ns[-1] / 1000)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as where:
        found = measure(int((sys.argv[1:] or ["5000"])[0]), Path(where))
    for what, speed in found.items():
        print(f"{what:11} median {speed.median_us:8.1f}  p99 {speed.p99_us:8.1f}  largest {speed.largest_us:9.1f}")
    print(
        f"hold+settle takes {found['hold+settle'].median_us / found['bare'].median_us:.1f} times the bare database's median"
    )
