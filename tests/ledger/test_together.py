"""Several writes as one transaction: all of them or none, and what a gate remembers follows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.kit import NOW, admit, open_ledger, row, scope, settled, standing_of
from spendgate.errors import LedgerBusy
from spendgate.ledger import Ledger
from spendgate.ledger.check import check

DAY_BUDGET = scope()


def test_an_end_and_a_hold_are_one_transaction(ledger: Ledger, tmp_path: Path) -> None:
    """The hold sees what the end has left, and the file has both after one commit."""
    ledger.hold(row("first"), (DAY_BUDGET,), admit(500), NOW)
    log = tmp_path / "ledger.db-wal"
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
        before = _commits_seen(other)

        def both() -> None:
            ledger.settle("first", settled(70, DAY_BUDGET))
            ledger.hold(row("second"), (DAY_BUDGET,), admit(30), NOW + 1)
            assert _commits_seen(other) == before  # nobody sees the one without the other

        ledger.together(both)
        assert _commits_seen(other) != before
    assert log.stat().st_size > 0
    standing = standing_of(ledger, DAY_BUDGET)
    assert (standing.settled_nanos, standing.held_nanos) == (70, 30)


def test_what_fails_takes_all_of_it_back(ledger: Ledger, tmp_path: Path) -> None:
    """A fault after an end leaves the call open, on file and in what the gate remembers; it can then be ended once."""
    ledger.hold(row("first"), (DAY_BUDGET,), admit(500), NOW)

    def fails() -> None:
        assert ledger.settle("first", settled(70, DAY_BUDGET))
        ledger.hold(row("first"), (DAY_BUDGET,), admit(30), NOW + 1)  # an id that the ledger has

    with pytest.raises(ValueError, match="other rows"):
        ledger.together(fails)

    standing = standing_of(ledger, DAY_BUDGET)
    assert (standing.settled_nanos, standing.held_nanos) == (0, 500)
    assert ledger.settle("first", settled(70, DAY_BUDGET))
    assert not ledger.settle("first", settled(70, DAY_BUDGET))
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        assert check(conn) == ()


def test_what_is_read_within_sees_what_was_written_before(ledger: Ledger) -> None:
    """It is the same transaction's: a reader that waited for its own writer would wait for good."""
    ledger.hold(row("first"), (DAY_BUDGET,), admit(500), NOW)
    seen: list[tuple[int, int]] = []

    def both() -> None:
        ledger.settle("first", settled(70, DAY_BUDGET))
        (standing,) = ledger.standings((DAY_BUDGET,), NOW, {})
        seen.append((standing.settled_nanos, standing.held_nanos))
        ledger.hold(row("second"), (DAY_BUDGET,), admit(30), NOW + 1)

    ledger.together(both)
    assert seen == [(70, 0)]
    standing = standing_of(ledger, DAY_BUDGET)
    assert (standing.settled_nanos, standing.held_nanos) == (70, 30)


def test_a_busy_file_is_said_before_anything_is_done(ledger: Ledger, tmp_path: Path) -> None:
    """Another writer: nothing of the work runs, so it can be tried again whole."""
    ran: list[int] = []
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerBusy):
            ledger.together(lambda: ran.append(1))
    assert ran == []
    ledger.together(lambda: ran.append(1))
    assert ran == [1]


def test_a_new_ledger_has_small_pages(tmp_path: Path) -> None:
    """A commit writes whole pages, of which a row is a small part: half the bytes, and a tenth less time."""
    open_ledger(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as conn:
        assert conn.execute("PRAGMA page_size").fetchone() == (2048,)


def _commits_seen(conn: sqlite3.Connection) -> int:
    """Another number after each commit of somebody else."""
    return int(conn.execute("PRAGMA data_version").fetchone()[0])
