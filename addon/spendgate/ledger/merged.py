"""The file that `merge` makes of many ledgers: what it has beside a ledger's own tables, and how it is told from one.

Its `call_rows` are the sources' own, each numbered `number << 40 | seq` and of the gate `number << 20 | gate`, where a source's
number comes of its ledger's id: so the file is the same in whatever order the sources were named. `chain`, `balances`, `charges`
and `awaited` are empty: it is read, and no gate decides by it.

A file that is being filled has no index but that of open calls: ids are random, and an index that a hundred thousand of them are
written into, ledger after ledger, costs more than all else together. `index` makes them at the end, in one go.
"""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from sqlite_utils import Database

from spendgate.errors import StateError
from spendgate.ledger import day_sums, schema

SEQ_BITS: Final = 40
GATE_BITS: Final = 20
_NUMBER_BITS: Final = 22
_PAGE_BYTES: Final = 8192
_OPEN_TIMEOUT_S: Final = 30.0

_TABLES: Final = (
    """CREATE TABLE merged_from (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created_ms INTEGER NOT NULL, machine TEXT NOT NULL,
        upto_seq INTEGER NOT NULL, links INTEGER NOT NULL, head BLOB NOT NULL, audit_lines INTEGER NOT NULL,
        audit_head BLOB NOT NULL, verified INTEGER NOT NULL, fault TEXT NOT NULL, taken_ms INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE source_audit (
        source INTEGER NOT NULL, position INTEGER NOT NULL, at_ms INTEGER NOT NULL, what TEXT NOT NULL, who TEXT NOT NULL,
        detail TEXT NOT NULL, calls INTEGER NOT NULL, calls_head BLOB NOT NULL, digest BLOB NOT NULL, head BLOB NOT NULL,
        PRIMARY KEY (source, position)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE source_coverage (
        source INTEGER NOT NULL, account TEXT NOT NULL, tool TEXT NOT NULL, host TEXT NOT NULL, reason TEXT NOT NULL,
        count INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
        PRIMARY KEY (source, account, tool, host, reason)
    ) STRICT, WITHOUT ROWID""",
    f"""CREATE TABLE source_day_sums (source INTEGER NOT NULL, {", ".join(f"{name} TEXT NOT NULL" for name in day_sums.KEY)},
        {", ".join(f"{name} INTEGER NOT NULL" for name in day_sums.COUNTED)},
        PRIMARY KEY (source, {", ".join(day_sums.KEY)})) STRICT, WITHOUT ROWID""",
    # What is open is looked for at each merge, and is a handful of millions.
    "CREATE INDEX calls_open ON call_rows (seq) WHERE state = 'open'",
)


class Source(Struct, frozen=True):
    """One ledger that was taken in, as far as it was."""

    number: int
    id: str
    """The ledger's own id."""
    created_ms: int
    machine: str
    """Where its newest call ran; "": it has no call."""
    upto_seq: int
    """Its rows up to this one are here."""
    links: int
    """How many links its chain had, and the head of the last."""
    head: bytes
    audit_lines: int
    audit_head: bytes
    verified: bool
    """Whether everything taken was found as it was written."""
    fault: str
    """The first thing that was not; "" where nothing was."""
    taken_ms: int
    """When something of it was last taken, epoch milliseconds."""


def is_merged(conn: sqlite3.Connection) -> bool:
    """Whether the file is one that `merge` made."""
    return has_table(conn, "merged_from")


def has_table(conn: sqlite3.Connection, name: str) -> bool:
    """Whether the file, which may be of an older Spendgate, has this table."""
    return conn.execute("SELECT 1 FROM main.sqlite_schema WHERE name = ?", (name,)).fetchone() is not None


def refuse(conn: sqlite3.Connection, path: Path) -> None:
    """Refuse a merged file as the ledger of a gate. Raises StateError."""
    if is_merged(conn):
        raise StateError(
            f"{path} was merged from other ledgers, to be read: a gate needs one of its own, choose another --state"
        )


