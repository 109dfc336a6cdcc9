"""Where a ledger's two chains end: what is remembered of it outside, and whether it still is the ledger that was seen.

A look costs the same however old the ledger is: only the remembered positions are asked for. `verify` reads everything.
"""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from spendgate.audit_words import AuditWord
from spendgate.ledger import audit_log, chain


class Mark(Struct, frozen=True):
    """The end of a chain."""

    position: int
    """0: nothing is in it."""
    head: str
    """Hex."""


class Heads(Struct, frozen=True):
    """One ledger at one moment."""

    id: str
    created_ms: int
    calls: Mark
    audit: Mark


class Finding(Struct, frozen=True):
    """What is wrong with a ledger against what was remembered of it."""

    what: AuditWord
    detail: str
    at_ms: int = 0
    """When it was found, epoch milliseconds."""
    written: bool = False
    """Whether the audit trail has it."""


def of(conn: sqlite3.Connection) -> Heads:
    """Both ends. Within a transaction they are of one moment."""
    name, created_ms = conn.execute("SELECT id, created_ms FROM ledger").fetchone()
    ends = (Mark(position, head.hex()) for position, head in (chain.last(conn), audit_log.last(conn)))
    return Heads(name, created_ms, *ends)


def unlike(conn: sqlite3.Connection, seen: Heads) -> Finding | None:
    """What tells this ledger from the one that was seen; None: it goes on from there."""
    now = of(conn)
    if now.id != seen.id or now.created_ms != seen.created_ms:
        return _another(now, seen)
    for name, table, before, after in (
        ("calls", "chain", seen.calls, now.calls),
        ("audit lines", "audit", seen.audit, now.audit),
    ):
        if after.position < before.position:
            fewer = f"{after.position} {name} where {before.position} were"
            return Finding(AuditWord.LEDGER_SHRUNKEN, f"ledger {now.id} has {fewer}")
        if before.position and _head_at(conn, table, before.position) != before.head:
            which = f"number {before.position} of its {name} is not the one that was seen"
            return Finding(AuditWord.LEDGER_ALTERED, f"ledger {now.id}: {which}")
    return None


def _another(now: Heads, seen: Heads) -> Finding:
    had = f"ledger {seen.id} with {seen.calls.position} calls and {seen.audit.position} audit lines was here"
    if now.calls.position == now.audit.position == 0:
        return Finding(AuditWord.LEDGER_NEW, f"{had}; this one, {now.id}, has none")
    return Finding(AuditWord.LEDGER_OTHER, f"{had}; this is ledger {now.id} with {now.calls.position} calls")


def _head_at(conn: sqlite3.Connection, table: str, position: int) -> str | None:
    found = conn.execute(f"SELECT head FROM {table} WHERE position = ?", (position,)).fetchone()  # noqa: S608 - our own words
    return found[0].hex() if found else None
