"""Balances: what a budget's window has settled and holds, kept equal to the sum over its calls in every transaction.

A new window is a new row, never a reset. A rolling balance has an `edge_ms`: it is the sum over the calls booked after it.
Before each decision the edge is moved to now - length and the calls that it passes, in either direction, are taken out or
put back; so the sum is exact to the millisecond, each call is passed once, and a clock set back frees nothing. (Buckets
were the plan; they add a table and a partial bucket at each end, and are not faster.)
"""

from __future__ import annotations

import json
import sqlite3
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from spendgate.flow import Flow
from spendgate.standing import NO_FLOW, Scope, Standing

_COLUMNS: Final = (
    "id, budget, value, window, words, length_ms, edge_ms, settled, held, ceiling, open_calls, settled_calls,"
    " starts_ms, ends_ms"
)
READ_BY_KEY: Final = f"""SELECT {_COLUMNS} FROM balances
    WHERE budget = ? AND value = ? AND window = ? AND words = ? AND length_ms = ?"""  # noqa: S608 - our own words
_READ_BY_ID: Final = f"SELECT {_COLUMNS} FROM balances WHERE id = ?"  # noqa: S608 - our own words
_CREATE: Final = """INSERT INTO windows (budget, value, window, words, length_ms, starts_ms, ends_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id"""
_BEGIN: Final = "INSERT INTO sums (id, edge_ms) VALUES (?, ?)"
_PASSED: Final = """SELECT coalesce(sum(charged_nanos), 0),
    coalesce(sum(nanos) FILTER (WHERE charged_nanos IS NULL), 0),
    coalesce(sum(bound_nanos) FILTER (WHERE charged_nanos IS NULL), 0),
    count(*) FILTER (WHERE charged_nanos IS NULL), count(*)
    FROM holds WHERE booked_ms > ? AND booked_ms <= ? AND balance = ?"""
_NEXT: Final = """SELECT min(booked_ms) FROM (SELECT min(booked_ms) AS booked_ms FROM call_rows WHERE booked_ms > ?1
    UNION ALL SELECT min(booked_ms) FROM billed_charges WHERE booked_ms > ?1)"""
_MOVE: Final = """UPDATE sums SET settled = settled + ?, held = held + ?, ceiling = ceiling + ?,
    open_calls = open_calls + ?, settled_calls = settled_calls + ? WHERE id = ?"""
_SLIDE: Final = "UPDATE sums SET settled = ?, held = ?, ceiling = ?, open_calls = ?, edge_ms = ? WHERE id = ?"
_NO_CALL_MS: Final = 2**62
_MARK_BYTES: Final = 12

Key = tuple[str, str, str, str, int]


def mark_of(*names: str | int | None) -> str:
    """By what a window is known in the rows of calls and in the audit trail, whatever the file says later that it is: of its
    budget, value, window, words, length_ms, starts_ms and ends_ms, none of which ever changes."""
    return urlsafe_b64encode(sha256(json.dumps(names).encode()).digest()[:_MARK_BYTES]).decode()


@dataclass(slots=True, eq=False)
class Balance:
    """A window and its sums, as a transaction sees them and leaves them: itself, not its equal. Nano-dollars."""

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
    settled_calls: int
    """Of a kind: how many of its calls have settled with a value above zero. A budget's calls are not counted."""
    starts_ms: int = 0
    ends_ms: int | None = None
    marked: bool = False
    """Whether a row has its mark since it was read: one is enough, but for a rolling one, whose calls pass."""
    next_ms: int = 0
    """Rolling: no call that it counts is booked after its edge and before this. 0: nobody has looked yet."""
    named: tuple[str, ...] = ()
    """Its mark, once a row has asked for it: what it is made of never changes, and of a rolling one each row says it."""

    def mark(self, cost_nanos: int) -> tuple[str, ...]:
        """What the row of a call that is charged so much says of its name; nothing where a row has said it."""
        if not cost_nanos or self.marked:
            return ()
        self.marked = not self.length_ms
        self.named = self.named or (
            mark_of(self.budget, self.value, self.window, self.words, self.length_ms, self.starts_ms, self.ends_ms),
        )
        return self.named

    def standing(self, scope: Scope, ahead: int, flow: Flow = NO_FLOW) -> Standing:
        """This balance as admission sees it; of a rate with what it has counted."""
        return Standing(scope, self.settled, self.held, self.ceiling, self.open_calls, ahead, flow)


Change = tuple[Balance, int, int, int, int, int]
"""What a hold, a correction or a charge adds to one balance: to its settled, held and ceiling, in nano-dollars, and to its
open_calls and settled_calls. A plain tuple, since each call makes eight."""


