"""Gates and readers that come and go leave the ledger of a gate that goes on in one piece: its file, its log, its rows."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ledger.kit import open_ledger
from ledger.processes import finish, line, worker
from spendgate.errors import StateError
from spendgate.ledger.check import check
from spendgate.ledger.connection import connect
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.ledger.store import OPEN_TIMEOUT_MS


def call(gate: subprocess.Popen[str]) -> str:
    """One call at a gate of `worker.py steps`."""
    assert gate.stdin is not None
    gate.stdin.write("\n")
    gate.stdin.flush()
    return line(gate)


def started(folder: Path, name: str) -> subprocess.Popen[str]:
    """A gate of a process of its own."""
    gate = worker("steps", folder, name)
    assert line(gate) == "started"
    return gate


def ids(folder: Path) -> set[str]:
    """The settled calls that everybody sees."""
    with Reader(folder / "ledger.db") as reader:
        return {each["id"] for each in reader.calls(Span()) if each["state"] == "settled"}


def gate_comes_and_goes(folder: Path) -> set[str]:
    """A second gate, with one call, stopped in order."""
    other = started(folder, "other")
    made = call(other)
    finish(other)
    assert other.returncode == 0
    return {made}


def gate_is_killed(folder: Path) -> set[str]:
    """A second gate, with one call, killed; then a third that finds what it left."""
    other = started(folder, "killed")
    made = call(other)
    other.kill()
    finish(other)
    return {made} | gate_comes_and_goes(folder)


def reader_comes_and_goes(folder: Path) -> set[str]:
    """`status`, `calls` and the like."""
    reader = worker("read", folder)
    assert int(line(reader)) >= 1
    finish(reader)
    assert reader.returncode == 0
    return set()


def script_comes_and_goes(folder: Path) -> set[str]:
    """Somebody's own read-write connection: `sqlite3 ledger.db`."""
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM calls').fetchall(); c.close()"
    )
    subprocess.run([sys.executable, "-c", script, str(folder / "ledger.db")], check=True)
    return set()


@pytest.mark.parametrize(
    "visit",
    [gate_comes_and_goes, gate_is_killed, reader_comes_and_goes, script_comes_and_goes],
    ids=lambda v: v.__name__,
)
def test_whoever_closes_the_file_leaves_a_running_gate_its_log(
    tmp_path: Path, visit: Callable[[Path], set[str]]
) -> None:
    """A gate that goes on while others end writes where all can read it, also after `kill -9`."""
    gate = started(tmp_path, "first")
    served = {call(gate)}
    for _ in range(2):
        served |= visit(tmp_path)
        served.add(call(gate))
        assert ids(tmp_path) == served
        files = Path(f"/proc/{gate.pid}/fd")
        if files.is_dir():
            opened = {each.readlink().name for each in files.iterdir()}
            assert not {name for name in opened if name.startswith("ledger.db") and name.endswith("(deleted)")}
    gate.kill()
    finish(gate)
    assert ids(tmp_path) == served
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        assert check(conn) == ()
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_both_gates_go_on_counting_together(tmp_path: Path) -> None:
    """After one of three has ended, the two that go on draw on one balance."""
    first, second = started(tmp_path, "first"), started(tmp_path, "second")
    served = {call(first), call(second)} | gate_comes_and_goes(tmp_path)
    served |= {call(gate) for gate in (first, second, first)}
    finish(first)
    served |= {call(second) for _ in range(2)}
    finish(second)
    assert ids(tmp_path) == served
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        assert conn.execute("SELECT DISTINCT settled, held FROM balances WHERE budget <> ''").fetchall() == [
            (700 * len(served), 0)
        ]


def test_a_new_ledger_that_another_gate_is_making_is_waited_for(tmp_path: Path) -> None:
    """SQLite does not wait before it turns the write-ahead log on; two gates that start at once on a new machine would fail."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError, match="locked"):
            connect(path, timeout_ms=0)
        gone = threading.Timer(0.1, other.execute, ("COMMIT",))
        gone.start()
        with closing(connect(path, timeout_ms=OPEN_TIMEOUT_MS)) as ours:
            assert ours.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        gone.join()


def test_a_new_ledger_is_private_and_an_old_one_is_left_as_it_is(tmp_path: Path) -> None:
    """Nobody else can read a new ledger or its log; the mode that somebody gave an existing one is theirs."""
    path = tmp_path / "ledger.db"
    ledger = open_ledger(tmp_path)
    assert {each.stat().st_mode & 0o777 for each in tmp_path.glob("ledger.db*")} == {0o600}
    ledger.close()
    path.chmod(0o640)
    connect(path, timeout_ms=0).close()
    assert path.stat().st_mode & 0o777 == 0o640
