"""Balances, read: what budgets, rates and exceptions have, as a gate would see them. Nothing is written."""

from __future__ import annotations

import sqlite3

from msgspec.structs import replace

from spendgate.ledger import flows, moving, uncaptured
from spendgate.ledger.balances import READ_BY_KEY, Balance
from spendgate.ledger.interface import Flowing
from spendgate.ledger.kept import Kept
from spendgate.standing import Scope, Standing


def standings(kept: Kept, scopes: tuple[Scope, ...]) -> tuple[Standing, ...]:
    """Each scope's balance; zero where nothing was ever held."""
    found = []
    for scope in scopes:
        balance = kept.balance(scope.balance)
        made = Standing(scope, 0, 0, 0, 0, 0) if balance is None else balance.standing(scope, 0)
        billed = _billed(kept, scope, balance) if scope.by_bill and balance is not None else 0
        limit = moving.read_limit(kept, scope) if scope.moves else None
        found.append(replace(made, limit=limit, billed_nanos=billed))
    return tuple(found)


def _billed(kept: Kept, scope: Scope, balance: Balance) -> int:
    taken = uncaptured.part(kept.conn, balance.id, balance.edge_ms, kept.until_ms)
    return taken + kept.untaken(scope.balance)


def billed_by(conn: sqlite3.Connection, standing: Standing) -> tuple[str, ...]:
    """Which imports say that a part of the standing was billed and not captured."""
    found = conn.execute(READ_BY_KEY, standing.scope.balance).fetchone() if standing.billed_nanos else None
    return () if found is None else uncaptured.imports_of(conn, Balance(*found).id, Balance(*found).edge_ms)


def rates(conn: sqlite3.Connection, scopes: tuple[Scope, ...], flowing: Flowing, now_ms: int) -> tuple[Standing, ...]:
    """Each rate with what it has counted and how many of its calls are open, at `flowing.boot_ms`."""
    found = [_standing_at(conn, scope) for scope in scopes]
    counted = flows.read(conn, [(scope, at) for scope, (at, _) in zip(scopes, found, strict=True)], flowing, now_ms)
    return tuple(replace(each, flow=flow) for (_, each), flow in zip(found, counted, strict=True))


def _standing_at(conn: sqlite3.Connection, scope: Scope) -> tuple[int | None, Standing]:
    """The balance of a window that does not slide, and its number; None: nothing was ever held in it."""
    key = scope.balance
    found = conn.execute(READ_BY_KEY, key).fetchone()
    if found is None:
        return None, Standing(scope, 0, 0, 0, 0, 0)
    balance = Balance(*found)
    return balance.id, balance.standing(scope, 0)


def running(conn: sqlite3.Connection, budget: str, now_ms: int) -> tuple[tuple[str, str, str], ...]:
    """Value, window and words of each balance of this budget whose calendar window runs and has something in it; the most
    spent first."""
    found = conn.execute(
        """SELECT value, window, words FROM balances WHERE budget = ? AND starts_ms <= ? AND ends_ms > ?
           AND settled > 0 ORDER BY settled DESC""",
        (budget, now_ms, now_ms),
    )
    return tuple(found.fetchall())


def tallied(conn: sqlite3.Connection, name: str, words: str) -> tuple[int, ...]:
    """What each balance of this name has settled: of an exception what was spent under it, in each window."""
    found = conn.execute("SELECT settled FROM balances WHERE budget = ? AND words = ?", (name, words))
    return tuple(row[0] for row in found)
