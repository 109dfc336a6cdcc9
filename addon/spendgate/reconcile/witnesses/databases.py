"""Databases of other programs, read only: the one place beside the ledger that knows SQLite.

Theirs is a file that another program may write to at this moment and that nobody vouches for. Where no write-ahead log lies
beside it, it is opened as a file that does not change, so that nothing is made there; else as a second reader, which holds no
writer up (SQLite then keeps its index of the log, `-shm`, as it does for every reader). What is asked for is bounded in size
and steps; a view in the place of a table is not asked.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from spendgate.reconcile.witnesses.files import own
from spendgate.reconcile.witnesses.interface import Told

VALUE_BYTES_MAX: Final = 64 << 20
STEPS_MAX: Final = 2_000_000_000
"""Of SQLite's machine, for one question: some minutes. A forged file could ask for ever."""
_STEPS_AT_ONCE: Final = 1_000_000
_PATIENCE_S: Final = 2.0


def rows(path: Path, table: str, sql: str, values: tuple[Any, ...], told: Told) -> Iterator[tuple[Any, ...]]:
    """The rows of a question about one table; none where the file or the table is not there or not one's own."""
    try:
        status = path.lstat()
    except OSError:
        return
    if path.is_symlink() or not path.is_file():
        told.links += 1
        return
    if not own(status):
        told.foreign += 1
        return
    told.files += 1
    try:
        with closing(_opened(path)) as conn:
            if _is_table(conn, table):
                for row in conn.execute(sql, values):
                    told.lines += 1
                    yield row
    except (sqlite3.Error, UnicodeDecodeError):
        told.unreadable += 1


def _opened(path: Path) -> sqlite3.Connection:
    log = path.with_name(f"{path.name}-wal")
    quiet = not log.exists() or log.stat().st_size == 0
    conn = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if quiet else ''}", uri=True, timeout=_PATIENCE_S
    )
    left = [STEPS_MAX // _STEPS_AT_ONCE]

    def step() -> int:
        left[0] -= 1
        return left[0] < 0

    conn.set_progress_handler(step, _STEPS_AT_ONCE)
    conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
    conn.execute("PRAGMA trusted_schema = OFF")
    conn.execute("PRAGMA query_only = ON")
    conn.execute("PRAGMA cell_size_check = ON")
    return conn


def _is_table(conn: sqlite3.Connection, name: str) -> bool:
    found = conn.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", (name,)).fetchone()
    return found is not None
