"""Databases of other programs, read only: the one place beside the ledger that knows SQLite.

Theirs is a file that another program may write to at this moment and that nobody vouches for. Where no log lies beside it, it
is opened as a file that does not change, so that nothing is made there. Beside a write-ahead log it is opened as by a second
reader, which holds no writer up (SQLite then keeps its index of the log, `-shm`, as it does for every reader); beside a rollback
journal, too, for the file then has what was never committed. What is asked for is bounded in size and steps; a view in the place
of a table is not asked.
"""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from spendgate.reconcile.witnesses.files import own
from spendgate.reconcile.witnesses.interface import Told

VALUE_BYTES_MAX: Final = 64 << 20
STEPS_MAX: Final = 2_000_000_000
"""Of SQLite's machine, for one question: some minutes. A forged file could ask for ever."""
_STEPS_AT_ONCE: Final = 1_000_000
_PATIENCE_S: Final = 2.0


class Question(Struct, frozen=True):
    """What is asked of one table: SQL of our own, no word of a file's."""

    table: str
    columns: str
    where: str = "TRUE"
    """Which rows, by columns that stand before large ones."""


def rows(path: Path, asked: Question, values: tuple[Any, ...], told: Told) -> Iterator[tuple[Any, ...]]:
    """The rows of a table, first ones first; none where the file or the table is not there or not one's own.

    Each is asked for by itself, so that one that is too large or broken hides no other.
    """
    try:
        status = path.lstat()
    except OSError:
        return
    if not stat.S_ISREG(status.st_mode):
        told.links += stat.S_ISLNK(status.st_mode)
        told.closed += not stat.S_ISLNK(status.st_mode)
        return
    if not own(status):
        told.foreign += 1
        return
    told.files += 1
    try:
        with closing(_opened(path)) as conn:
            if _is_table(conn, asked.table):
                # This question stays open meanwhile, so that all rows are of one state.
                keys = f"SELECT rowid FROM {asked.table} WHERE {asked.where}"  # noqa: S608 - our own words
                for (key,) in conn.execute(keys, values):
                    yield from _row(conn, asked, key, told)
    except sqlite3.Error:
        told.unreadable += 1


def _row(conn: sqlite3.Connection, asked: Question, key: int, told: Told) -> Iterator[tuple[Any, ...]]:
    one = f"SELECT {asked.columns} FROM {asked.table} WHERE rowid = ?"  # noqa: S608 - our own words
    try:
        row = conn.execute(one, (key,)).fetchone()
    except sqlite3.DataError:
        told.too_long += 1
    except sqlite3.Error:
        told.unreadable += 1
    else:
        told.lines += 1
        yield row


def _opened(path: Path) -> sqlite3.Connection:
    logs = [path.with_name(f"{path.name}{ending}") for ending in ("-wal", "-journal")]
    quiet = not any(log.exists() and log.stat().st_size for log in logs)
    conn = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if quiet else ''}", uri=True, timeout=_PATIENCE_S
    )
    left = [STEPS_MAX // _STEPS_AT_ONCE]

    def step() -> int:
        left[0] -= 1
        return left[0] < 0

    conn.set_progress_handler(step, _STEPS_AT_ONCE)
    conn.text_factory = _text
    conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
    conn.execute("PRAGMA trusted_schema = OFF")
    conn.execute("PRAGMA query_only = ON")
    conn.execute("PRAGMA cell_size_check = ON")
    return conn


def _text(data: bytes) -> str:
    """A text that is none in one column is no reason to pass over its row."""
    return data.decode(errors="replace")


def _is_table(conn: sqlite3.Connection, name: str) -> bool:
    found = conn.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", (name,)).fetchone()
    return found is not None
