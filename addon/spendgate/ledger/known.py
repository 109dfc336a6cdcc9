"""What a gate knows of the ledger's file between its own transactions, so that it need not read what it has just written.

Everything here is as the file was at this connection's last transaction, and so is true until another connection commits.
SQLite tells of that (`PRAGMA data_version` is then another number, sqlite.org/pragma.html); `look` asks at the start of
every transaction, under the write lock, and forgets everything where it has changed. So does a transaction that fails. A
gate that is alone never reads again; of several, each reads what it needs after another has written, as if it knew nothing.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from spendgate.adaptive import Settled
from spendgate.ledger.balances import Balances
from spendgate.ledger.flows import Flows
from spendgate.ledger.open_calls import OpenCall, find

_MOST: Final = 4096
"""Balances (sessions, projects, kinds), open calls and limits; with more at the start of a transaction the memory begins anew."""


class Known:
    """One connection, and what it knows. Touched only inside its transactions."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn
        self.cursor = conn.cursor()
        """For statements that give one row or none. The driver's `conn.execute` makes a cursor for each, half a microsecond."""
        self.run = self.cursor.execute
        """Run such a statement; whatever it gave is gone with the next one."""
        self.balances = Balances()
        self.flows = Flows()
        self.calls: dict[str, OpenCall] = {}
        self.means: dict[tuple[str, str, str, str], Settled] = {}
        """What means rest on, by budget, words, value and day."""
        self.claims: dict[tuple[str, str, str], tuple[str, int] | None] = {}
        """Windows of exceptions that hold once, by exception, words and value; None: it has none."""
        self.link: tuple[int, bytes] | None = None
        """Position and head of the chain's last link; None: not known."""
        self.nobody_waits = False
        """True: no call waits at any gate. False: not known."""
        self._version = -1

    def look(self) -> None:
        """Forget everything if another connection has committed since the last look. Inside a transaction."""
        version = self.run("PRAGMA data_version").fetchone()[0]
        kept = len(self.calls) + len(self.balances.by_id) + len(self.means) + len(self.claims)
        if version != self._version or kept > _MOST:
            self.forget()
            self._version = version

    def forget(self) -> None:
        """Know nothing."""
        self.balances.clear()
        self.calls.clear()
        self.means.clear()
        self.claims.clear()
        self.link, self.nobody_waits = None, False
        self.flows.behind = True

    def failed(self) -> None:
        """Know nothing, after a transaction that was rolled back."""
        self.forget()
        if self.flows.unsure:
            self.flows = Flows()

    def call(self, call_id: str) -> OpenCall | None:
        """An open call; None when it is not open."""
        known = self.calls.get(call_id)
        if known is None:
            known = find(self.conn, call_id)
            if known is not None:
                self.calls[call_id] = known
        return known
