"""What the audit trail says was purged: how a purge says it, and whether the sums that are there are what it said."""

from __future__ import annotations

import re
import sqlite3
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from spendgate.audit_words import AuditWord
from spendgate.ledger import day_sums
from spendgate.money import dollars

_LINES: Final = "SELECT position, at_ms, detail FROM audit WHERE what = ? ORDER BY position"
_SUMMED: Final = "SELECT day, sum(calls + refused + other_rows) FROM day_sums GROUP BY day"

Runs = tuple[tuple[int, int], ...]
"""Row ids from … to …, both included."""

_FORM: Final = re.compile(
    r"([\d,]+) calls of (\d{4}-\d\d-\d\d), kept for (\d+) days: rows ([\d, -]+); \S+ spent, \S+ at list price;"
    r" sums of the day sha256 ([0-9a-f]{64})",
    re.ASCII,
)


class Purged(Struct, frozen=True):
    """One audit line of a purge, as its detail has it."""

    day: str
    calls: int
    keep_days: int
    runs: Runs
    digest: str

    @classmethod
    def parse(cls, detail: str) -> Purged | None:
        """Read a detail back; None where it is none."""
        found = _FORM.fullmatch(detail)
        if found is None:
            return None
        runs = []
        for run in found[4].split(", "):
            first, _, last = run.partition("-")
            runs.append((int(first), int(last or first)))
        return cls(found[2], int(found[1].replace(",", "")), int(found[3]), tuple(runs), found[5])

    def detail(self, cells: list[day_sums.Cell]) -> str:
        """The line's detail, of calls that add up to these cells."""
        cost, value = (_sum(cells, name) for name in ("cost_nanos", "value_nanos"))
        runs = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in self.runs)
        return (
            f"{self.calls:,} calls of {self.day}, kept for {self.keep_days} days: rows {runs}; {dollars(cost)} spent,"
            f" {dollars(value)} at list price; sums of the day sha256 {self.digest}"
        )


def _sum(cells: list[day_sums.Cell], name: str) -> int:
    at = len(day_sums.KEY) + day_sums.COUNTED.index(name)
    return sum(int(cell[at]) for cell in cells)


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
