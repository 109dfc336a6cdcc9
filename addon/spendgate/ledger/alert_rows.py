"""Alerts and messages, read: who was told what, and what is still to be delivered."""

from __future__ import annotations

import sqlite3
from typing import Any

from spendgate.ledger.selecting import rows


def alerts(conn: sqlite3.Connection, since_ms: int = 0) -> tuple[dict[str, Any], ...]:
    """Every alert made from then on, newest first, each with its `deliveries`."""
    found = rows(conn, "SELECT * FROM alerts WHERE made_ms >= ? ORDER BY id DESC", (since_ms,))
    sql = """SELECT deliveries.* FROM deliveries JOIN alerts ON alerts.id = alert WHERE made_ms >= ?
        ORDER BY alert, receiver"""
    deliveries: dict[int, list[dict[str, Any]]] = {}
    for row in rows(conn, sql, (since_ms,)):
        deliveries.setdefault(row["alert"], []).append(row)
    return tuple({**row, "deliveries": deliveries.get(row["id"], [])} for row in found)


def alert(conn: sqlite3.Connection, prefix: str, person: str | None = None) -> str:
    """The whole name of an alert by its beginning, of those about this person alone where one is named. Raises ValueError
    when none or several begin so."""
    begin = prefix.lower()
    found = conn.execute(
        "SELECT name FROM alerts WHERE name >= ? AND name < ? AND (? IS NULL OR person = ?) LIMIT 2",
        (begin, f"{begin}\U0010ffff", person, person),
    ).fetchall()
    if len(found) != 1:
        several = "several alerts begin" if found else "no alert begins"
        raise ValueError(f"{several} with {prefix!r}: `spendgate alerts list` has their ids")
    return str(found[0][0])


def messages(conn: sqlite3.Connection, form: str) -> dict[str, dict[str, Any]]:
    """The messages of this form (`ask`) by their window (the ask's id), each with `routed` and its `deliveries`."""
    found = {
        row["window"]: {**row, "deliveries": []}
        for row in rows(conn, "SELECT id, name, window, routed, made_ms FROM alerts WHERE form = ?", (form,))
    }
    sql = """SELECT deliveries.*, window FROM deliveries JOIN alerts ON alerts.id = alert WHERE form = ?
        ORDER BY alert, receiver"""
    for row in rows(conn, sql, (form,)):
        found[row["window"]]["deliveries"].append(row)
    return found


def unseen(conn: sqlite3.Connection, person: str, since_ms: int, limit: int) -> tuple[dict[str, Any], ...]:
    """The newest alerts about this person made since then that nobody has acknowledged."""
    sql = """SELECT name, made_ms, severity, text FROM alerts WHERE person = ? AND acked_ms IS NULL AND made_ms >= ?
        ORDER BY id DESC LIMIT ?"""
    return rows(conn, sql, (person, since_ms, limit))


def undelivered(conn: sqlite3.Connection) -> tuple[int, tuple[str, ...]]:
    """How many messages are still to be delivered or were given up unseen, and why the latest of them failed."""
    found = conn.execute(
        """SELECT receiver, error FROM deliveries JOIN alerts ON alerts.id = alert
           WHERE delivered_ms IS NULL AND (acked_ms IS NULL OR given_up_ms IS NULL) ORDER BY alert DESC"""
    ).fetchall()
    return len(found), tuple(dict.fromkeys(f"{receiver}: {error}" for receiver, error in found if error))
