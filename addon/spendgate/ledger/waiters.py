"""Calls that wait for others' holds: first come first served in the line of each balance, across gates.

A call takes one place, for good, when it first has to wait; it stands with that place in the line of every balance that
has blocked it. A place ends with admission, refusal, the client's leaving, its own time, or the death of its gate.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

from spendgate.ledger.known import Known

GRACE_MS = 5_000
"""How much longer than its `wait` a place is kept, for a gate that is slow to give it up."""

NOBODY_WAITS = -1
"""`place_of` when the ledger has no waiter at all: the usual case, and then no line need be counted."""


def place_of(known: Known, call_id: str) -> int | None:
    """The call's place; None: it has none yet; NOBODY_WAITS: nor has anyone else."""
    if not known.nobody_waits:
        known.nobody_waits = known.conn.execute("SELECT 1 FROM waiters LIMIT 1").fetchone() is None
    if known.nobody_waits:
        return NOBODY_WAITS
    found = known.conn.execute("SELECT place FROM waiters WHERE call_id = ?", (call_id,)).fetchone()
    return None if found is None else int(found[0])


def ahead(conn: sqlite3.Connection, balance: int, place: int | None, now_ms: int) -> int:
    """How many came before in this balance's line and still may wait."""
    found = conn.execute(
        """SELECT count(*) FROM waits JOIN waiters USING (place)
           WHERE waits.balance = ? AND waits.place < ? AND waiters.until_ms > ?""",
        (balance, 2**62 if place is None else place, now_ms),
    ).fetchone()
    return int(found[0])


def take_place(known: Known, call_id: str, gate: int, until_ms: int) -> int:
    """A place at the end of every line, kept until then at the latest."""
    known.nobody_waits = False
    return int(
        known.conn.execute(
            "INSERT INTO waiters (call_id, gate, until_ms) VALUES (?, ?, ?) RETURNING place", (call_id, gate, until_ms)
        ).fetchone()[0]
    )


def stand(conn: sqlite3.Connection, place: int, lines: Iterable[int]) -> None:
    """Stand with this place in the lines of these balances. Changes nothing where it stands already."""
    conn.executemany("INSERT OR IGNORE INTO waits (balance, place) VALUES (?, ?)", [(line, place) for line in lines])


def leave(conn: sqlite3.Connection, call_id: str) -> None:
    """Give up the call's place in every line."""
    conn.execute("DELETE FROM waits WHERE place = (SELECT place FROM waiters WHERE call_id = ?)", (call_id,))
    conn.execute("DELETE FROM waiters WHERE call_id = ?", (call_id,))


def vanish(conn: sqlite3.Connection, gate: int) -> None:
    """All places of a gate that has gone."""
    conn.execute("DELETE FROM waits WHERE place IN (SELECT place FROM waiters WHERE gate = ?)", (gate,))
    conn.execute("DELETE FROM waiters WHERE gate = ?", (gate,))


def drop_dead(conn: sqlite3.Connection, own_gate: int, is_dead: Callable[[int], bool]) -> None:
    """Take the waiters of dead gates out of everybody's way at once; their calls never held anything."""
    others = conn.execute("SELECT DISTINCT gate FROM waiters WHERE gate <> ?", (own_gate,)).fetchall()
    for (gate,) in others:
        if is_dead(gate):
            vanish(conn, gate)
