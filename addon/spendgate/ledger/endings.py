"""How a call ends: settled, interrupted or failed, once; and the calls that end as they are written.

The end state, the charges, the released holds, the balances and the link of the chain share the caller's transaction.
What a call costs is posted in full to every balance it is charged to, also past the hold and past the limit.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final, NamedTuple

from spendgate.admission import Scope
from spendgate.ledger import balances, chain, rows
from spendgate.ledger.balances import Balance, Balances, Change
from spendgate.ledger.interface import CallRow, Settlement

OVERRUN: Final = "overrun"
"""Flag of a call that cost more than some hold of it."""

_END: Final = f"""UPDATE call_rows SET {", ".join(f"{name} = ?" for name in rows.SETTLED)}, account = coalesce(?, account)
    WHERE seq = ? AND state = 'open' RETURNING {chain.RETURNED}"""  # noqa: S608 - the ledger's own column names
_OPEN: Final = """SELECT seq, booked_ms, kind, balance, nanos, bound_nanos, mode, added, edge_ms
    FROM call_rows LEFT JOIN holds ON call = seq LEFT JOIN balances ON balances.id = balance
    WHERE call_rows.id = ? AND state = 'open'"""
_CHARGE: Final = "UPDATE holds SET charged_nanos = ? WHERE call = ? AND balance = ?"
_CHARGE_UNHELD: Final = """INSERT INTO holds (call, balance, slides_ms, mode, nanos, bound_nanos, charged_nanos)
    VALUES (?, ?, ?, ?, 0, 0, ?)"""
_KIND_ENDED: Final = "UPDATE kinds SET open_calls = open_calls - 1, settled = settled + ? WHERE kind = ?"
_REFUSE: Final = f"{rows.insert_sql((*rows.OPENED, *rows.REFUSED), once=True)} RETURNING {chain.RETURNED}"
RECORDED: Final = (
    "state", "gate", "booked_ms", "ended_ms", "http_status", "response_bytes", "duration_ms", "first_byte_ms", "flags",
)  # fmt: skip
RECORDED_STATES: Final = ("free", "unrecognized", "failed")
_RECORD: Final = f"{rows.insert_sql((*rows.OPENED, *RECORDED), once=True)} RETURNING {chain.RETURNED}"


class Held(NamedTuple):
    """One hold of an open call, with its balance's edge."""

    balance: int
    nanos: int
    bound_nanos: int
    mode: str
    added: int
    """1: filling added it for a policy that came into force while the call ran."""
    edge_ms: int | None


@dataclass(frozen=True, slots=True)
class OpenCall:
    """An open call and its holds."""

    seq: int
    booked_ms: int
    kind: str
    holds: tuple[Held, ...]


def find_open(conn: sqlite3.Connection, call_id: str) -> OpenCall | None:
    """The call with its holds; None when it is not open."""
    found = conn.execute(_OPEN, (call_id,)).fetchall()
    if not found:
        return None
    holds = tuple(Held._make(row[3:]) for row in found if row[3] is not None)
    return OpenCall(*found[0][:3], holds)


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
    ended = conn.execute(_END, (*rows.ended(end, flags), end.account, call.seq)).fetchone()
    conn.execute(_KIND_ENDED, (int(end.state == "settled"), call.kind))
    chain.link(conn, ended)


def _charge_unheld(conn: sqlite3.Connection, call: OpenCall, balance: Balance, scope: Scope, nanos: int) -> None:
    """Charge a budget that held nothing: the answering model fits it, the one asked for did not."""
    slides_ms = balance.slides_ms(call.booked_ms)
    conn.execute(_CHARGE_UNHELD, (call.seq, balance.id, slides_ms, scope.hold.value, nanos))
    if balance.counts(call.booked_ms):
        balances.move(conn, [Change(balance.id, settled=nanos)])


def refuse(conn: sqlite3.Connection, row: CallRow, figures: rows.Values) -> None:
    """Write a refused call; `figures` are `rows.refused`'s. A second time changes nothing."""
    _write_ended(conn, _REFUSE, (*rows.opened(row), *figures))


def record(conn: sqlite3.Connection, row: CallRow, ending: rows.Values) -> None:
    """Write a call that holds nothing; `ending` are the values of RECORDED. A second time changes nothing."""
    _write_ended(conn, _RECORD, (*rows.opened(row), *ending))


def _write_ended(conn: sqlite3.Connection, sql: str, values: rows.Values) -> None:
    ended = conn.execute(sql, values).fetchone()
    if ended is not None:
        chain.link(conn, ended)
