"""Calibrations of estimates: each a version of its own, never an edit. Of a tool and model the newest row is in force."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from spendgate.audit_words import AuditWord
from spendgate.calibration import ONE_PPM, Factor, Factors
from spendgate.ledger import audit_log

_COLUMNS: Final = (
    "name", "at_ms", "tool", "model", "factor_ppm", "before_ppm", "after_ppm", "user_days", "calls", "from_ms", "until_ms",
    "imports", "who",
)  # fmt: skip
_ADD: Final = f"INSERT INTO calibrations ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - our own words
_ALL: Final = f"SELECT {', '.join(_COLUMNS)} FROM calibrations ORDER BY seq"  # noqa: S608 - as above
_NAME_BYTES: Final = 4


class Calibration(Struct, frozen=True):
    """One factor as it was learned, with what it rests on. Ratios in millionths."""

    tool: str
    model: str
    factor_ppm: int
    before_ppm: int | None
    """How far the estimates were off without it, over all that was billed; None: nothing was learned, it was taken back."""
    after_ppm: int | None
    """How far they are with it, on days that it was not learned from."""
    user_days: int
    calls: int
    from_ms: int
    until_ms: int
    imports: tuple[str, ...]
    name: str = ""
    at_ms: int = 0
    who: str = ""

    @property
    def told(self) -> str:
        """For the audit trail."""
        what = f"{self.name}: {self.tool}, {self.model}: x{self.factor_ppm / ONE_PPM:.3f}"
        if self.before_ppm is None or self.after_ppm is None:
            return f"{what}, taken back"
        off = f"off by {self.before_ppm / 10_000:.1f}% before, {self.after_ppm / 10_000:.1f}% after"
        return f"{what}, {off}; {self.user_days} user-days, {self.calls} calls, imports {', '.join(self.imports)}"


def add(conn: sqlite3.Connection, learned: Sequence[Calibration], who: str, now_ms: int) -> tuple[Calibration, ...]:
    """Write them as one calibration, in force from here on, each with its audit line. Inside a transaction."""
    name = secrets.token_hex(_NAME_BYTES)
    made = tuple(msgspec.structs.replace(each, name=name, at_ms=now_ms, who=who) for each in learned)
    for each in made:
        values = [getattr(each, column) for column in _COLUMNS]
        values[_COLUMNS.index("imports")] = ",".join(each.imports)
        conn.execute(_ADD, values)
        audit_log.append(conn, audit_log.Line(now_ms, AuditWord.CALIBRATED, each.told, who))
    return made


def every(conn: sqlite3.Connection) -> tuple[Calibration, ...]:
    """All of them, oldest first."""
    found = []
    for row in conn.execute(_ALL):
        values = dict(zip(_COLUMNS, row, strict=True))
        values["imports"] = tuple(values["imports"].split(",")) if values["imports"] else ()
        found.append(Calibration(**values))
    return tuple(found)


def latest(conn: sqlite3.Connection) -> int:
    """What changes when one is written."""
    return int(conn.execute("SELECT coalesce(max(seq), 0) FROM calibrations").fetchone()[0])


def factors(conn: sqlite3.Connection) -> Factors:
    """Those in force."""
    return Factors(Factor(each.tool, each.model, each.factor_ppm, each.name) for each in every(conn))
