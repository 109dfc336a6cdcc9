"""How a call ends: settled, interrupted or failed, once; and the calls that end as they are written.

The end state, the charges, the released holds, the balances and the link of the chain share the caller's transaction.
What a call costs is posted in full to every balance it is charged to, also past the hold and past the limit.
"""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from spendgate.admission import Scope
from spendgate.ledger import balances, chain, rows
from spendgate.ledger.balances import Balance
from spendgate.ledger.interface import CallRow, Settlement

OVERRUN: Final = "overrun"
"""Flag of a call that cost more than some hold of it."""

_END: Final = f"""UPDATE call_rows SET {", ".join(f"{name} = ?" for name in rows.SETTLED)}, account = coalesce(?, account)
    WHERE seq = ? AND state = 'open' RETURNING {chain.RETURNED}"""  # noqa: S608 - the ledger's own column names
_HELD: Final = """SELECT balance, nanos, bound_nanos, mode, added, edge_ms FROM holds JOIN balances ON id = balance
    WHERE call = ?"""
_CHARGE: Final = "UPDATE holds SET charged_nanos = ? WHERE call = ? AND balance = ?"
_CHARGE_UNHELD: Final = """INSERT INTO holds (call, balance, slides_ms, mode, nanos, bound_nanos, charged_nanos)
    VALUES (?, ?, ?, ?, 0, 0, ?)"""
_KIND_ENDED: Final = "UPDATE kinds SET open_calls = open_calls - 1, settled = settled + ? WHERE kind = ?"
_REFUSE: Final = f"{rows.insert_sql((*rows.OPENED, *rows.REFUSED), once=True)} RETURNING {chain.RETURNED}"
RECORDED: Final = (
    "state", "gate", "ended_ms", "http_status", "response_bytes", "duration_ms", "first_byte_ms", "flags",
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


def settle(conn: sqlite3.Connection, call_id: str, end: Settlement) -> bool:
    """End an open call. False when it is not open: nothing is changed then."""
    found = conn.execute(
        "SELECT seq, booked_ms, kind FROM call_rows WHERE id = ? AND state = 'open'", (call_id,)
    ).fetchone()
    if found is None:
        return False
    seq, booked_ms, kind = found
    charges = {balance.id: (scope, balance, nanos) for scope, balance, nanos in _located(conn, end.charges)}
    over = _release(conn, seq, booked_ms, charges, end.cost_nanos)
    for scope, balance, nanos in charges.values():
        _charge_unheld(conn, seq, booked_ms, scope, balance, nanos)
    finish(conn, seq, kind, end, (*end.flags, OVERRUN) if over else end.flags)
    return True


def finish(conn: sqlite3.Connection, seq: int, kind: str, end: Settlement, flags: tuple[str, ...]) -> None:
    """Write the end state of an open call whose holds have been charged, and chain it."""
    ended = conn.execute(_END, (*rows.ended(end, flags), end.account, seq)).fetchone()
    conn.execute(_KIND_ENDED, (int(end.state == "settled"), kind))
    chain.link(conn, ended)


def charge_held(conn: sqlite3.Connection, seq: int, booked_ms: int, held: Held, nanos: int) -> None:
    """Turn one hold into a charge."""
    conn.execute(_CHARGE, (nanos, seq, held.balance))
    if held.edge_ms is None or booked_ms > held.edge_ms:
        balances.move(conn, held.balance, nanos, -held.nanos, -held.bound_nanos, -1)


def holds_of(conn: sqlite3.Connection, seq: int) -> list[Held]:
    """The holds of an open call."""
    return [Held._make(found) for found in conn.execute(_HELD, (seq,))]


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


def _located(conn: sqlite3.Connection, charges: tuple[tuple[Scope, int], ...]) -> list[tuple[Scope, Balance, int]]:
    return [(scope, balances.locate(conn, scope), nanos) for scope, nanos in charges]


def _release(
    conn: sqlite3.Connection, seq: int, booked_ms: int, charges: dict[int, tuple[Scope, Balance, int]], cost_nanos: int
) -> bool:
    """Turn every hold into its charge, and take it out of `charges`; whether some charge was more than its hold.

    A hold without a charge is released: the answering model does not fit that budget. One that filling added for a policy
    which the settling gate may not know yet is charged the call's cost.
    """
    over = False
    for held in holds_of(conn, seq):
        _, _, nanos = charges.pop(held.balance, (None, None, cost_nanos if held.added else 0))
        charge_held(conn, seq, booked_ms, held, nanos)
        over = over or nanos > held.nanos
    return over


def _charge_unheld(
    conn: sqlite3.Connection, seq: int, booked_ms: int, scope: Scope, balance: Balance, nanos: int
) -> None:
    """Charge a budget that held nothing: the answering model fits it, the one asked for did not."""
    slides_ms = booked_ms if balance.edge_ms is not None else None
    conn.execute(_CHARGE_UNHELD, (seq, balance.id, slides_ms, scope.hold.value, nanos))
    if balance.counts(booked_ms):
        balances.move(conn, balance.id, nanos, 0, 0, 0)
