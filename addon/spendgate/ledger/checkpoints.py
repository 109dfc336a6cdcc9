"""Checkpoints: the write-ahead log is folded into the ledger's file in a thread of its own, since one inside a commit stalls an
event loop for the length of an fsync.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from spendgate.ledger.connection import connect_beside

CHECKPOINT_EVERY = 200
"""Commits between two checkpoints, some 2 MB of log."""
_FOLD = "PRAGMA wal_checkpoint(PASSIVE)"
_LONG_LOG_PAGES = 8_000
"""A log of 16 MB was never found folded whole by its next commit, and so never begun anew: its writer does not pause."""


class Checkpoints:
    """A thread that folds the write-ahead log into the file every so many commits, without stopping writers.

    A log begins anew when a commit finds it folded whole. Where commits come so densely that none does, this gate's writers
    wait once for the last few pages, some milliseconds; else the log grows until SQLite folds all of it inside a commit.

    The thread keeps its connection: a new one reads the whole schema first, which takes longer than the folding.
    """

    def __init__(self, path: Path, writing: threading.Lock) -> None:
        """`writing` is held by whoever of this gate writes."""
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
        """End the thread, and wait for it."""
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
                conn = conn or connect_beside(self._path)
                if _fold(conn)[1] > _LONG_LOG_PAGES:
                    with self._writing:
                        _fold(conn)
            except sqlite3.Error:
                pass  # busy or full: the log keeps the rows, the next round or SQLite itself folds them
        if conn is not None:
            conn.close()


def durable(path: Path) -> bool:
    """Bring the log to the disk itself, and as much of it into the file as goes. False: not now, or nothing says.

    A commit alone does not (`synchronous=NORMAL`): a power cut may take the last ones.
    """
    try:
        conn = connect_beside(path)
        try:
            return _fold(conn)[0] == 0
        finally:
            conn.close()
    except sqlite3.Error:
        return False


def _fold(conn: sqlite3.Connection) -> tuple[int, int]:
    """Fold the log into the file, as far as nobody reads it; whether another one was at that (1), and the log's pages."""
    busy, pages, _ = conn.execute(_FOLD).fetchone()
    return int(busy), int(pages)
