"""The hash chain over ended calls: a row changed, removed or put in between is found by anyone with the file.

    digest  = sha256(JSON array of the columns that were written first and at the end, each in the order of the link's form:
              BEGINNINGS and FORMS)
    head    = sha256(previous head + digest), the first on 32 zero bytes

JSON without spaces, ASCII. A column that is not in the array is NULL. A link is written in the transaction that ends the
call; digests stay when content is purged, so the chain outlives it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec

from spendgate.ledger import rows
from spendgate.ledger.known import Known

FIRST: Final = bytes(32)
SETTLED: Final = 10
REFUSED: Final = 11
RECORDED: Final = 12
_ENDINGS: Final = (
    (*rows.SETTLED, *rows.RUNNING, "holds"),
    (*rows.REFUSED, "account"),
    (*rows.RECORDED, "account"),
)
FORMS: Final[dict[int, tuple[str, ...]]] = dict(
    zip((SETTLED, REFUSED, RECORDED, *range(1, 10)), _ENDINGS * 4, strict=True)
)
"""What the digest of a link of each form covers of a call's end. A change of columns is a new form; old links keep theirs."""
BEGINNINGS: Final = (
    dict.fromkeys((SETTLED, REFUSED, RECORDED), rows.OPENED)
    | dict.fromkeys((7, 8, 9), rows.OPENED_THIRD)
    | dict.fromkeys((4, 5, 6), rows.OPENED_SECOND)
    | dict.fromkeys((1, 2, 3), rows.OPENED_FIRST)
)
"""What it covers before that."""

_UNCHAINED: Final = frozenset({"seq", "gate", "resized"})
"""Columns of the machinery, which say nothing about a call."""
_LINK: Final = "INSERT INTO chain (position, call, form, digest, head) VALUES (?, ?, ?, ?, ?)"
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_encode_plain = msgspec.json.Encoder().encode


def link(known: Known, call: int, form: int, values: rows.Values) -> None:
    """Chain a row that has just ended: its row id, and the values of rows.OPENED and FORMS[form]."""
    digest = sha256(canonical(values)).digest()
    before, head_before = known.link or _last(known.conn)
    position, head = before + 1, sha256(head_before + digest).digest()
    known.run(_LINK, (position, call, form, digest, head))
    known.link = position, head


def link_all(known: Known, first: int, form: int, each: Iterable[rows.Values]) -> None:
    """`link` for rows that have just ended, whose row ids follow on one another from `first`."""
    position, head = known.link or _last(known.conn)
    links = []
    for call, values in enumerate(each, first):
        digest = sha256(canonical(values)).digest()
        position, head = position + 1, sha256(head + digest).digest()
        links.append((position, call, form, digest, head))
    known.cursor.executemany(_LINK, links)
    known.link = position, head


def _digest(values: rows.Values) -> bytes:
    return sha256(canonical(values)).digest()


def canonical(values: rows.Values) -> bytes:
    """The JSON array that a digest covers. Nearly every row's is plain ASCII, which another encoder writes alike in a seventh of
    the time."""
    try:
        plain = _encode_plain(values)
    except (ValueError, TypeError):
        return _encode(values).encode()
    # The one character of ASCII that they spell in two ways.
    return plain if plain.isascii() and b"\x7f" not in plain else _encode(values).encode()


def _last(conn: sqlite3.Connection) -> tuple[int, bytes]:
    last = conn.execute("SELECT position, head FROM chain ORDER BY position DESC LIMIT 1").fetchone()
    return last or (0, FIRST)


@dataclass(frozen=True, slots=True)
class Head:
    """What `status` prints of the ledger, and what a later look must find again."""

    id: str
    created_ms: int
    rows: int
    head: str
    """Hex of the last link; of 32 zero bytes when no call has ended yet."""


def head(conn: sqlite3.Connection) -> Head:
    """The ledger's identity and the end of its chain."""
    name, created_ms = conn.execute("SELECT id, created_ms FROM ledger").fetchone()
    position, digest = _last(conn)
    return Head(name, created_ms, position, digest.hex())


def verify(conn: sqlite3.Connection, known: Head | None = None) -> tuple[str, ...]:
    """Recompute the whole chain; each fault as one line, none when it holds.

    `known` is a head seen earlier: a ledger with another id, fewer rows, or another link at that place is a fault.
    """
    faults = [*_unchained(conn), *_unlike(conn, known)]
    before, expected = FIRST, 1
    for position, call, form, digest, link_head in conn.execute(
        "SELECT position, call, form, digest, head FROM chain ORDER BY position"
    ):
        if position != expected:
            faults.append(f"links {expected} to {position - 1} are missing")
        if sha256(before + digest).digest() != link_head:
            faults.append(f"link {position} does not follow from the one before")
        if known is not None and position == known.rows and link_head.hex() != known.head:
            faults.append(f"link {position} is not the one seen earlier")
        faults.extend(f"link {position}: {fault}" for fault in _row_faults(conn, call, form, digest))
        before, expected = link_head, position + 1
    return tuple(faults)


def _row_faults(conn: sqlite3.Connection, call: int, form: int, digest: bytes) -> list[str]:
    cursor = conn.execute("SELECT * FROM call_rows WHERE seq = ?", (call,))
    found = cursor.fetchone()
    if found is None:
        return ["its call is missing"]
    row = dict(zip((column[0] for column in cursor.description), found, strict=True))
    covered = (*BEGINNINGS[form], *FORMS[form])
    if _digest(tuple(row[name] for name in covered)) != digest:
        return [f"call {row['id']} is not what was chained"]
    stray = row.keys() - _UNCHAINED - set(covered)
    return [f"call {row['id']} has a {name} that was not chained" for name in sorted(stray) if row[name]]


def _unchained(conn: sqlite3.Connection) -> list[str]:
    found = conn.execute(
        "SELECT count(*) FROM call_rows WHERE state <> 'open' AND seq NOT IN (SELECT call FROM chain)"
    ).fetchone()[0]
    return [f"{found} ended calls are in no link"] if found else []


def _unlike(conn: sqlite3.Connection, known: Head | None) -> list[str]:
    if known is None:
        return []
    now = head(conn)
    if now.id != known.id:
        return [f"this is ledger {now.id}, not {known.id}"]
    return [f"the chain has shrunk from {known.rows} to {now.rows} links"] if now.rows < known.rows else []
