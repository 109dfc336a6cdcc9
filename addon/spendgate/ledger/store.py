"""The ledger's connection: how a transaction begins, ends and fails.

Rules: every write is inside one `BEGIN IMMEDIATE`, or is one statement; `together` makes several writes one transaction,
which stands or falls as a whole; nothing here waits for another writer (`busy_timeout` 0, the caller retries); every failure
of SQLite becomes `LedgerBusy` or `LedgerUnavailable` with the transaction rolled back and all that was known forgotten;
nothing but SQLite opens the file of a ledger in use (`_create`). Checkpoints run in a thread of their own, since one inside
a commit stalls an event loop for the length of an fsync.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database

from spendgate.errors import LedgerBusy, LedgerUnavailable, StateError
from spendgate.ledger.known import Known
from spendgate.ledger.reserve import Reserve

OPEN_TIMEOUT_MS = 5_000
"""How long opening and filling may wait for another writer; the hot path never does."""
_AGAIN_S = 0.005
_PAGE_BYTES = 2048
"""A commit writes each page it has changed, four or five of which a row is a small part: smaller ones cost a tenth less."""
CHECKPOINT_EVERY = 200
"""Commits between two checkpoints, some 2 MB of log."""
_LAST_RESORT_PAGES = 40_000
"""SQLite's own checkpoint, only if ours did not run: 80 MB of log."""
_FOLD = "PRAGMA wal_checkpoint(PASSIVE)"
_LONG_LOG_PAGES = 8_000
"""A log of 16 MB was never found folded whole by its next commit, and so never begun anew: its writer does not pause."""

_FULL = "the ledger's disk is full: free some room"

T = TypeVar("T")
Work = Callable[[Known], T]


def connect(path: Path, *, timeout_ms: int) -> sqlite3.Connection:
    """Open the ledger's file for writing, private to its owner, WAL, `synchronous=NORMAL`.

    Raises StateError when it is no ledger or cannot be opened.
    """
    try:
        _create(path)
        # The store's own lock makes one thread write at a time, so the driver's per-thread check would only be in the way.
        conn = sqlite3.connect(path, isolation_level=None, cached_statements=256, check_same_thread=False, timeout=0)
    except (OSError, sqlite3.Error) as fault:
        raise StateError(f"{path} cannot be opened as a ledger: {fault}") from fault
    try:
        _configure(conn, timeout_ms)
    except sqlite3.Error as fault:
        conn.close()
        raise StateError(f"{path} cannot be used as a ledger: {fault}") from fault
    except StateError:
        conn.close()
        raise
    return conn


def _create(path: Path) -> None:
    """Make the file, private, where there is none. One that exists is never opened here.

    Closing any descriptor of a file drops every POSIX lock that the process has on it (fcntl(2)), also those by which
    SQLite tells other processes that this one still uses the write-ahead log (sqlite.org/howtocorrupt.html, 2.2): the next
    of them to close would delete a log that is in use. A file that only this call can have made has no such lock yet.
    """
    try:
        os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass  # what it is, SQLite will say


def _configure(conn: sqlite3.Connection, timeout_ms: int) -> None:
    conn.execute(f"PRAGMA busy_timeout = {timeout_ms:d}")
    conn.execute(f"PRAGMA page_size = {_PAGE_BYTES:d}")  # of a file that is still empty; an older ledger keeps its own
    if conn.execute("PRAGMA page_count").fetchone()[0] == 0:
        # So that what is purged can be given back to the disk. Of a file that has pages it is a write, which waits for writers.
        conn.execute("PRAGMA auto_vacuum = INCREMENTAL")
    journal = _write_ahead(conn, time.monotonic() + timeout_ms / 1000)
    if journal != "wal":
        raise StateError(f"the ledger is on a file system without write-ahead logging ({journal}): use a local disk")
    conn.execute("PRAGMA synchronous = NORMAL")
    conn.execute(f"PRAGMA wal_autocheckpoint = {_LAST_RESORT_PAGES:d}")
    conn.execute("PRAGMA journal_size_limit = 16777216")