class Balances:
    """The balances that this connection has read or written; `known.Known` says how long they may be believed."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Balance] = {}
        self.by_id: dict[int, Balance] = {}
        """All that are known."""
        self._moved: dict[int, tuple[int, int, int, int, int, int]] = {}
        """What this transaction has added and is still to write, by balance: the values of `_MOVE`."""

    def clear(self) -> None:
        """Forget them all. Only between transactions: a row must not be two objects within one."""
        self._by_key.clear()
        self.by_id.clear()
        self._moved.clear()

    def move(self, booked_ms: int, changes: Iterable[Change]) -> None:
        """Add to the balances whose window counts a call booked then. The caller writes the holds or charges that this mirrors
        in the same transaction, and its end writes the balances, each once (`write`)."""
        moved = self._moved
        for at, settled, held, ceiling, opened, ended in changes:
            if at.edge_ms is not None:
                if booked_ms <= at.edge_ms:
                    continue
                at.next_ms = min(at.next_ms, booked_ms)
            at.held += held
            at.ceiling += ceiling
            at.open_calls += opened
            if settled:
                at.settled += settled
            if ended:
                at.settled_calls += ended
            number = at.id
            if number in moved:
                s, h, c, o, e, _ = moved[number]
                moved[number] = (s + settled, h + held, c + ceiling, o + opened, e + ended, number)
            else:
                moved[number] = (settled, held, ceiling, opened, ended, number)

    def write(self, cursor: sqlite3.Cursor) -> None:
        """What has moved, to the file: the last that a transaction does. By adding, so that no memory can overwrite a sum."""
        if self._moved:
            cursor.executemany(_MOVE, self._moved.values())
            self._moved.clear()

    def locate(self, conn: sqlite3.Connection, scopes: Iterable[Scope]) -> list[Balance]:
        """The scopes' balances as they stand, in their order; made when a window is met for the first time."""
        known, found = self._by_key, []
        for scope in scopes:
            key = (scope.budget, scope.value, scope.window, scope.words, scope.rolling_ms or 0)
            found.append(known.get(key) or self._find(conn, key, scope.starts_ms, scope.ends_ms))
        return found

    def locate_at(self, conn: sqlite3.Connection, scopes: Iterable[Scope], now_ms: int) -> list[Balance]:
        """Like `locate`, with the edge of rolling windows at now - length."""
        found = self.locate(conn, scopes)
        for at in found:
            edge_ms = at.edge_ms
            if edge_ms is not None and not edge_ms <= now_ms - at.length_ms < at.next_ms:
                self._slide(conn, at, now_ms - at.length_ms)
        return found

    def kind(self, conn: sqlite3.Connection, kind: str) -> Balance:
        """The row that counts the calls of this kind, as if it were a budget's: one statement then writes all counters."""
        key = ("", kind, "", "", 0)
        return self._by_key.get(key) or self._find(conn, key, 0, None)

    def get(self, conn: sqlite3.Connection, balance: int) -> Balance:
        """The balance of this id."""
        known = self.by_id.get(balance)
        return known or self._remember(Balance(*conn.execute(_READ_BY_ID, (balance,)).fetchone()))

    def settled(self, conn: sqlite3.Connection, key: Key) -> int:
        """What a window has settled; 0 for one that nothing was ever held in, which is not made by asking."""
        known = self._by_key.get(key)
        if known is None:
            row = conn.execute(READ_BY_KEY, key).fetchone()
            known = None if row is None else self.by_id.get(row[0]) or Balance(*row)
        return 0 if known is None else known.settled

    def _find(self, conn: sqlite3.Connection, key: Key, starts_ms: int, ends_ms: int | None) -> Balance:
        row = conn.execute(READ_BY_KEY, key).fetchone()
        if row is None:
            [number] = conn.execute(_CREATE, (*key, starts_ms, ends_ms)).fetchone()
            conn.execute(_BEGIN, (number, starts_ms if key[-1] else None))
            row = conn.execute(_READ_BY_ID, (number,)).fetchone()
        # A hold may have made it known by its id already.
        balance = self.by_id.get(row[0]) or self._remember(Balance(*row))
        self._by_key[key] = balance
        return balance

    def _remember(self, balance: Balance) -> Balance:
        self.by_id[balance.id] = balance
        return balance

    def _slide(self, conn: sqlite3.Connection, balance: Balance, edge_ms: int) -> None:
        """Move the edge of a rolling balance, and take the calls that it passes out of the sums or put them back."""
        moved = at_edge(conn, balance, edge_ms)
        if moved is not balance:
            self._moved.pop(moved.id, None)  # in the sums that are written here
            conn.execute(_SLIDE, (moved.settled, moved.held, moved.ceiling, moved.open_calls, edge_ms, moved.id))
            balance.edge_ms, balance.settled, balance.held = edge_ms, moved.settled, moved.held
            balance.ceiling, balance.open_calls = moved.ceiling, moved.open_calls
        balance.next_ms = conn.execute(_NEXT, (edge_ms,)).fetchone()[0] or _NO_CALL_MS


def passed(conn: sqlite3.Connection, balance: int, after_ms: int) -> tuple[int, int, int, int]:
    """Settled, held and ceiling, and how many are open, of its calls that were booked later."""
    settled, held, ceiling, opened, _ = conn.execute(_PASSED, (after_ms, _NO_CALL_MS, balance)).fetchone()
    return settled, held, ceiling, opened


def at_edge(conn: sqlite3.Connection, balance: Balance, edge_ms: int) -> Balance:
    """What moving its edge would make of a balance, only read. The same object where an edge moved forward passes nothing:
    the row then stays true for its old edge, and a write is saved."""
    old_ms = balance.edge_ms
    if old_ms is None or old_ms == edge_ms:
        return balance
    sign = -1 if edge_ms > old_ms else 1
    between = (min(old_ms, edge_ms), max(old_ms, edge_ms), balance.id)
    settled, held, ceiling, open_calls, rows = conn.execute(_PASSED, between).fetchone()
    if not rows and sign < 0:
        return balance
    return replace(
        balance,
        edge_ms=edge_ms,
        settled=balance.settled + sign * settled,
        held=balance.held + sign * held,
        ceiling=balance.ceiling + sign * ceiling,
        open_calls=balance.open_calls + sign * open_calls,
    )
