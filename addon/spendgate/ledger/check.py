"""The ledger checked against itself: every balance recomputed from calls and holds, and what must never be.

For tests, and for whoever doubts a ledger (`queries.Reader.check`). Reads one
snapshot; each fault is one line that names its row.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from spendgate.ledger import verify

_SUMS: Final = """SELECT b.id, b.budget, b.value, b.window, b.settled, b.held, b.ceiling, b.open_calls,
    coalesce(sum(h.charged_nanos), 0),
    coalesce(sum(h.nanos) FILTER (WHERE h.charged_nanos IS NULL), 0),
    coalesce(sum(h.bound_nanos) FILTER (WHERE h.charged_nanos IS NULL), 0),
    count(h.call) FILTER (WHERE h.charged_nanos IS NULL)
    FROM balances b LEFT JOIN holds h ON h.balance = b.id AND (b.edge_ms IS NULL OR h.booked_ms > b.edge_ms)
    WHERE b.budget <> '' GROUP BY b.id"""

_NEVER: Final = (
    ("an ended call with a hold that was neither charged nor released", """SELECT c.id FROM call_rows c JOIN holds h
        ON h.call = c.seq WHERE c.state <> 'open' AND h.charged_nanos IS NULL"""),
    ("an open call with a charge", """SELECT c.id FROM call_rows c JOIN holds h ON h.call = c.seq
        WHERE c.state = 'open' AND h.charged_nanos IS NOT NULL"""),
    ("a settled call without its cost", """SELECT id FROM call_rows
        WHERE state IN ('settled', 'interrupted') AND cost_nanos IS NULL"""),
    ("a call that held nothing yet holds", """SELECT c.id FROM call_rows c JOIN holds h ON h.call = c.seq
        WHERE c.state IN ('refused', 'unrecognized')"""),
    ("a free call with a charge", """SELECT c.id FROM call_rows c JOIN holds h ON h.call = c.seq
        WHERE c.state = 'free' AND h.charged_nanos <> 0"""),
    ("a call chained twice", """SELECT c.id FROM call_rows c JOIN (SELECT call FROM chain GROUP BY call
        HAVING count(*) > 1) t ON t.call = c.seq"""),
    ("a charge of no call, or at another time than its call", """SELECT h.call FROM charges h LEFT JOIN call_rows c
        ON c.seq = h.call WHERE c.booked_ms IS NOT h.booked_ms"""),
    ("a call twice in one balance", "SELECT call FROM holds GROUP BY call, balance HAVING count(*) > 1"),
    ("a hold in no balance", "SELECT call FROM holds WHERE balance NOT IN (SELECT id FROM balances)"),
    ("a place in line of no waiter", "SELECT place FROM waits WHERE place NOT IN (SELECT place FROM waiters)"),
    ("an open call of a gate that has ended", """SELECT c.id FROM call_rows c JOIN gates g ON g.id = c.gate
        WHERE c.state = 'open' AND g.ended = 1"""),
)  # fmt: skip


def check(conn: sqlite3.Connection) -> tuple[str, ...]:
    """All faults of balances, holds, kinds and chain; none when the ledger is right."""
    conn.execute("BEGIN")
    try:
        return (*sums(conn), *map(str, verify.lines(conn)), *map(str, verify.links(conn)))
    finally:
        conn.execute("ROLLBACK")


def sums(conn: sqlite3.Connection) -> tuple[str, ...]:
    """Faults of all but the chains, inside a transaction."""
    never = [f"{what}: {found}" for what, sql in _NEVER for (found,) in conn.execute(sql)]
    return (*_balances(conn), *_kinds(conn), *never)


def _balances(conn: sqlite3.Connection) -> list[str]:
    faults = []
    for row in conn.execute(_SUMS):
        name, kept, summed = row[:4], row[4:8], row[8:]
        if kept != summed:
            faults.append(f"balance {name[0]} ({name[1]} {name[2]} {name[3]}) is {kept}, its calls make {summed}")
    return faults


def _kinds(conn: sqlite3.Connection) -> list[str]:
    kept = dict(_counts(conn, "SELECT value, settled_calls, open_calls FROM balances WHERE budget = ''"))
    summed = _counts(
        conn,
        """SELECT kind, count(*) FILTER (WHERE state = 'settled' AND value_nanos > 0),
           count(*) FILTER (WHERE state = 'open') FROM call_rows WHERE held_nanos IS NOT NULL GROUP BY kind""",
    )
    return [
        f"kind {kind} is {kept.get(kind)}, its calls make {now}"
        for kind, now in summed.items()
        if kept.get(kind) != now
    ]


def _counts(conn: sqlite3.Connection, sql: str) -> dict[str, tuple[int, int]]:
    return {kind: (settled, opened) for kind, settled, opened in conn.execute(sql)}