def _write_ahead(conn: sqlite3.Connection, until: float) -> str:
    """Turn the write-ahead log on; the journal that is then in use. Patient until that moment of the monotonic clock.

    Of two gates that make the same new file at once, each holds a read lock and wants the one write lock: SQLite answers the
    second with SQLITE_BUSY at once, whatever `busy_timeout` says, lest both wait for ever (sqlite.org/c3ref/busy_handler.html).
    """
    while True:
        try:
            return str(conn.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
        time.sleep(_AGAIN_S)


class Store:
    """One connection, its transactions, and what it knows. Safe to use from several threads, one transaction at a time."""

    def __init__(self, path: Path, reserve: Reserve) -> None:
        """Open `path`, patiently. Raises StateError."""
        self.path = path
        self.conn = connect(path, timeout_ms=OPEN_TIMEOUT_MS)
        self._file = _identity(path)
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
        self._checkpoints = _Checkpoints(path, self._lock)

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
            raise LedgerUnavailable(_FULL)
        return self._run(work)

    def end(self, work: Work[T]) -> T:
        """Like `write`, for what ends or corrects an open call: it may use the reserve of a full disk."""
        return self._at_last(work)

    def mark(self, work: Work[T]) -> T:
        """Like `end`, for work that is one statement: SQLite makes it a transaction by itself, at half the price."""
        return self._at_last(work, alone=True)

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`, which only reads, by itself: not within `together`. Raises LedgerUnavailable."""
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
        return _identity(self.path) == self._file

    def durable(self) -> bool:
        """Bring the log to the disk itself, and as much of it into the file as goes. False: not now, or nothing says.

        A commit alone does not (`synchronous=NORMAL`): a power cut may take the last ones.
        """
        try:
            conn = _beside(self.path)
            try:
                return _fold(conn)[0] == 0
            finally:
                conn.close()
        except sqlite3.Error:
            return False

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
            if not (_is_full(fault.__cause__) and self._reserve.free()):
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


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file a path names; None: none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _beside(path: Path) -> sqlite3.Connection:
    """A connection to a file that is there: one that has been removed is not made anew."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0)


def _fold(conn: sqlite3.Connection) -> tuple[int, int]:
    """Fold the log into the file, as far as nobody reads it; whether another one was at that (1), and the log's pages."""
    busy, pages, _ = conn.execute(_FOLD).fetchone()
    return int(busy), int(pages)


def unavailable(fault: sqlite3.Error) -> LedgerUnavailable:
    """The gate's word for what SQLite reports."""
    code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LedgerBusy("another process is writing to the ledger")
    if _is_full(fault):
        return LedgerUnavailable(_FULL)
    return LedgerUnavailable(f"the ledger cannot be written: {fault} ({getattr(fault, 'sqlite_errorname', 'no code')})")


def _is_full(fault: BaseException | None) -> bool:
    """No room for the next page: the disk's own word, or a quota's, which SQLite reports as a failed write."""
    code = getattr(fault, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_WRITE


class _Checkpoints:
    """A thread that folds the write-ahead log into the file every so many commits, without stopping writers.

    A log begins anew when a commit finds it folded whole. Where commits come so densely that none does, this gate's writers
    wait once for the last few pages, some milliseconds; else the log grows until SQLite folds all of it inside a commit.

    The thread keeps its connection: a new one reads the whole schema first, which takes longer than the folding.
    """

    def __init__(self, path: Path, writing: threading.Lock) -> None:
        self._writing = writing
        self._path = path
        self._commits = 0
        self._due = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def committed(self) -> None:
        """Never raises: what was committed must not look as if it were not."""
        self._commits += 1
        if self._commits % CHECKPOINT_EVERY:
            return
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="ledger-checkpoints", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # no thread to be had now: the log keeps the rows until the next round, or SQLite folds them
            self._thread = thread
        self._due.set()

    def stop(self) -> None:
        self._stopping = True
        self._due.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        conn: sqlite3.Connection | None = None
        while True:
            self._due.wait()
            self._due.clear()
            if self._stopping:
                break
            try:
                conn = conn or _beside(self._path)
                if _fold(conn)[1] > _LONG_LOG_PAGES:
                    with self._writing:
                        _fold(conn)
            except sqlite3.Error:
                pass  # busy or full: the log keeps the rows, the next round or SQLite itself folds them
        if conn is not None:
            conn.close()
