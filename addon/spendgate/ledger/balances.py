"""Balances: what a budget's window has settled and holds, kept equal to the sum over its calls in every transaction.

A new window is a new row, never a reset. A rolling balance has an `edge_ms`: it is the sum over the calls booked after it.
Before each decision the edge is moved to now - length and the calls that it passes, in either direction, are taken out or
put back; so the sum is exact to the millisecond, each call is passed once, and a clock set back frees nothing. (Buckets
were the plan; they add a table and a partial bucket at each end, and are not faster.)
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from spendgate.admission import Scope, Standing

_FIND: Final = """SELECT id, settled, held, ceiling, open_calls, edge_ms FROM balances
    WHERE budget = ? AND value = ? AND window = ? AND words = ? AND length_ms = ?"""
_CREATE: Final = """INSERT INTO balances (budget, value, window, words, length_ms, starts_ms, ends_ms, edge_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id, settled, held, ceiling, open_calls, edge_ms"""
PASSED: Final = """SELECT coalesce(sum(charged_nanos), 0),
    coalesce(sum(nanos) FILTER (WHERE charged_nanos IS NULL), 0),
    coalesce(sum(bound_nanos) FILTER (WHERE charged_nanos IS NULL), 0),
    count(*) FILTER (WHERE charged_nanos IS NULL), count(*)
    FROM holds WHERE balance = ? AND slides_ms > ? AND slides_ms <= ?"""
"""Settled, held, ceiling, open calls and rows of a rolling balance between two instants."""
_MOVE: Final = """UPDATE balances SET settled = settled + ?, held = held + ?, ceiling = ceiling + ?,
    open_calls = open_calls + ? WHERE id = ?"""
_SLIDE: Final = """UPDATE balances SET settled = ?, held = ?, ceiling = ?, open_calls = ?, edge_ms = ? WHERE id = ?"""


@dataclass(slots=True)
class Balance:
    """One row of `balances`, as a transaction sees it. Nano-dollars; `edge_ms` None for calendar windows and `life`."""

    id: int
    settled: int
    held: int
    ceiling: int
    open_calls: int
    edge_ms: int | None

    def counts(self, booked_ms: int) -> bool:
        """Whether a call booked then is inside the window as the row stands."""
        return self.edge_ms is None or booked_ms > self.edge_ms

    def standing(self, scope: Scope, ahead: int) -> Standing:
        """This balance as admission sees it."""
        return Standing(scope, self.settled, self.held, self.ceiling, self.open_calls, ahead)


def locate(conn: sqlite3.Connection, scope: Scope) -> Balance:
    """The scope's balance as it stands; made, with nothing in it, when a window is met for the first time."""
    length_ms = scope.rolling_ms or 0
    key = (scope.budget, scope.value, scope.window, scope.words, length_ms)
    found = conn.execute(_FIND, key).fetchone()
    if found is None:
        edge_ms = scope.starts_ms if length_ms else None
        found = conn.execute(_CREATE, (*key, scope.starts_ms, scope.ends_ms, edge_ms)).fetchone()
    return Balance(*found)


def locate_at(conn: sqlite3.Connection, scope: Scope, now_ms: int) -> Balance:
    """The scope's balance with a rolling window's edge at now - length."""
    balance = locate(conn, scope)
    if scope.rolling_ms is not None:
        _slide(conn, balance, now_ms - scope.rolling_ms)
    return balance


def move(conn: sqlite3.Connection, balance: int, settled: int, held: int, ceiling: int, open_calls: int) -> None:
    """Add to a balance. The caller has written the hold or charge that this mirrors, in the same transaction."""
    conn.execute(_MOVE, (settled, held, ceiling, open_calls, balance))


def _slide(conn: sqlite3.Connection, balance: Balance, edge_ms: int) -> None:
    """Move a rolling balance's edge, and the calls that it passes out of the sums or back into them."""
    old_ms = balance.edge_ms
    if old_ms is None or old_ms == edge_ms:
        return
    sign = -1 if edge_ms > old_ms else 1
    settled, held, ceiling, open_calls, rows = conn.execute(
        PASSED, (balance.id, min(old_ms, edge_ms), max(old_ms, edge_ms))
    ).fetchone()
    if not rows and sign < 0:
        return  # nothing left the window: the row is still true for its old edge, and a write is saved
    balance.settled += sign * settled
    balance.held += sign * held
    balance.ceiling += sign * ceiling
    balance.open_calls += sign * open_calls
    balance.edge_ms = edge_ms
    conn.execute(_SLIDE, (balance.settled, balance.held, balance.ceiling, balance.open_calls, edge_ms, balance.id))
