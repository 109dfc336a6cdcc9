"""The audit trail: one line for whatever happened beside calls, each chained to the one before and to the calls' chain.

    digest  = sha256(JSON array of position, at_ms, what, who, detail, calls, hex of calls_head)
    head    = sha256(previous head + digest); before the first line stands sha256("ledger id created_ms")

`calls` and `calls_head` are where the calls' chain ended when the line was written, so that a history of calls that was written
anew contradicts the lines, and the first head is the ledger's own, so that lines of another ledger are none of this one's. A
line is written in a transaction, by any gate, in the order of their commits.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Final

from msgspec import Struct

from spendgate.audit_words import AuditWord
from spendgate.ledger import chain

LONGEST_DETAIL: Final = 2_000
"""Characters; what is longer is cut, since a person's text may be in it."""
_WRITE: Final = """INSERT INTO audit (position, at_ms, what, who, detail, calls, calls_head, digest, head)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""


class Line(Struct, frozen=True):
    """What is to be written."""

    at_ms: int
    """Epoch milliseconds, by the clock that windows go by."""
    what: AuditWord
    detail: str
    """One sentence or figures, without content or secrets."""
    who: str = ""
    """The account or approver that did it; empty: nobody in particular."""


def append(conn: sqlite3.Connection, line: Line) -> None:
    """Append a line, inside a transaction that may write (`BEGIN IMMEDIATE`)."""
    _put(conn, line.at_ms, line.what.value, line.who, line.detail[:LONGEST_DETAIL])


def adopt(conn: sqlite3.Connection, at_ms: int, what: str, detail: str) -> None:
    """Chain a line of a ledger from before lines were chained, as it was."""
    _put(conn, at_ms, what, "", detail)


def _put(conn: sqlite3.Connection, at_ms: int, what: str, who: str, detail: str) -> None:
    before, head_before = last(conn)
    calls, calls_head = chain.last(conn)
    what, who, detail = (_storable(text) for text in (what, who, detail))
    values = (before + 1, at_ms, what, who, detail, calls, calls_head)
    hashed = digest(values)
    conn.execute(_WRITE, (*values, hashed, hashlib.sha256(head_before + hashed).digest()))


def _storable(text: str) -> str:
    """UTF-8 has no place for a lone surrogate, which a name of the system's may hold."""
    return text.encode(errors="replace").decode()


def digest(values: tuple[int, int, str, str, str, int, bytes]) -> bytes:
    """What a line's head is made of: its values in the order of its columns."""
    *said, calls_head = values
    return hashlib.sha256(chain.canonical((*said, calls_head.hex()))).digest()


def first(conn: sqlite3.Connection) -> bytes:
    """What stands before the first line of this ledger."""
    found = conn.execute("SELECT id, created_ms FROM ledger").fetchone()
    return hashlib.sha256(f"{found[0]} {found[1]}".encode() if found else b"").digest()


def last(conn: sqlite3.Connection) -> tuple[int, bytes]:
    """Position and head of the last line; of an empty trail 0 and what stands before the first."""
    found = conn.execute("SELECT position, head FROM audit ORDER BY position DESC LIMIT 1").fetchone()
    return found or (0, first(conn))


def last_detail(conn: sqlite3.Connection, what: AuditWord) -> str | None:
    """The detail of the last line of this word; None where there is none."""
    found = conn.execute(
        "SELECT detail FROM audit WHERE what = ? ORDER BY position DESC LIMIT 1", (what.value,)
    ).fetchone()
    return found[0] if found else None


def has(conn: sqlite3.Connection, what: AuditWord, detail: str) -> bool:
    """Whether this was told before."""
    found = conn.execute("SELECT 1 FROM audit WHERE what = ? AND detail = ?", (what.value, detail)).fetchone()
    return found is not None
