"""Opening the ledger's file: made private where there is none, a write-ahead log, what a commit brings to the disk.

Nothing but SQLite opens the file of a ledger in use (`_create`).
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from spendgate.errors import StateError

_AGAIN_S = 0.005
_PAGE_BYTES = 2048
"""A commit writes each page it has changed, four or five of which a row is a small part: smaller ones cost a tenth less."""
_LAST_RESORT_PAGES = 40_000
"""SQLite's own checkpoint, only if ours did not run: 80 MB of log."""


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


def connect_beside(path: Path) -> sqlite3.Connection:
    """A connection to a file that is there: one that has been removed is not made anew."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0)


def identity(path: Path) -> tuple[int, int] | None:
    """Which file a path names; None: none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
