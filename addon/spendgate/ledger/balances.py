"""Balances: what a budget's window has settled and holds, kept equal to the sum over its calls in every transaction.

A new window is a new row, never a reset. A rolling balance has an `edge_ms`: it is the sum over the calls booked after it.
Before each decision the edge is moved to now - length and the calls that it passes, in either direction, are taken out or
put back; so the sum is exact to the millisecond, each call is passed once, and a clock set back frees nothing. (Buckets
were the plan; they add a table and a partial bucket at each end, and are not faster.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple

from spendgate.admission import Scope, Standing

_COLUMNS: Final = "id, budget, value, window, words, length_ms, edge_ms, settled, held, ceiling, open_calls"
READ_BY_KEY: Final = f"""SELECT {_COLUMNS} FROM balances
    WHERE budget = ? AND value = ? AND window = ? AND words = ? AND length_ms = ?"""  # noqa: S608 - our own words
_CREATE: Final = f"""INSERT INTO balances (budget, value, window, words, length_ms, starts_ms, ends_ms, edge_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING {_COLUMNS}"""  # noqa: S608 - our own words
_PASSED: Final = """SELECT coalesce(sum(charged_nanos), 0),
    coalesce(sum(nanos) FILTER (WHERE charged_nanos IS NULL), 0),
    coalesce(sum(bound_nanos) FILTER (WHERE charged_nanos IS NULL), 0),
    count(*) FILTER (WHERE charged_nanos IS NULL), count(*)
    FROM holds WHERE balance = ? AND slides_ms > ? AND slides_ms <= ?"""
_MOVE: Final = """UPDATE balances SET settled = settled + ?, held = held + ?, ceiling = ceiling + ?,
    open_calls = open_calls + ? WHERE id = ?"""
_SLIDE: Final = "UPDATE balances SET settled = ?, held = ?, ceiling = ?, open_calls = ?, edge_ms = ? WHERE id = ?"
_IDS_MAX: Final = 4096
"""Balances whose row id is remembered; more (sessions, projects) and the memory begins anew."""

Key = tuple[str, str, str, str, int]


class Balance(NamedTuple):
    """One row of `balances`, as a transaction sees it. Nano-dollars."""

    id: int
    budget: str
    value: str
    window: str
    words: str
    length_ms: int
    """Length of a rolling window, 0 for every other."""
    edge_ms: int | None
    """Rolling: the sums are over the calls booked after this. None: every call of the row counts."""
    settled: int
    held: int
    ceiling: int
    open_calls: int

    def counts(self, booked_ms: int) -> bool:
        """Whether a call booked then is inside the window as the row stands."""
        return self.edge_ms is None or booked_ms > self.edge_ms

    def slides_ms(self, booked_ms: int) -> int | None:
        """What a hold keeps so that a rolling window can pass it."""
        return None if self.edge_ms is None else booked_ms

    def standing(self, scope: Scope, ahead: int) -> Standing:
        """This balance as admission sees it."""
        return Standing(scope, self.settled, self.held, self.ceiling, self.open_calls, ahead)


class Change(NamedTuple):
    """What a hold, a correction or a charge adds to one balance. Nano-dollars."""

    balance: int
    settled: int = 0
    held: int = 0
    ceiling: int = 0
    open_calls: int = 0


class Balances:
    """Finds balances by scope, and remembers their row ids (never their figures, which other gates change too)."""

    def __init__(self) -> None:
        self._ids: dict[Key, int] = {}

    def locate(self, conn: sqlite3.Connection, scopes: Iterable[Scope]) -> list[Balance]:
        """The scopes' balances as they stand, in their order; made when a window is met for the first time."""
        keys = [(s.budget, s.value, s.window, s.words, s.rolling_ms or 0) for s in scopes]
        ids = [self._ids.get(key, 0) for key in keys]
        rows = conn.execute(_by_ids(len(ids)), ids)
        # Found by its key, not by its id: an id remembered from a transaction that was rolled back may be another's now.
        known = {row[1:6]: Balance._make(row) for row in rows}
        return [known.get(key) or self._find(conn, key, scope) for key, scope in zip(keys, scopes, strict=True)]

    def locate_at(self, conn: sqlite3.Connection, scopes: Iterable[Scope], now_ms: int) -> list[Balance]:
        """Like `locate`, with the edge of rolling windows at now - length."""
        found = self.locate(conn, scopes)
        return [slid(conn, each, now_ms - each.length_ms) if each.length_ms else each for each in found]

    def _find(self, conn: sqlite3.Connection, key: Key, scope: Scope) -> Balance:
        row = conn.execute(READ_BY_KEY, key).fetchone()
        if row is None:
            edge_ms = scope.starts_ms if scope.rolling_ms else None
            row = conn.execute(_CREATE, (*key, scope.starts_ms, scope.ends_ms, edge_ms)).fetchone()
        if len(self._ids) >= _IDS_MAX:
            self._ids.clear()
        self._ids[key] = row[0]
        return Balance._make(row)


@cache
def _by_ids(count: int) -> str:
    marks = ",".join("?" * count)
    return f"SELECT {_COLUMNS} FROM balances WHERE id IN ({marks})"  # noqa: S608 - our own words and marks


def move(conn: sqlite3.Connection, changes: Iterable[Change]) -> None:
    """Add to balances. The caller writes the holds or charges that this mirrors in the same transaction."""
    conn.executemany(_MOVE, [(c.settled, c.held, c.ceiling, c.open_calls, c.balance) for c in changes])


def slid(conn: sqlite3.Connection, balance: Balance, edge_ms: int) -> Balance:
    """A rolling balance with its edge moved, and the calls that it passes taken out of the sums or put back."""
    moved = at_edge(conn, balance, edge_ms)
    if moved is not balance:
        conn.execute(_SLIDE, (moved.settled, moved.held, moved.ceiling, moved.open_calls, edge_ms, moved.id))
    return moved


def at_edge(conn: sqlite3.Connection, balance: Balance, edge_ms: int) -> Balance:
    """What `slid` would make of it, only read. The same object where an edge moved forward passes nothing: the row then
    stays true for its old edge, and a write is saved."""
    old_ms = balance.edge_ms
    if old_ms is None or old_ms == edge_ms:
        return balance
    sign = -1 if edge_ms > old_ms else 1
    between = (balance.id, min(old_ms, edge_ms), max(old_ms, edge_ms))
    settled, held, ceiling, open_calls, rows = conn.execute(_PASSED, between).fetchone()
    if not rows and sign < 0:
        return balance
    return balance._replace(
        edge_ms=edge_ms,
        settled=balance.settled + sign * settled,
        held=balance.held + sign * held,
        ceiling=balance.ceiling + sign * ceiling,
        open_calls=balance.open_calls + sign * open_calls,
    )