def make(path: Path, now_ms: int) -> None:
    """Make the file, or bring it up to date. Raises StateError where something else is there, sqlite3.Error as it comes."""
    new = not path.exists()
    conn = sqlite3.connect(path, isolation_level=None, timeout=_OPEN_TIMEOUT_S)
    try:
        if new:
            path.chmod(0o600)
        if not is_merged(conn) and conn.execute("SELECT 1 FROM sqlite_schema").fetchone():
            raise StateError(f"{path} is no merged ledger and stays as it is: name a new file after --into")
        conn.execute(f"PRAGMA page_size = {_PAGE_BYTES:d}")
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("BEGIN IMMEDIATE")
        if not is_merged(conn):
            # First of all, so that a file that is half made is never taken for a gate's.
            conn.execute(_TABLES[0])
        conn.execute("COMMIT")
        schema.migrate(Database(conn, recursive_triggers=False, execute_plugins=False), now_ms)
        conn.execute("BEGIN IMMEDIATE")
        if conn.execute("SELECT 1 FROM call_rows LIMIT 1").fetchone() is None:
            _without_indexes(conn)
        for each in _TABLES[1:]:
            conn.execute(each.replace("TABLE ", "TABLE IF NOT EXISTS ", 1).replace("INDEX ", "INDEX IF NOT EXISTS ", 1))
        conn.execute("COMMIT")
    finally:
        conn.close()


def _without_indexes(conn: sqlite3.Connection) -> None:
    """Make the empty table of calls anew, with nothing that is written to for each call but its rows."""
    (made,) = conn.execute("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'call_rows'").fetchone()
    guards = conn.execute("SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'call_rows'").fetchall()
    conn.execute("DROP TABLE call_rows")  # and its indexes and triggers
    for (sql,) in ((made.replace("id TEXT NOT NULL UNIQUE", "id TEXT NOT NULL", 1),), *guards):
        conn.execute(sql)


_INDEXES: Final = {
    "calls_id": "UNIQUE INDEX calls_id ON call_rows (id)",
    "calls_booked": "INDEX calls_booked ON call_rows (booked_ms)",
}


def is_indexed(conn: sqlite3.Connection) -> bool:
    """Whether calls are found by their id: the file is not being filled."""
    return any(unique for _, _, unique, *_ in conn.execute("PRAGMA index_list(call_rows)"))


def index(conn: sqlite3.Connection) -> None:
    """Make what is missing of the indexes. Raises sqlite3.Error."""
    for sql in _INDEXES.values():
        conn.execute(f"CREATE {sql.replace('INDEX ', 'INDEX IF NOT EXISTS ', 1)}")


def journal(path: Path, mode: str) -> None:
    """Write by this journal from here on, if nobody else has the file open: by `DELETE` what is new is written once, by a log
    (`WAL`) twice, but others can read meanwhile. Raises sqlite3.Error."""
    conn = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        conn.execute(f"PRAGMA journal_mode = {mode}")
    except sqlite3.OperationalError as fault:
        if getattr(fault, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
    finally:
        conn.close()


def drop_indexes(conn: sqlite3.Connection) -> None:
    """Before far more calls come than are there."""
    conn.execute("BEGIN IMMEDIATE")
    for name in _INDEXES:
        conn.execute(f"DROP INDEX IF EXISTS {name}")
    conn.execute("COMMIT")


_SOURCES: Final = f"SELECT {', '.join(Source.__struct_fields__)} FROM"


def sources(conn: sqlite3.Connection, schema_name: str = "main") -> tuple[Source, ...]:
    """All of them, by number."""
    found = conn.execute(f"{_SOURCES} {schema_name}.merged_from ORDER BY number")
    return tuple(_source(row) for row in found)


def _source(row: tuple[Any, ...]) -> Source:
    values = dict(zip(Source.__struct_fields__, row, strict=True))
    return Source(**{**values, "verified": bool(values["verified"])})


def number_of(ledger_id: str, taken: frozenset[int]) -> int:
    """The number that a new source has; the next one in the unlikely case that another has it."""
    number = int.from_bytes(hashlib.sha256(ledger_id.encode()).digest()[:4]) >> (32 - _NUMBER_BITS)
    while number in taken or not number:
        number = (number + 1) % (1 << _NUMBER_BITS)
    return number


def import_place(at_ms: int, name: str) -> int:
    """The row number of an import: statements of all sources in the order in which they were taken in."""
    return (at_ms << 20) | (int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) >> 12)


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open one file, as `ro` or `rw`, patiently. Raises sqlite3.Error."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=_OPEN_TIMEOUT_S
    )


def readable(path: Path) -> sqlite3.Connection:
    """A read-only connection to a source. Raises StateError where it is none."""
    try:
        conn = connect(path, "ro")
    except sqlite3.Error as fault:
        raise StateError(f"cannot be read: {fault}") from fault
    try:
        if is_merged(conn):
            raise StateError("was itself merged: name the ledgers that it was made of")
        schema.refuse_source(conn)
    except (sqlite3.Error, UnicodeDecodeError) as fault:  # SQLite quotes a damaged schema as it is
        conn.close()
        raise StateError(f"cannot be read as a ledger: {fault}") from fault
    except StateError:
        conn.close()
        raise
    return conn
