"""The hash chain over ended calls: a row changed, removed or put in between is found by anyone with the file
(`verify`).

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

UNCHAINED: Final = frozenset({"seq", "gate", "resized"})
"""Columns of the machinery, which say nothing about a call."""
_LINK: Final = "INSERT INTO chain (position, call, form, digest, head) VALUES (?, ?, ?, ?, ?)"
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_DELETE: Final = 0x7F
_encode_plain = msgspec.json.Encoder().encode


def link(known: Known, call: int, form: int, values: rows.Values) -> None:
    """Chain a row that has just ended: its row id, and the values of rows.OPENED and FORMS[form]."""
    digest = sha256(canonical(values)).digest()
    before, head_before = known.link or last(known.conn)
    position, head = before + 1, sha256(head_before + digest).digest()
    known.run(_LINK, (position, call, form, digest, head))
    known.link = position, head


def link_all(known: Known, first: int, form: int, each: Iterable[rows.Values]) -> None:
    """`link` for rows that have just ended, whose row ids follow on one another from `first`."""
    position, head = known.link or last(known.conn)
    links = []
    for call, values in enumerate(each, first):
        digest = sha256(canonical(values)).digest()
        position, head = position + 1, sha256(head + digest).digest()
        links.append((position, call, form, digest, head))
    known.cursor.executemany(_LINK, links)
    known.link = position, head


def canonical(values: rows.Values) -> bytes:
    """The JSON array that a digest covers. Nearly every row's is plain ASCII, which another encoder writes alike in a seventh of
    the time. Some of the values may be `spliced`."""
    try:
        plain = _encode_plain(values)
    except (ValueError, TypeError):
        return _encode(_unspliced(values)).encode()
    # The one character of ASCII that they spell in two ways.
    return plain if plain.isascii() and _DELETE not in plain else _encode(_unspliced(values)).encode()


def spliced(values: rows.Values) -> rows.Values:
    """These values for many rows: as JSON that is made once, where they can be."""
    try:
        return (msgspec.Raw(_encode_plain(values)[1:-1]),) if values else ()
    except (ValueError, TypeError):
        return values


def _unspliced(values: rows.Values) -> list[object]:
    found: list[object] = []
    for value in values:
        found += json.loads(b"[%b]" % bytes(value)) if isinstance(value, msgspec.Raw) else (value,)
    return found


def last(conn: sqlite3.Connection) -> tuple[int, bytes]:
    """Position and head of the last link; 0 and FIRST where no call has ended yet."""
    found = conn.execute("SELECT position, head FROM chain ORDER BY position DESC LIMIT 1").fetchone()
    return found or (0, FIRST)


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
    position, digest = last(conn)
    return Head(name, created_ms, position, digest.hex())
