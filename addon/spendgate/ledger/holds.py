"""Holding money: a call is opened with one hold for each balance that it draws on, corrected while it runs, sent once.

Every function runs inside the caller's transaction and leaves the balances equal to the sum over the calls.
"""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from spendgate.admission import Admit, KindStanding, Scope, Standing
from spendgate.ledger import balances, chain, rows
from spendgate.ledger.balances import Balance, Balances, Change
from spendgate.ledger.interface import CallRow

_OPEN: Final = rows.insert_sql((*rows.OPENED, "opening", "account", *rows.HOLDING))

_HOLD: Final = "INSERT INTO holds (call, balance, slides_ms, mode, nanos, bound_nanos) VALUES (?, ?, ?, ?, ?, ?)"
_KIND_OPENED: Final = """INSERT INTO kinds (kind, settled, open_calls) VALUES (?, 0, 1)
    ON CONFLICT (kind) DO UPDATE SET open_calls = open_calls + 1"""


class Booking(NamedTuple):
    """Under which gate, at what time and after what wait a call is opened."""

    gate: int
    now_ms: int
    waited_ms: int


def kind_standing(conn: sqlite3.Connection, kind: str) -> KindStanding:
    """How many calls of this kind have settled and are open, on all gates."""
    found = conn.execute("SELECT settled, open_calls FROM kinds WHERE kind = ?", (kind,)).fetchone()
    return KindStanding(kind, *found) if found else KindStanding(kind)


def open_call(conn: sqlite3.Connection, row: CallRow, admit: Admit, located: list[Balance], booking: Booking) -> None:
    """Write the open call, its holds, and what they take from each balance; `located` are those of `admit.holds`.

    Raises IntegrityError for a known call id.
    """
    largest = max((nanos for _, nanos in admit.holds), default=0)
    rule = admit.would_refuse.rule if admit.would_refuse else None
    opening = ("open", booking.gate, booking.now_ms, largest, booking.waited_ms, rule)
    first = rows.opened(row)
    call = conn.execute(_OPEN, (*first, chain.opening(first), row.account, *opening)).lastrowid
    holds, changes = [], []
    for (scope, nanos), balance in zip(admit.holds, located, strict=True):
        bound = bound_of(row.ceiling_nanos, nanos)
        holds.append((call, balance.id, balance.slides_ms(booking.now_ms), scope.hold.value, nanos, bound))
        if balance.counts(booking.now_ms):
            changes.append(Change(balance.id, held=nanos, ceiling=bound, open_calls=1))
    conn.executemany(_HOLD, holds)
    balances.move(conn, changes)
    conn.execute(_KIND_OPENED, (row.kind,))


def bound_of(ceiling_nanos: int | None, hold_nanos: int) -> int:
    """The most an open call can cost; a call without a bound counts its hold."""
    return hold_nanos if ceiling_nanos is None else max(ceiling_nanos, hold_nanos)


def mark_sent(conn: sqlite3.Connection, call_id: str, at_ms: int) -> None:
    """Note the first moment from which the call is never free."""
    conn.execute(
        "UPDATE call_rows SET sent_ms = ? WHERE id = ? AND state = 'open' AND sent_ms IS NULL", (at_ms, call_id)
    )


def resize(
    conn: sqlite3.Connection, finder: Balances, call_id: str, holds: tuple[tuple[Scope, int], ...]
) -> tuple[Standing, ...]:
    """Set an open call's holds to these sizes; the standings after it, in their order. Empty for a call that has ended."""
    found = conn.execute(
        "SELECT seq, booked_ms, ceiling_nanos FROM call_rows WHERE id = ? AND state = 'open'", (call_id,)
    ).fetchone()
    if found is None:
        return ()
    seq, booked_ms, ceiling_nanos = found
    scopes = [scope for scope, _ in holds]
    for balance, (_, nanos) in zip(finder.locate(conn, scopes), holds, strict=True):
        change = _resize_one(conn, seq, balance, nanos, bound_of(ceiling_nanos, nanos))
        if change is not None and balance.counts(booked_ms):
            balances.move(conn, [change])
    largest = max((nanos for _, nanos in holds), default=0)
    conn.execute("UPDATE call_rows SET held_nanos = max(held_nanos, ?), resized = 1 WHERE seq = ?", (largest, seq))
    after = finder.locate(conn, scopes)
    return tuple(balance.standing(scope, 0) for balance, scope in zip(after, scopes, strict=True))


def _resize_one(conn: sqlite3.Connection, seq: int, balance: Balance, nanos: int, bound: int) -> Change | None:
    """Correct one hold; None for a balance that the call never held in."""
    key = (seq, balance.id)
    found = conn.execute("SELECT nanos, bound_nanos FROM holds WHERE call = ? AND balance = ?", key).fetchone()
    if found is None:
        return None
    conn.execute("UPDATE holds SET nanos = ?, bound_nanos = ? WHERE call = ? AND balance = ?", (nanos, bound, *key))
    return Change(balance.id, held=nanos - found[0], ceiling=bound - found[1])
