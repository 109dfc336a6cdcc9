"""The hash chain over ended calls: a row changed, removed or put in between is found by anyone with the file.

    digest = sha256(JSON array of the row's columns, in the order of its form, no spaces)
    head   = sha256(previous head + digest), the first on 32 zero bytes

A link is written in the transaction that ends the call. Digests stay when content is purged, so the chain outlives it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from typing import Any, Final

FIRST: Final = bytes(32)
FORM: Final = 1
"""The list of columns that a digest covers; a schema change that touches them adds a form, old rows keep theirs."""
FORMS: Final[dict[int, tuple[str, ...]]] = {
    1: (
        "id", "state", "started_ms", "booked_ms", "sent_ms", "ended_ms", "person", "team", "groups", "machine", "account_os",
        "tool", "process", "project", "session", "agent", "parent_call", "evidence", "provider", "host", "path", "dialect",
        "model_requested", "model", "kind", "api_key", "account", "billing", "estimate_nanos", "ceiling_nanos",
        "typical_nanos", "held_nanos", "cost_nanos", "value_nanos", "basis", "prices", "flags", "input_tokens",
        "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_other_tokens", "output_tokens",
        "reasoning_tokens", "input_audio_tokens", "output_audio_tokens", "web_searches", "request_bytes", "text_bytes",
        "response_bytes", "http_status", "first_byte_ms", "duration_ms", "waited_ms", "request_id", "response_id",
        "refused_by", "refused_why", "refused_reason", "refused_value", "refused_settled_nanos", "refused_held_nanos",
        "refused_hold_nanos", "refused_limit_nanos", "refused_resets_ms", "refused_others", "would_refuse_by",
        "policy_hash",
    ),
}  # fmt: skip
RETURNED: Final = "seq, " + ", ".join(FORMS[FORM])
"""What a statement that ends a call must return for `link`."""


def link(conn: sqlite3.Connection, ended: tuple[Any, ...]) -> None:
    """Chain a row that has just ended; `ended` holds RETURNED's columns."""
    digest = _digest(ended[1:])
    last = conn.execute("SELECT position, head FROM chain ORDER BY position DESC LIMIT 1").fetchone()
    position, head = last if last else (0, FIRST)
    conn.execute(
        "INSERT INTO chain (position, call, form, digest, head) VALUES (?, ?, ?, ?, ?)",
        (position + 1, ended[0], FORM, digest, hashlib.sha256(head + digest).digest()),
    )


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
    last = conn.execute("SELECT position, head FROM chain ORDER BY position DESC LIMIT 1").fetchone()
    position, digest = last if last else (0, FIRST)
    return Head(name, created_ms, position, digest.hex())


def verify(conn: sqlite3.Connection, known: Head | None = None) -> tuple[str, ...]:
    """Recompute the whole chain; each fault as one line, none when it holds.

    `known` is a head seen earlier: a ledger with another id, fewer rows, or another link at that place is a fault.
    """
    faults = list(_unchained(conn))
    columns = {form: ", ".join(names) for form, names in FORMS.items()}
    before, expected = FIRST, 1
    for position, call, form, digest, link_head in conn.execute(
        "SELECT position, call, form, digest, head FROM chain ORDER BY position"
    ):
        if position != expected:
            faults.append(f"links {expected} to {position - 1} are missing")
        if hashlib.sha256(before + digest).digest() != link_head:
            faults.append(f"link {position} does not follow from the one before")
        found = conn.execute(f"SELECT {columns[form]} FROM call_rows WHERE seq = ?", (call,)).fetchone()  # noqa: S608 - our own words
        if found is None:
            faults.append(f"the call of link {position} is missing")
        elif _digest(found) != digest:
            faults.append(f"call {found[0]} is not what was chained as link {position}")
        if known is not None and position == known.rows and link_head.hex() != known.head:
            faults.append(f"link {position} is not the one seen earlier")
        before, expected = link_head, position + 1
    return (*faults, *_unlike(conn, known))


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


def _digest(columns: tuple[Any, ...]) -> bytes:
    return hashlib.sha256(json.dumps(columns, separators=(",", ":")).encode()).digest()
