"""Balances as a reader finds them at one moment: those in the file, and what is still to be counted. Nothing is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import replace

from spendgate.ledger.balances import READ_BY_KEY, Balance, Key, at_edge, passed
from spendgate.ledger.sums import Sums


class Kept:
    """Balances as a decision at one moment finds them, with what filling would add to them."""

    def __init__(
        self, conn: sqlite3.Connection, now_ms: int, unfilled: Mapping[Key, Sums] | None = None, *,
        until_ms: int | None = None,
    ) -> None:  # fmt: skip
        """`until_ms`: without the calls that were booked later."""
        self.conn, self.now_ms, self.until_ms = conn, now_ms, until_ms
        self._unfilled = unfilled or {}

    def untaken(self, key: Key) -> int:
        """How much of a balance, as it is given here, is billed and not captured, and still to be taken in."""
        more = self._unfilled.get(key)
        return 0 if more is None else more.billed

    def balance(self, key: Key) -> Balance | None:
        """None: nothing was ever held in it, or would be."""
        row, more = self.conn.execute(READ_BY_KEY, key).fetchone(), self._unfilled.get(key)
        length_ms = key[-1]
        if row is None and more is None:
            return None
        found = Balance(*row) if row is not None else Balance(0, *key, None, 0, 0, 0, 0, 0)
        if row is not None and length_ms:
            found = at_edge(self.conn, found, self.now_ms - length_ms)
        if row is not None and self.until_ms is not None:
            settled, held, ceiling, opened = passed(self.conn, found.id, self.until_ms)
            found = _plus(found, Sums(-settled, -held, -ceiling, -opened))
        return found if more is None else _plus(found, more)


def _plus(found: Balance, more: Sums) -> Balance:
    return replace(
        found,
        settled=found.settled + more.settled,
        held=found.held + more.held,
        ceiling=found.ceiling + more.ceiling,
        open_calls=found.open_calls + more.open_calls,
    )
