"""What a live case came to, told by the stand-in's own log and by the ledger, whatever any gate or client says."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from parts.alone import Span, excess
from parts.overshoot_cases import INPUT_NANOS, OUTPUT_NANOS

EVENTS = 40
EVENTS_BEFORE = 3
"""Of a stream of Messages, before its text: `message_start`, `content_block_start`, `ping`."""


def served(log: Path) -> list[int]:
    """What a provider bills for each call, by the stand-in's own log, whatever any gate or client says."""
    lines = (json.loads(line) for line in log.read_text().splitlines())
    return [_billed(row) for row in lines if row["billable"] and row["status"] == 200]


def _billed(row: dict[str, Any]) -> int:
    """All of an answer that ended; of a stream that was broken off the input, and the output that had been handed out."""
    usage = row["usage"]
    output = usage["output_tokens"]
    if not row["complete"] and row["writes"]:
        output = output * min(EVENTS, max(0, row["writes"] - EVENTS_BEFORE)) // EVENTS
    return int(usage["input_tokens"] * INPUT_NANOS + output * OUTPUT_NANOS)


def went_alone(ledger: Path, limit: int) -> int:
    """What the call that went alone may have passed the budget by, from the ledger's own times and charges."""
    with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        rows = db.execute(
            "SELECT booked_at, ended_at, cost_nanos FROM calls WHERE state IN ('settled', 'interrupted') ORDER BY id"
        )
        return excess((Span(*row) for row in rows), limit)


def refusals_unproven(ledger: Path) -> int:
    """Refused rows whose own figures do not satisfy the inequality of their kind."""
    with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        rows = db.execute(
            "SELECT refused_why, refused_settled_nanos, refused_held_nanos, refused_hold_nanos, refused_limit_nanos "
            "FROM calls WHERE state = 'refused'"
        ).fetchall()
    proven: dict[str, Callable[[int, int, int, int], bool]] = {
        "spent": lambda settled, _held, hold, limit: settled + hold > limit,
        "held": lambda settled, held, hold, limit: settled + held + hold > limit,
    }
    return sum(why not in proven or not proven[why](*figures) for why, *figures in rows)
