"""Calls as people see them: rows of the view `calls`, and what one call holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spendgate.ledger.selecting import EVERY_CALL, Span, rows, where


@dataclass(frozen=True, slots=True)
class CallHold:
    """What one call holds in one balance, or held there when it ended, and what was charged."""

    budget: str
    value: str
    window: str
    mode: str
    nanos: int
    charged_nanos: int | None


def calls(conn: sqlite3.Connection, span: Span, limit: int | None = None) -> tuple[dict[str, Any], ...]:
    """Rows of the view `calls`, newest first."""
    condition, values = where(span)
    inner = f"SELECT id FROM call_rows {condition} ORDER BY booked_ms DESC, seq DESC LIMIT ?"  # noqa: S608 - checked words
    sql = f"SELECT calls.* FROM ({inner}) JOIN calls USING (id)"  # noqa: S608 - as above
    return rows(conn, sql, (*values, -1 if limit is None else limit))


def each_call(conn: sqlite3.Connection, span: Span) -> Iterator[dict[str, Any]]:
    """The same rows, oldest first, read one by one."""
    condition, values = where(span)
    cursor = conn.execute(f"SELECT id FROM call_rows {condition} ORDER BY booked_ms, seq", values)  # noqa: S608
    one = conn.cursor()
    for (call,) in cursor:
        found = one.execute("SELECT * FROM calls WHERE id = ?", (call,)).fetchone()
        yield dict(zip((column[0] for column in one.description), found, strict=True))


def columns(conn: sqlite3.Connection) -> tuple[str, ...]:
    """The columns of the view `calls`, in its order."""
    return tuple(column[0] for column in conn.execute("SELECT * FROM calls LIMIT 0").description)


def call(conn: sqlite3.Connection, prefix: str, span: Span = EVERY_CALL) -> tuple[dict[str, Any], tuple[CallHold, ...]]:
    """One call of this span by the beginning of its id, and its holds. Raises ValueError when none or several begin so.

    Ids are lower case, so a prefix in capitals is found, too.
    """
    begin = prefix.lower()
    clause, values = where(span, "id >= ? AND id < ?")
    inner = f"SELECT id FROM call_rows {clause} LIMIT 2"  # noqa: S608 - checked words
    sql = f"SELECT calls.* FROM ({inner}) JOIN calls USING (id)"  # noqa: S608 - as above
    found = rows(conn, sql, (*values, begin, f"{begin}\U0010ffff"))
    if len(found) > 1:
        raise ValueError(f"several calls begin with {prefix!r}: give more characters of the id")
    if not found:
        raise ValueError(f"no call begins with {prefix!r}")
    holds = conn.execute(
        """SELECT budget, value, window, mode, nanos, charged_nanos FROM holds JOIN balances ON balances.id = balance
           WHERE call = (SELECT seq FROM call_rows WHERE id = ?) AND mode <> 'rate' ORDER BY balance""",
        (found[0]["id"],),
    )
    return found[0], tuple(CallHold(*hold) for hold in holds)


def latest_refusal(
    conn: sqlite3.Connection, person: str, budget: str | None, account: str | None = None
) -> dict[str, Any] | None:
    """The newest call of this person's that a budget has refused: the one named, or any; of this account, where one is
    named. A row of `calls`."""
    named, values = (" AND refused_by = ?", (person, budget)) if budget else ("", (person,))
    if account is not None:
        named, values = f"{named} AND account_os = ?", (*values, account)
    where = f"state = 'refused' AND refused_why IN ('spent', 'held') AND person = ?{named}"
    inner = f"SELECT id FROM call_rows WHERE {where} ORDER BY booked_ms DESC, seq DESC LIMIT 1"  # noqa: S608 - our own words
    sql = f"SELECT calls.* FROM ({inner}) JOIN calls USING (id)"  # noqa: S608 - as above
    return next(iter(rows(conn, sql, values)), None)
