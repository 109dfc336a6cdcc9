"""Ended calls as alerting looks at them: which have ended since, what balances stood at after each, how far was looked.

The alerts of calls are written with the position of the chain up to which they were looked at, in one transaction; so a gate that
dies at any point leaves either both or neither, and the next one looks at the same calls again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from spendgate.ledger import moving, outbox
from spendgate.ledger.balances import READ_BY_KEY, Balance, at_edge
from spendgate.ledger.interface import AlertRow
from spendgate.ledger.kept import Kept
from spendgate.ledger.rows import PAST, PastCall, past
from spendgate.ledger.shared_connection import SharedConnection
from spendgate.standing import Scope

BATCH: Final = 500
"""Ended calls that are looked at in one go."""
_ENDED: Final = f"""SELECT position, ended_ms, held_nanos, {", ".join(PAST)} FROM chain JOIN call_rows ON seq = call
    WHERE position > ? AND position <= ? ORDER BY position"""  # noqa: S608 - our own words
# Not over the view `holds`: SQLite would make all of it, of every call there ever was, for the few that are new.
_CHARGED: Final = """SELECT * FROM (
    SELECT json_extract(hold.value, '$[0]'), position, booked_ms, json_extract(hold.value, '$[5]') AS nanos
        FROM chain JOIN call_rows ON seq = call, json_each(call_rows.holds) AS hold WHERE position > ?1
    UNION ALL SELECT balance, position, booked_ms, charged_nanos FROM chain JOIN charges USING (call) WHERE position > ?1
    ) WHERE nanos <> 0"""


class EndedCall(Struct, frozen=True):
    """An ended call that was charged, or could have been."""

    position: int
    ended_ms: int
    past: PastCall


class Told(Struct, frozen=True):
    """An alert that is in the ledger, as `alerts.rules` knows it."""

    id: int
    rule: str
    value: str
    window: str
    again_ms: int | None


class EndedCalls:
    """What has ended, and how far it was looked at. One thread at a time works with it, others wait."""

    def __init__(self, shared: SharedConnection) -> None:
        self._shared = shared

    def state(self) -> tuple[int, bytes | None]:
        """Up to which position of the chain calls were looked at, and what was remembered there."""
        with self._shared.transaction("BEGIN") as conn:
            position, state = conn.execute("SELECT position, state FROM alerting").fetchone()
            return int(position), state

    def told(self, after_id: int = 0) -> list[Told]:
        """The alerts in the ledger that were written after this one."""
        with self._shared.transaction("BEGIN") as conn:
            found = conn.execute("SELECT id, rule, value, window, again_ms FROM alerts WHERE id > ?", (after_id,))
            return [Told(*row) for row in found]

    def past(self, since_ms: int, position: int) -> Iterator[EndedCall]:
        """The charged calls booked from then on, up to that position, in the order in which they ended."""
        with self._shared.transaction("BEGIN") as conn:
            first = conn.execute(
                "SELECT min(position) FROM chain JOIN call_rows ON seq = call WHERE booked_ms >= ?", (since_ms,)
            ).fetchone()[0]
        start = position if first is None else int(first) - 1
        while start < position:
            upto = min(position, start + BATCH)
            with self._shared.transaction("BEGIN") as conn:
                found = _ended(conn, start, upto)
            yield from (each for each in found if each.past.booked_ms >= since_ms)
            start = upto

    def head(self) -> int:
        """The position of the last call that has ended."""
        with self._shared.transaction("BEGIN") as conn:
            return _head(conn)

    @contextmanager
    def since(self, position: int) -> Iterator[EndedSince]:
        """What has ended after this position, and the balances after each call, as one moment has them."""
        with self._shared.transaction("BEGIN") as conn:
            upto = min(_head(conn), position + BATCH)
            calls = _ended(conn, position, upto) if upto > position else []
            later: dict[int, list[tuple[int, int, int]]] = {}
            for balance, at, booked_ms, nanos in conn.execute(_CHARGED, (position,)) if calls else ():
                later.setdefault(balance, []).append((at, booked_ms, nanos))
            yield EndedSince(conn, upto, calls, later)

    def wrote(self, was: int, position: int, state: bytes, alerts: Iterable[AlertRow], now_ms: int) -> bool:
        """The alerts of these calls, the position and what is remembered there: all or nothing.

        False: another gate has looked further since, nothing was written.
        """
        with self._shared.transaction() as conn:
            moved = conn.execute(
                "UPDATE alerting SET position = ?, state = ? WHERE position = ?", (position, state, was)
            )
            if not moved.rowcount:
                return False
            outbox.write(conn, alerts, now_ms)
            return True


class EndedSince:
    """Ended calls, and what the balances stood at after each. Good inside `EndedCalls.since`."""

    def __init__(
        self, conn: sqlite3.Connection, upto: int, calls: list[EndedCall], later: dict[int, list[tuple[int, int, int]]]
    ) -> None:
        self._conn = conn
        self._later = later
        self.upto = upto
        """The position that is reached with them."""
        self.calls = calls

    def settled(self, scope: Scope, call: EndedCall) -> int:
        """What this budget's window had settled when the call was charged."""
        row = self._conn.execute(READ_BY_KEY, scope.balance).fetchone()
        if row is None:
            return 0
        balance, edge_ms = Balance(*row), -1
        if scope.rolling_ms is not None:
            edge_ms = call.ended_ms - scope.rolling_ms
            balance = at_edge(self._conn, balance, edge_ms)
        charged = self._later.get(balance.id, ())
        return balance.settled - sum(
            [nanos for at, booked_ms, nanos in charged if at > call.position and booked_ms > edge_ms]
        )

    def limited(self, scope: Scope, now_ms: int) -> Scope:
        """The budget with its limit as it is now."""
        if not scope.moves:
            return scope
        return replace(scope, limit_nanos=moving.read_limit(Kept(self._conn, now_ms), scope).nanos)


def _head(conn: sqlite3.Connection) -> int:
    return int(conn.execute("SELECT coalesce(max(position), 0) FROM chain").fetchone()[0])


def _ended(conn: sqlite3.Connection, after: int, upto: int) -> list[EndedCall]:
    found = []
    for position, ended_ms, held_nanos, *values in conn.execute(_ENDED, (after, upto)):
        call = past(tuple(values))
        if call.state in ("settled", "interrupted") and (held_nanos is not None or call.basis is not None):
            found.append(EndedCall(position, ended_ms, call))
    return found
