"""How a call ends: settled, interrupted or failed, once; and the calls that end as they are written.

The end state, the charges, the released holds, the balances and the link of the chain share the caller's transaction.
What a call costs is posted in full to every balance it is charged to, also past the hold and past the limit.
"""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from spendgate.admission import Scope
from spendgate.ledger import balances, chain, rows
from spendgate.ledger.balances import Balance, Balances, Change
from spendgate.ledger.interface import CallRow, Settlement

OVERRUN: Final = "overrun"
"""Flag of a call that cost more than some hold of it."""

_END: Final = f"""UPDATE call_rows SET {", ".join(f"{name} = ?" for name in rows.SETTLED)}, account = ?
    WHERE seq = ? AND state = 'open'"""  # noqa: S608 - the ledger's own column names
_OPEN: Final = f"""SELECT seq, kind, opening, {", ".join(rows.RUNNING)},
    balance, nanos, bound_nanos, mode, added, edge_ms
    FROM call_rows LEFT JOIN holds ON call = seq LEFT JOIN balances ON balances.id = balance
    WHERE call_rows.id = ? AND state = 'open'"""  # noqa: S608 - the ledger's own column names
_CALL_COLUMNS: Final = 3 + len(rows.RUNNING)
_CHARGE: Final = "UPDATE holds SET charged_nanos = ? WHERE call = ? AND balance = ?"
_CHARGE_UNHELD: Final = """INSERT INTO holds (call, balance, slides_ms, mode, nanos, bound_nanos, charged_nanos)
    VALUES (?, ?, ?, ?, 0, 0, ?)"""
_KIND_ENDED: Final = "UPDATE kinds SET open_calls = open_calls - 1, settled = settled + ? WHERE kind = ?"
_ENDED_AT_ONCE: Final = {
    form: rows.insert_sql((*rows.OPENED, "opening", "gate", *chain.FORMS[form]), once=True)
    for form in (chain.REFUSED, chain.RECORDED)
}
RECORDED_STATES: Final = ("free", "unrecognized", "failed")
"""What a call that held nothing may end as."""


class Held(NamedTuple):
    """One hold of an open call, with its balance's edge."""

    balance: int
    nanos: int
    bound_nanos: int
    mode: str
    added: int
    """1: filling added it for a policy that came into force while the call ran."""
    edge_ms: int | None


class OpenCall(NamedTuple):
    """An open call and its holds."""

    seq: int
    kind: str
    opening: bytes
    account: str | None
    booked_ms: int
    sent_ms: int | None
    held_nanos: int
    waited_ms: int
    would_refuse_by: str | None
    holds: tuple[Held, ...]

    def running(self, account: str | None) -> rows.Values:
        """The values of rows.RUNNING; the account is the answer's where it names one."""
        known = account or self.account
        return (known, self.booked_ms, self.sent_ms, self.held_nanos, self.waited_ms, self.would_refuse_by)


def find_open(conn: sqlite3.Connection, call_id: str) -> OpenCall | None:
    """The call with its holds; None when it is not open."""
    found = conn.execute(_OPEN, (call_id,)).fetchall()
    if not found:
        return None
    holds = tuple(Held._make(row[_CALL_COLUMNS:]) for row in found if row[_CALL_COLUMNS] is not None)
    return OpenCall._make((*found[0][:_CALL_COLUMNS], holds))


def settle(conn: sqlite3.Connection, finder: Balances, call_id: str, end: Settlement) -> bool:
    """End an open call. False when it is not open: nothing is changed then.

    A hold without a charge is released: the answering model does not fit that budget. One that filling added for a policy
    which the settling gate may not know yet is charged the call's cost.
    """
    call = find_open(conn, call_id)
    if call is None:
        return False
    scopes = [scope for scope, _ in end.charges]
    located = finder.locate(conn, scopes)
    charges = {balance.id: nanos for balance, (_, nanos) in zip(located, end.charges, strict=True)}
    held = [charges.get(hold.balance, end.cost_nanos if hold.added else 0) for hold in call.holds]
    charge_holds(conn, call, held)
    unheld = charges.keys() - {hold.balance for hold in call.holds}
    for balance, (scope, nanos) in zip(located, end.charges, strict=True):
        if balance.id in unheld:
            _charge_unheld(conn, call, balance, scope, nanos)
    over = any(nanos > hold.nanos for nanos, hold in zip(held, call.holds, strict=True))
    finish(conn, call, end, (*end.flags, OVERRUN) if over else end.flags)
    return True


def charge_holds(conn: sqlite3.Connection, call: OpenCall, charges: list[int]) -> None:
    """Turn each hold of an open call into the charge at its place."""
    paired = list(zip(call.holds, charges, strict=True))
    conn.executemany(_CHARGE, [(nanos, call.seq, hold.balance) for hold, nanos in paired])
    balances.move(
        conn,
        [
            Change(hold.balance, nanos, -hold.nanos, -hold.bound_nanos, -1)
            for hold, nanos in paired
            if hold.edge_ms is None or call.booked_ms > hold.edge_ms
        ],
    )


def finish(conn: sqlite3.Connection, call: OpenCall, end: Settlement, flags: tuple[str, ...]) -> None:
    """Write the end state of an open call whose holds have been charged, and chain it."""
    ending, running = rows.ended(end, flags), call.running(end.account)
    conn.execute(_END, (*ending, running[0], call.seq))
    conn.execute(_KIND_ENDED, (int(end.state == "settled"), call.kind))
    chain.link(conn, call.seq, chain.SETTLED, call.opening, (*ending, *running))


def _charge_unheld(conn: sqlite3.Connection, call: OpenCall, balance: Balance, scope: Scope, nanos: int) -> None:
    """Charge a budget that held nothing: the answering model fits it, the one asked for did not."""
    slides_ms = balance.slides_ms(call.booked_ms)
    conn.execute(_CHARGE_UNHELD, (call.seq, balance.id, slides_ms, scope.hold.value, nanos))
    if balance.counts(call.booked_ms):
        balances.move(conn, [Change(balance.id, settled=nanos)])


def write_ended(conn: sqlite3.Connection, form: int, row: CallRow, gate: int, ending: rows.Values) -> None:
    """Write a call that ends as it is written: `ending` are the values of `chain.FORMS[form]` but the account.

    A second time changes nothing.
    """
    first, last = rows.opened(row), (*ending, row.account)
    opening = chain.opening(first)
    written = conn.execute(_ENDED_AT_ONCE[form], (*first, opening, gate, *last))
    if written.rowcount and written.lastrowid is not None:
        chain.link(conn, written.lastrowid, form, opening, last)
