"""The whole ledger recomputed: the first altered or missing line of either chain, by number, time and what it is.

Reads one snapshot and every row of it. What is wrong is a value, never an exception, so that a ledger in which anything at all
was changed can still be asked what.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from spendgate.errors import LedgerUnavailable
from spendgate.ledger import audit_log, chain, heads, purged_lines
from spendgate.ledger.fault import AUDIT, DAYS, FILE, HEADS, Fault, missing
from spendgate.ledger.followed import Start, followed, unchained

_LINES: Final = """SELECT audit.position, at_ms, what, who, detail, calls, calls_head, audit.digest, audit.head, chain.head
    FROM audit LEFT JOIN chain ON chain.position = audit.calls ORDER BY audit.position"""


def verify(conn: sqlite3.Connection, seen: heads.Heads | None = None) -> Iterator[Fault]:
    """Every fault, the file's own first, then those against `seen`, of the audit trail, of the calls; none: it all holds."""
    conn.text_factory = text
    try:
        conn.execute("BEGIN")
        try:
            yield from _damaged(conn)
            if seen is not None and (found := heads.unlike(conn, seen)) is not None:
                yield Fault(HEADS, found.detail, what=found.what.value)
            yield from lines(conn)
            yield from links(conn)
            yield from purged(conn)
        finally:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
    except sqlite3.Error as fault:
        yield Fault(FILE, f"it cannot be read to its end: {fault}")


def text(raw: bytes) -> str:
    """A byte that no UTF-8 text has is a changed text, and no fault of the reader's."""
    return raw.decode(errors="surrogateescape")


def _damaged(conn: sqlite3.Connection) -> Iterator[Fault]:
    said = conn.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if said != "ok":
        yield Fault(FILE, f"SQLite finds it damaged: {said}")


# -- the audit trail -------------------------------------------------------------------------------------------------


def lines(conn: sqlite3.Connection) -> Iterator[Fault]:
    """Faults of the audit trail, in its order."""
    before, expected, before_ms, before_calls = audit_log.first(conn), 1, None, 0
    for position, at_ms, what, who, detail, calls, calls_head, digest, head, link in conn.execute(_LINES):
        if position != expected:
            yield missing(AUDIT, expected, position - 1, before_ms)
        for fault in _line_faults((position, at_ms, what, who, detail, calls, calls_head), digest, link, before_calls):
            yield Fault(AUDIT, fault, position, at_ms, what)
        if hashlib.sha256(before + digest).digest() != head:
            yield Fault(AUDIT, "does not follow from the one before", position, at_ms, what)
        before, expected, before_ms, before_calls = head, position + 1, at_ms, calls


def _line_faults(values: tuple[Any, ...], digest: bytes, link: bytes | None, before_calls: int) -> Iterator[str]:
    *_, calls, calls_head = values
    if audit_log.digest(values) != digest:
        yield "is not what was written"
    if calls < before_calls:
        yield f"was written after {calls} calls had ended, the one before it after {before_calls}"
    if calls and link is None:
        yield f"link {calls} of the calls, after which it was written, is missing"
    elif (link if calls else chain.FIRST) != calls_head:
        yield f"link {calls} of the calls is not the one after which it was written"


# -- the calls -------------------------------------------------------------------------------------------------------


def links(conn: sqlite3.Connection, after: int = 0, head_after: bytes = chain.FIRST) -> Iterator[Fault]:
    """Faults of the chain over ended calls, in its order; of those after a link that was read before, which had this head. A call
    that an audit line says was purged is not missing."""
    yield from followed(conn, Start(after, head_after, after + 1), purged_lines.read(conn))
    yield from unchained(conn)


def newest(path: Path, count: int, stopped: Callable[[], bool]) -> tuple[Fault, ...]:
    """Faults of the newest so many links and of their calls, on a connection of its own that reads alone; none, too, where it was
    stopped. For a thread that leaves the others theirs. Raises LedgerUnavailable."""
    found: list[Fault] = []
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as conn:
            conn.text_factory = text
            conn.execute("BEGIN")  # what is purged meanwhile is a row or in a line, at one moment
            (last,) = conn.execute("SELECT coalesce(max(position), 0) FROM chain").fetchone()
            after = max(0, last - count)
            head = conn.execute("SELECT head FROM chain WHERE position = ?", (after,)).fetchone()
            # A link that is missing there is told as such.
            before, expected = head[0] if head else chain.FIRST, after + 1 if head or not after else after
            found.extend(followed(conn, Start(after, before, expected), purged_lines.read(conn), stopped))
    except sqlite3.Error as fault:
        raise LedgerUnavailable(f"the calls could not be read again: {fault}") from fault
    return () if stopped() else tuple(found)


def purged(conn: sqlite3.Connection) -> Iterator[Fault]:
    """Sums of purged calls that are not what the audit trail says, and lines of a purge that no purge has written."""
    if not conn.execute("SELECT 1 FROM sqlite_schema WHERE name = 'day_sums'").fetchone():
        return  # of a Spendgate that could not purge yet
    for line in purged_lines.read(conn).faults(conn):
        yield Fault(DAYS, line.fault, line.number, line.at_ms, line.what)
