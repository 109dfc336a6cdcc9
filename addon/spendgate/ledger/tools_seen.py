"""Which tools the calls of a ledger came from, under which account, and when each was last seen."""

from __future__ import annotations

import sqlite3
from typing import Final

from msgspec import Struct

from spendgate.ledger.results import CORRECTS
from spendgate.ledger.selecting import EVERY_CALL, Span, where

_SEEN: Final = (
    "SELECT coalesce(tool, ''), count(*), max(started_ms), coalesce(account_os, ''), "
    "sum(state = 'unrecognized') FROM call_rows"
)
_CALLS: Final = ("state <> 'free'", f"instr(flags, '{CORRECTS}') = 0")
"""What is free costs nothing to go around with, and a correction is no call."""


class ToolSeen(Struct, frozen=True):
    """One tool's calls under one account."""

    tool: str
    """Empty: the calls do not tell."""
    calls: int
    last_ms: int
    account: str = ""
    """Empty: not known."""
    unrecognized: int = 0
    """How many of the calls nobody could read beyond their head: they may have cost money, and have no cost."""


def tools_seen(conn: sqlite3.Connection, span: Span = EVERY_CALL) -> tuple[ToolSeen, ...]:
    """By tool and account, the one that was seen last first. Without calls that are sums by day."""
    clause, values = where(span, *_CALLS)
    found = conn.execute(f"{_SEEN} {clause} GROUP BY 1, 4 ORDER BY 3 DESC", values)
    return tuple(ToolSeen(*row) for row in found)
