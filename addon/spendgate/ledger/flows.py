"""What rates have counted, for all gates: a log of admitted calls and their corrections, and each gate's sums over it.

A row is one admitted call, or the correction of one at that call's own instant, with the balances of the rates that count it.
Rows are only added, and go once no rate counts them any more; so a gate reads what others have added since it last looked, and
nothing twice. What it keeps is `flow.Windows`, which replay and tests fill without a file.

Time is the boot clock, which no wall step moves, and which goes on through sleep. It begins anew with the machine: `flow_clock`
keeps which boot it is of and what to add to it, so that instants go on from the last one that was counted. How long the machine
was off only the wall clock can tell; it counts as at least nothing. So a restarted gate frees nothing, a reboot what really
passed, and a wall clock set back neither. Where the system does not tell boots apart (all but Linux) a reboot counts as no time.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterable
from typing import Final

from spendgate.flow import Entry, Flow, Tokens, Windows
from spendgate.ledger.interface import Flowing
from spendgate.standing import Scope

DELETE_EVERY: Final = 64
"""Rows that nothing counts any more go so many at a time."""
_BACK_MS: Final = 60_000
"""A boot clock that is so far behind what it once showed is another boot's."""

_CLOCK: Final = "SELECT boot, offset_ms FROM flow_clock"
_SET_CLOCK: Final = "INSERT OR REPLACE INTO flow_clock (one, boot, offset_ms) VALUES (1, ?, ?)"
_LAST: Final = "SELECT max(at_ms), wall_ms FROM flows"
_SINCE: Final = "SELECT id, at_ms, until_ms, balances, requests, counted, reads FROM flows WHERE id > ? ORDER BY id"
_ADD: Final = """INSERT INTO flows (at_ms, until_ms, wall_ms, balances, requests, counted, reads)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
# The newest row stays: without one, SQLite would give its id again, and another gate would take that row for one it has.
_DELETE: Final = "DELETE FROM flows WHERE id <= ? AND id < (SELECT max(id) FROM flows)"


class Flows:
    """One connection's sums over the log. Touched only inside its transactions."""

    def __init__(self, offset_ms: int | None = None) -> None:
        """`offset_ms`: what makes this boot's clock the log's; None: still to be read."""
        self._windows: Windows[int] = Windows()
        self._rows: deque[tuple[int, int]] = deque()
        """Id and end of each row of the log, as far as it was read."""
        self._gone = 0
        self._last_id = 0
        self._offset_ms = offset_ms
        self.behind = True
        """Others may have added rows."""
        self.unsure = False
        """This transaction has added rows, which are not in the file if it fails."""

    def now(self, conn: sqlite3.Connection, flowing: Flowing, wall_ms: int) -> int:
        """This instant on the log's clock, with all of the log read."""
        if self._offset_ms is None:
            self._offset_ms = _offset_ms(conn, flowing, wall_ms, write=True)
        if self.behind:
            self.catch_up(conn)
        return self._windows.moment(flowing.boot_ms + self._offset_ms)

    def catch_up(self, conn: sqlite3.Connection) -> None:
        """Read what has been added since the last look; at the start all of it, some 10 us a row."""
        for id_, at_ms, until_ms, balances, requests, counted, reads in conn.execute(_SINCE, (self._last_id,)):
            keys = tuple([int(each) for each in balances.split(",")])
            self._take(id_, keys, Entry(at_ms, requests, counted, reads), until_ms)
            self._windows.moment(at_ms)
        self.behind = False

    def _take(self, id_: int, balances: tuple[int, ...], entry: Entry, until_ms: int) -> None:
        self._windows.add(balances, entry, until_ms - entry.at_ms)
        self._rows.append((id_, until_ms))
        self._last_id = id_

    def of(self, scope: Scope, balance: int, need: Tokens, now_ms: int) -> Flow:
        """What this rate has counted. `now_ms` as `now` gave it."""
        return Flow() if scope.rate is None else self._windows.flow(balance, scope.rate, need, now_ms)

    def admitted(
        self, conn: sqlite3.Connection, balances: tuple[int, ...], flowing: Flowing, now_ms: int, wall_ms: int
    ) -> None:
        """Count an admitted call in its rates that look back. `now_ms` as `now` gave it."""
        entry = Entry(now_ms, 1, flowing.need.counted, flowing.need.reads)
        self._add(conn, balances, entry, flowing.longest_ms, wall_ms)

    def ended(self, conn: sqlite3.Connection, balances: tuple[int, ...], flowing: Flowing, wall_ms: int) -> None:
        """What the end of a call changes, at the instant of its admission (`flowing.boot_ms`); `need` is the difference."""
        now_ms = self.now(conn, flowing, wall_ms)
        at_ms = flowing.boot_ms + (self._offset_ms or 0)
        if at_ms + flowing.longest_ms > now_ms:
            entry = Entry(at_ms, flowing.requests, flowing.need.counted, flowing.need.reads)
            self._add(conn, balances, entry, flowing.longest_ms, wall_ms)

    def _add(
        self, conn: sqlite3.Connection, balances: tuple[int, ...], entry: Entry, longest_ms: int, wall_ms: int
    ) -> None:
        self.unsure = True
        until_ms = entry.at_ms + longest_ms
        text = ",".join([str(each) for each in balances])
        added = conn.execute(_ADD, (entry.at_ms, until_ms, wall_ms, text, entry.requests, entry.counted, entry.reads))
        self._take(added.lastrowid or 0, balances, entry, until_ms)
        self._drop(conn, entry.at_ms)

    def _drop(self, conn: sqlite3.Connection, now_ms: int) -> None:
        """Take rows that nothing counts any more out of the file."""
        rows, last_gone = self._rows, 0
        while rows and rows[0][1] <= now_ms:
            last_gone = rows.popleft()[0]
            self._gone += 1
        if last_gone and self._gone >= DELETE_EVERY:
            conn.execute(_DELETE, (last_gone,))
            self._gone = 0


def read(
    conn: sqlite3.Connection, rated: Iterable[tuple[Scope, int | None]], flowing: Flowing, wall_ms: int
) -> tuple[Flow, ...]:
    """What each of these rates has counted now, only read. None: a rate that never counted anything."""
    flows = Flows(_offset_ms(conn, flowing, wall_ms, write=False))
    now_ms = flows.now(conn, flowing, wall_ms)
    return tuple(Flow() if at is None else flows.of(scope, at, flowing.need, now_ms) for scope, at in rated)


def _offset_ms(conn: sqlite3.Connection, flowing: Flowing, wall_ms: int, *, write: bool) -> int:
    """What to add to this boot's clock. The first to ask after a boot decides it for all."""
    known = conn.execute(_CLOCK).fetchone()
    last_ms, last_wall_ms = conn.execute(_LAST).fetchone()
    if known is not None:
        boot, offset_ms = known
        back = last_ms is not None and flowing.boot_ms + offset_ms < last_ms - _BACK_MS
        if boot == flowing.boot and not (back and not boot):
            return int(offset_ms)
    offset_ms = 0
    if last_ms is not None:
        off_ms = max(0, wall_ms - last_wall_ms) if flowing.boot else 0
        offset_ms = last_ms + off_ms - flowing.boot_ms
    if write:
        conn.execute(_SET_CLOCK, (flowing.boot, offset_ms))
    return int(offset_ms)
