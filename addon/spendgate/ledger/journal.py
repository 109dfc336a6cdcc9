"""What the ledger counts beside calls: connections to providers that could not be read."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unread:
    """Connections to a provider that reached the gate and could not be read. `reason` is a fixed word."""

    account: str
    tool: str
    host: str
    reason: str


def uncovered(conn: sqlite3.Connection, what: Unread, count: int, at_ms: int) -> None:
    """Count such connections."""
    conn.execute(
        """INSERT INTO coverage (account, tool, host, reason, count, first_ms, last_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (account, tool, host, reason) DO UPDATE SET count = count + excluded.count,
           last_ms = max(last_ms, excluded.last_ms)""",
        (what.account, what.tool, what.host, what.reason, count, at_ms, at_ms),
    )
