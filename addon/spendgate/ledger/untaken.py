"""What taking in would add, only read: of what bills have and no call, what balances of `counts: billed` budgets lack.

`uncaptured.take` writes these differences when a gate takes a policy up, or an import is counted; a reader who asks about a
candidate finds the same ones, and writes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from spendgate.ledger import uncaptured
from spendgate.ledger.balances import Key
from spendgate.ledger.counted import Counted
from spendgate.ledger.sums import Sums
from spendgate.ledger.unfilled import asked_for
from spendgate.standing import Scope
from spendgate.window import DAY_MS

_TAKEN: Final = """SELECT b.budget, b.value, b.window, b.words, b.length_ms, c.booked_ms, sum(c.nanos)
    FROM windows b JOIN billed_charges c ON c.balance = b.id
    WHERE b.budget = ? AND b.words = ? AND c.booked_ms >= ? GROUP BY b.id, c.booked_ms"""


@dataclass(frozen=True, slots=True)
class ByBill:
    """A policy's `counts: billed` budgets, and where in them such usage counts; as `uncaptured.take` has both."""

    budgets: tuple[Counted, ...]
    scopes_of: uncaptured.ScopesOf


def untaken(
    conn: sqlite3.Connection, found: dict[Key, Sums], asked: Iterable[Scope], by_bill: ByBill, now_ms: int, *,
    until_ms: int | None = None,
) -> None:  # fmt: skip
    """Add to `found` what taking in would change in the balances of these scopes' budgets. `until_ms`: of the days that were
    booked until then."""
    names = asked_for(asked)
    since = {pair: each.since_ms for each in by_bill.budgets if (pair := (each.budget, each.words)) in names}
    if not since:
        return

    def add(key: Key, booked_ms: int, nanos: int) -> None:
        past_edge = bool(key[-1]) and booked_ms <= now_ms - key[-1]
        if not past_edge and (until_ms is None or booked_ms <= until_ms):
            sums = found.setdefault(key, Sums())
            sums.settled += nanos
            sums.billed += nanos

    for each in uncaptured.wanted(uncaptured.in_force(conn, min(since.values()) - DAY_MS), since, by_bill.scopes_of):
        add(each.scope.balance, each.booked_ms, each.nanos)
    for (budget, words), since_ms in since.items():
        for *key, booked_ms, nanos in conn.execute(_TAKEN, (budget, words, since_ms)):
            add((key[0], key[1], key[2], key[3], key[4]), booked_ms, -nanos)
