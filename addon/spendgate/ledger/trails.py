"""The audit trail, read: its lines, each merged ledger's own, and what was found that nobody has taken note of."""

from __future__ import annotations

import sqlite3
from typing import Any

from spendgate.audit_words import FINDINGS, AuditWord
from spendgate.ledger import compared, merged
from spendgate.ledger import heads as ends
from spendgate.ledger.selecting import rows


def audit(conn: sqlite3.Connection, since_ms: int = 0) -> tuple[dict[str, Any], ...]:
    """The audit trail, oldest first."""
    return rows(
        conn,
        """SELECT position, at_ms, what, who, detail, calls, lower(hex(calls_head)) AS calls_head, lower(hex(head)) AS head
           FROM audit WHERE at_ms >= ? ORDER BY position""",
        (since_ms,),
    )


def chained_from(conn: sqlite3.Connection) -> tuple[int, int] | None:
    """From which line on, and since when, the audit trail is chained; None: all of it was when it was written."""
    found = rows(conn, "SELECT position, at_ms FROM audit WHERE what = ? LIMIT 1", (AuditWord.TRAIL_CHAINED.value,))
    return (found[0]["position"], found[0]["at_ms"]) if found else None


def sources(conn: sqlite3.Connection) -> tuple[merged.Source, ...]:
    """The ledgers that this one was merged from; none: it is a gate's own."""
    return merged.sources(conn) if merged.is_merged(conn) else ()


def trails(conn: sqlite3.Connection) -> tuple[tuple[tuple[dict[str, Any], ...], dict[int, tuple[str, int]]], ...]:
    """Each ledger's audit trail, oldest line first, with its `gate_signs`.

    Of a merged one each source's, its gates under the numbers that they have there.
    """
    if not merged.is_merged(conn):
        return ((audit(conn), compared.gate_signs(conn)),)
    signs: dict[int, dict[int, tuple[str, int]]] = {}
    for gate, sign in compared.gate_signs(conn).items():
        source, own = divmod(gate, 1 << merged.GATE_BITS)
        signs.setdefault(source, {})[own] = sign
    sql = "SELECT position, at_ms, what, who, detail FROM source_audit WHERE source = ? ORDER BY position"
    return tuple((rows(conn, sql, (each.number,)), signs.get(each.number, {})) for each in sources(conn))


def unacknowledged(conn: sqlite3.Connection) -> tuple[ends.Finding, ...]:
    """What the trail says was found about the ledger since somebody last took note of that."""
    words = ", ".join(f"'{word.value}'" for word in sorted(FINDINGS))
    found = conn.execute(
        f"""SELECT what, detail, at_ms FROM audit WHERE what IN ({words}) AND position > coalesce(
            (SELECT max(position) FROM audit WHERE what = ?), 0) ORDER BY position""",  # noqa: S608 - our own words
        (AuditWord.ACKNOWLEDGED.value,),
    )
    return tuple(ends.Finding(AuditWord(what), detail, at_ms, written=True) for what, detail, at_ms in found)
