"""Which calls may go: those of whole UTC days that are over for longer than is kept. Only reads.

What stays: open calls, and the newest row, since a row id must never be given twice.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from msgspec import Struct

from spendgate.ledger.purged_lines import Runs
from spendgate.window import DAY_MS

_RUNS_MAX: Final = 40
"""Runs of row ids in one audit line."""
_PURGEABLE: Final = "booked_ms < ? AND state <> 'open' AND seq < (SELECT max(seq) FROM call_rows)"
_OLDEST: Final = f"SELECT booked_ms FROM call_rows WHERE {_PURGEABLE} ORDER BY booked_ms LIMIT 1"  # noqa: S608 - our own words
_NEXT: Final = f"SELECT seq FROM call_rows WHERE booked_ms >= ? AND {_PURGEABLE} ORDER BY booked_ms, seq LIMIT ?"  # noqa: S608 - as above
_COUNT: Final = f"""SELECT count(*), min(booked_ms), max(booked_ms) FROM call_rows WHERE {_PURGEABLE}"""  # noqa: S608 - as above


class Plan(Struct, frozen=True):
    """What a purge at this moment would take."""

    before_ms: int
    """Calls booked before this, the beginning of a UTC day."""
    calls: int
    first_ms: int | None
    last_ms: int | None
    """When the first and the last of them were booked; None: there is none."""


class Going(Struct, frozen=True):
    """Calls of one day that go in one transaction."""

    day: str
    runs: Runs
    seqs: list[int]

    @property
    def rows(self) -> str:
        """Their row ids, as a JSON array."""
        return json.dumps(self.seqs)


def before(now_ms: int, keep_days: int) -> int:
    """Whole UTC days that ended more than `keep_days` ago may go: the beginning of the first that stays."""
    return (now_ms // DAY_MS - keep_days) * DAY_MS


def plan(conn: sqlite3.Connection, before_ms: int) -> Plan:
    """What would go. Only reads."""
    return Plan(before_ms, *conn.execute(_COUNT, (before_ms,)).fetchone())


def oldest(conn: sqlite3.Connection, before_ms: int, calls_max: int) -> Going | None:
    """The oldest calls of one day that may go, at most so many. None: there is none."""
    first = conn.execute(_OLDEST, (before_ms,)).fetchone()
    if first is None:
        return None
    day_ms = first[0] // DAY_MS * DAY_MS
    values = (first[0], min(before_ms, day_ms + DAY_MS), calls_max)
    runs = _runs(sorted(seq for (seq,) in conn.execute(_NEXT, values)))
    seqs = [seq for start, end in runs for seq in range(start, end + 1)]
    return Going(datetime.fromtimestamp(day_ms // 1000, UTC).strftime("%Y-%m-%d"), runs, seqs)


def _runs(seqs: list[int]) -> Runs:
    """Row ids as runs, at most as many as one audit line has room for."""
    if not seqs:
        return ()
    ends = [at for at, after in pairwise(seqs) if after != at + 1]
    starts = [after for at, after in pairwise(seqs) if after != at + 1]
    return tuple(zip([seqs[0], *starts], [*ends, seqs[-1]], strict=True))[:_RUNS_MAX]
