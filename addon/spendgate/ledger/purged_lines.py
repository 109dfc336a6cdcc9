"""What the audit trail says was purged, and whether the sums that are there are what it says."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from spendgate.audit_words import AuditWord
from spendgate.ledger import day_sums
from spendgate.ledger.purge import Purged

_LINES: Final = "SELECT position, at_ms, detail FROM audit WHERE what = ? ORDER BY position"
_SUMMED: Final = "SELECT day, sum(calls + refused + other_rows) FROM day_sums GROUP BY day"


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong with a day, and the audit line that shows it."""

    fault: str
    number: int | None = None
    at_ms: int | None = None
    what: str = ""


class PurgedCalls:
    """All lines of purges. Asks nothing again once it was read."""

    def __init__(self, lines: list[tuple[int, int, Purged | None]]) -> None:
        self._lines = lines
        runs = sorted(run for _, _, said in lines if said is not None for run in said.runs)
        self._firsts = [first for first, _ in runs]
        self._lasts = [last for _, last in runs]

    def __contains__(self, call: int) -> bool:
        """Whether the row of this id was purged."""
        at = bisect_right(self._firsts, call) - 1
        return at >= 0 and call <= self._lasts[at]

    @property
    def calls(self) -> int:
        """How many were."""
        return sum(said.calls for _, _, said in self._lines if said is not None)

    def faults(self, conn: sqlite3.Connection) -> Iterator[LineFault]:
        """Lines that are none of a purge's, and days whose sums are other ones than the last line of the day says."""
        last: dict[str, tuple[int, int, Purged]] = {}
        calls: dict[str, int] = {}
        for position, at_ms, said in self._lines:
            if said is None or sum(to - first + 1 for first, to in said.runs) != said.calls:
                yield LineFault("is no line that a purge writes", position, at_ms, AuditWord.PURGED)
                continue
            if _end_ms(said.day, said.keep_days) > at_ms:
                why = f"says that calls of {said.day} were purged before they were {said.keep_days} days old"
                yield LineFault(why, position, at_ms, AuditWord.PURGED)
            last[said.day] = position, at_ms, said
            calls[said.day] = calls.get(said.day, 0) + said.calls
        there = dict(conn.execute(_SUMMED))
        for day, (position, at_ms, said) in last.items():
            if day_sums.digest(conn, day) != said.digest or there.get(day, 0) != calls[day]:
                yield LineFault(
                    f"the sums of {day} are not what was written when its calls were purged", position, at_ms
                )
        for day in sorted(there.keys() - last.keys()):
            yield LineFault(f"there are sums of {day}, of which no audit line says that it was purged")


def _end_ms(day: str, keep_days: int) -> int:
    """When the last call of the day was so old."""
    end = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1 + keep_days)
    return int(end.timestamp()) * 1000


def read(conn: sqlite3.Connection) -> PurgedCalls:
    """Read the lines, inside the caller's transaction."""
    found = conn.execute(_LINES, (AuditWord.PURGED.value,))
    return PurgedCalls([(position, at_ms, Purged.parse(detail)) for position, at_ms, detail in found])
