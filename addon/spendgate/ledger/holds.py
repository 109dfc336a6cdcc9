"""Holding money: a call is opened with one hold for each balance that it draws on, corrected while it runs, sent once.

Every function runs inside the caller's transaction and leaves the balances equal to the sum over the calls.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from spendgate.admission import Admit, KindStanding, Scope, Standing
from spendgate.ledger import balances, rows
from spendgate.ledger.balances import Balance
from spendgate.ledger.interface import CallRow

_OPEN: Final = rows.insert_sql(
    (*rows.OPENED, "state", "gate", "booked_ms", "held_nanos", "waited_ms", "would_refuse_by"), once=False
)
_HOLD: Final = """INSERT INTO holds (call, balance, slides_ms, mode, nanos, bound_nanos) VALUES (?, ?, ?, ?, ?, ?)"""
_KIND_OPENED: Final = """INSERT INTO kinds (kind, settled, open_calls) VALUES (?, 0, 1)
    ON CONFLICT (kind) DO UPDATE SET open_calls = open_calls + 1"""


@dataclass(frozen=True, slots=True)
class Booking:
    """Under which gate, at what time and after what wait a call is opened."""

    gate: int
    now_ms: int
    waited_ms: int


def kind_standing(conn: sqlite3.Connection, kind: str) -> KindStanding:
    """How many calls of this kind have settled and are open, on all gates."""
    found = conn.execute("SELECT settled, open_calls FROM kinds WHERE kind = ?", (kind,)).fetchone()
    return KindStanding(kind, *found) if found else KindStanding(kind)


def open_call(
    conn: sqlite3.Connection, row: CallRow, admit: Admit, located: dict[Scope, Balance], booking: Booking
) -> None:
    """Write the open call, its holds, and what they take from each balance. Raises IntegrityError for a known call id."""
    largest = max((nanos for _, nanos in admit.holds), default=0)
    refuse = admit.would_refuse
    opening = ("open", booking.gate, booking.now_ms, largest, booking.waited_ms, refuse.rule if refuse else None)
    call = conn.execute(_OPEN, (*rows.opened(row), *opening)).lastrowid
    for scope, nanos in admit.holds:
        balance = located[scope]
        bound = bound_of(row.ceiling_nanos, nanos)
        slides_ms = booking.now_ms if balance.edge_ms is not None else None
        conn.execute(_HOLD, (call, balance.id, slides_ms, scope.hold.value, nanos, bound))
        if balance.counts(booking.now_ms):
            balances.move(conn, balance.id, 0, nanos, bound, 1)
    conn.execute(_KIND_OPENED, (row.kind,))


def bound_of(ceiling_nanos: int | None, hold_nanos: int) -> int:
    """The most an open call can cost; a call without a bound counts its hold."""
    return hold_nanos if ceiling_nanos is None else max(ceiling_nanos, hold_nanos)


def mark_sent(conn: sqlite3.Connection, call_id: str, at_ms: int) -> None:
    """Note the first moment from which the call is never free."""
    conn.execute(
        "UPDATE call_rows SET sent_ms = ? WHERE id = ? AND state = 'open' AND sent_ms IS NULL", (at_ms, call_id)
    )


def resize(conn: sqlite3.Connection, call_id: str, holds: tuple[tuple[Scope, int], ...]) -> tuple[Standing, ...]:
    """Set an open call's holds to these sizes; the standings after it, in their order. Empty for a call that has ended."""
    found = conn.execute(
        "SELECT seq, booked_ms, ceiling_nanos FROM call_rows WHERE id = ? AND state = 'open'", (call_id,)
    ).fetchone()
    if found is None:
        return ()
    seq, booked_ms, ceiling_nanos = found
    for scope, nanos in holds:
        _resize_one(conn, seq, booked_ms, balances.locate(conn, scope), nanos, bound_of(ceiling_nanos, nanos))
    largest = max((nanos for _, nanos in holds), default=0)
    conn.execute("UPDATE call_rows SET held_nanos = max(held_nanos, ?), resized = 1 WHERE seq = ?", (largest, seq))
    return tuple(balances.locate(conn, scope).standing(scope, 0) for scope, _ in holds)


def _resize_one(conn: sqlite3.Connection, seq: int, booked_ms: int, balance: Balance, nanos: int, bound: int) -> None:
    """Correct one hold; a balance that the call never held in is left alone."""
    found = conn.execute(
        "SELECT nanos, bound_nanos FROM holds WHERE call = ? AND balance = ?", (seq, balance.id)
    ).fetchone()
    if found is None:
        return
    conn.execute(
        "UPDATE holds SET nanos = ?, bound_nanos = ? WHERE call = ? AND balance = ?", (nanos, bound, seq, balance.id)
    )
    if balance.counts(booked_ms):
        balances.move(conn, balance.id, 0, nanos - found[0], bound - found[1], 0)
