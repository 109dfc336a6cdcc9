"""The ledger's transactions: how one begins, ends and fails.

Rules: every write is inside one `BEGIN IMMEDIATE`, or is one statement; `together` makes several writes one transaction,
which stands or falls as a whole; nothing here waits for another writer (`busy_timeout` 0, the caller retries); every failure
of SQLite becomes `LedgerBusy` or `LedgerUnavailable` with the transaction rolled back and all that was known forgotten.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database

from spendgate.errors import LedgerBusy, LedgerUnavailable
from spendgate.ledger import checkpoints
from spendgate.ledger.checkpoints import Checkpoints
from spendgate.ledger.connection import connect, identity
from spendgate.ledger.known import Known
from spendgate.ledger.reserve import Reserve
from spendgate.ledger.sqlite_faults import FULL, is_full, unavailable

OPEN_TIMEOUT_MS = 5_000
"""How long opening and filling may wait for another writer; the hot path never does."""

T = TypeVar("T")
Work = Callable[[Known], T]


class Store:
    """One connection, its transactions, and what it knows. Safe to use from several threads, one transaction at a time."""

    def __init__(self, path: Path, reserve: Reserve) -> None:
        """Open `path`, patiently. Raises StateError."""
        self.path = path
        self.conn = connect(path, timeout_ms=OPEN_TIMEOUT_MS)
        self._file = identity(path)
        self.patience_s = OPEN_TIMEOUT_MS / 1000
        """How long it waits for another writer."""
        self.database = Database(self.conn, recursive_triggers=False, execute_plugins=False)
        self.known = Known(self.conn)
        self._reserve = reserve
        self._lock = threading.Lock()
        self.spends_reserve = False
        """Whether any write may use the reserve of a full disk."""
        self._inside: int | None = None
        """The thread whose work `together` runs; what that writes belongs to its transaction."""
        self._checkpoints = Checkpoints(path, self._lock)

    def impatient(self) -> None:
        """From here on another writer means LedgerBusy at once."""
        self.conn.execute("PRAGMA busy_timeout = 0")
        self.patience_s = 0.0

    def write(self, work: Work[T]) -> T:
        """Run `work` as one transaction. Raises LedgerBusy or LedgerUnavailable; nothing is then changed.

        While the reserve is given back, only what ends a call may be written: that is what the room is for.
        """
        if self._inside is not None and self._inside == threading.get_ident():
            return work(self.known)
        if self.spends_reserve:
            return self.end(work)
        if not self._reserve.held(time.monotonic()):
            raise LedgerUnavailable(FULL)
        return self._run(work)

    def end(self, work: Work[T]) -> T:
        """Like `write`, for what ends or corrects an open call: it may use the reserve of a full disk."""
        return self._at_last(work)

    def mark(self, work: Work[T]) -> T:
        """Like `end`, for work that is one statement: SQLite makes it a transaction by itself, at half the price."""
        return self._at_last(work, alone=True)

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`, which only reads; within `together` it sees what that has written so far. Raises LedgerUnavailable."""
        if self._inside is not None and self._inside == threading.get_ident():
            self.known.balances.write(self.known.cursor)
            return work(self.conn)
        with self._lock:
            try:
                return work(self.conn)
            except sqlite3.Error as fault:
                raise unavailable(fault) from fault

    def together(self, work: Callable[[], T]) -> T:
        """Run `work` as one transaction with all that it writes through this store. Raises as `write`, and what `work` raises;
        nothing of it is then written."""
        return self.write(lambda _: self._inner(work))

    def _inner(self, work: Callable[[], T]) -> T:
        self._inside = threading.get_ident()
        try:
            return work()
        finally:
            self._inside = None

    def in_place(self) -> bool:
        """Whether the path still names the file that this connection writes to. It was not looked at, only its name."""
        return identity(self.path) == self._file

    def durable(self) -> bool:
        """Bring what is committed to the disk itself; see `checkpoints.durable`."""
        return checkpoints.durable(self.path)

    def close(self) -> None:
        """Close the connection; the last one on the file folds the log into it."""
        self._checkpoints.stop()
        self.conn.close()

    def _at_last(self, work: Work[T], *, alone: bool = False) -> T:
        if self._inside is not None and self._inside == threading.get_ident():
            return work(self.known)
        try:
            return self._run(work, alone=alone)
        except LedgerBusy:
            raise
        except LedgerUnavailable as fault:
            if not (is_full(fault.__cause__) and self._reserve.free()):
                raise
        return self._run(work, alone=alone)

    def _run(self, work: Work[T], *, alone: bool = False) -> T:
        known = self.known
        with self._lock:
            try:
                if alone:
                    result = work(known)
                else:
                    known.run("BEGIN IMMEDIATE")
                    known.look()
                    result = work(known)
                    known.balances.write(known.cursor)
                    known.run("COMMIT")
                    known.flows.unsure = False
            except BaseException as fault:
                known.failed()
                self._rollback()
                if isinstance(fault, sqlite3.IntegrityError):
                    raise ValueError(f"the ledger holds other rows than its caller believes: {fault}") from fault
                if isinstance(fault, sqlite3.Error):
                    raise unavailable(fault) from fault
                raise
        self._checkpoints.committed()
        return result

    def _rollback(self) -> None:
        if not self.conn.in_transaction:
            return  # it had not begun, or SQLite has rolled back by itself (full disk, I/O error)
        try:
            self.conn.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # the error that made us roll back is the one to report; SQLite discards the log's tail at the next open
