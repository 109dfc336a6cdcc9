"""The hold: standings read, decision taken and its outcome written in one transaction, so that no money falls between."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from spendgate.admission import Admit, Decision, Scope, Wait
from spendgate.ledger import balances, holds, waiters
from spendgate.ledger.balances import Balance
from spendgate.ledger.holds import Booking
from spendgate.ledger.interface import CallRow, Decide


@dataclass(frozen=True, slots=True)
class Asking:
    """One call that wants to leave, and who decides it."""

    row: CallRow
    scopes: tuple[Scope, ...]
    decide: Decide
    booking: Booking
    is_dead: Callable[[sqlite3.Connection, int], bool]
    """Whether another gate has died, asked only when its waiters stand in line."""


def hold(conn: sqlite3.Connection, asking: Asking) -> Decision:
    """Decide the call and write the outcome: an open call, a place in line, or neither."""
    booking, call_id = asking.booking, asking.row.id
    located = {scope: balances.locate_at(conn, scope, booking.now_ms) for scope in asking.scopes}
    place = waiters.place_of(conn, call_id)
    if place != waiters.NOBODY_WAITS:
        waiters.drop_dead(conn, booking.gate, lambda gate: asking.is_dead(conn, gate))
    standings = tuple(
        balance.standing(scope, _ahead(conn, balance, place, booking.now_ms)) for scope, balance in located.items()
    )
    decision = asking.decide(standings, holds.kind_standing(conn, asking.row.kind))
    if isinstance(decision, Wait):
        _stand(conn, asking, decision, place, located)
        return decision
    if place is not None and place != waiters.NOBODY_WAITS:
        waiters.leave(conn, call_id)
    if isinstance(decision, Admit):
        holds.open_call(conn, asking.row, decision, located, booking)
    return decision


def _ahead(conn: sqlite3.Connection, balance: Balance, place: int | None, now_ms: int) -> int:
    return 0 if place == waiters.NOBODY_WAITS else waiters.ahead(conn, balance.id, place, now_ms)


def _stand(
    conn: sqlite3.Connection, asking: Asking, wait: Wait, place: int | None, located: dict[Scope, Balance]
) -> None:
    lines = [located[scope].id for scope in (wait.scope, *wait.also)]
    until_ms = asking.booking.now_ms + wait.wait_ms + waiters.GRACE_MS
    waiters.stand(conn, asking.row.id, place, lines, asking.booking.gate, until_ms)
