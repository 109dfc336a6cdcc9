"""Sums by day of calls that were purged: what stays of a call once `privacy.keep` is over.

A row is a UTC day (bills are by UTC days) of one person, team, tool, provider, model and kind of billing, with every class of
tokens: what a bill is compared with. No session, project, process, machine, key or account. Rows only grow, in the transaction
that purges their calls, whose audit line has the digest of the whole day (`digest`), so that a sum that was edited is found.
"""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from spendgate.ledger import chain, rows
from spendgate.ledger.interface import CallRow
from spendgate.ledger.results import CORRECTS
from spendgate.ledger.rows import PastCall
from spendgate.usage import Usage
from spendgate.window import DAY_MS

KEY: Final = ("day", "person", "team", "tool", "provider", "model", "billing")
"""What a sum is of; empty where its calls had none."""
AMOUNTS: Final = ("calls", "refused", "other_rows", "cost_nanos", "value_nanos", "not_reported_nanos")
COUNTED: Final = (*AMOUNTS, *rows.USAGE_COLUMNS)
"""What is summed. `calls` and `refused` as in `spend`; `other_rows`: free, failed, unread, corrections. All three: every call."""
SUMMED: Final = frozenset({"person", "team", "tool", "provider", "model", "billing"})
"""The attributes that a sum still tells apart."""

_DAY: Final = "strftime('%Y-%m-%d', booked_ms / 1000, 'unixepoch')"
_LEFT: Final = f"state IN ('settled', 'interrupted') AND instr(flags, '{CORRECTS}') = 0"
_AS_KEY: Final = (
    _DAY, "person", "coalesce(team, '')", "coalesce(tool, '')", "provider", "coalesce(model, model_requested, '')", "billing",
)  # fmt: skip
_AS_COUNTED: Final = (
    f"count(*) FILTER (WHERE {_LEFT})",
    "count(*) FILTER (WHERE state = 'refused')",
    f"count(*) FILTER (WHERE state <> 'refused' AND NOT ({_LEFT}))",
    "coalesce(sum(cost_nanos), 0)",
    "coalesce(sum(value_nanos), 0)",
    "coalesce(sum(cost_nanos) FILTER (WHERE basis <> 'reported'), 0)",
    *(f"coalesce(sum({name}), 0)" for name in rows.USAGE_COLUMNS),
)
# The calls that are summed are a JSON array of row ids.
_SUM: Final = f"""SELECT {", ".join((*_AS_KEY, *_AS_COUNTED))} FROM call_rows
    WHERE seq IN (SELECT value FROM json_each(?)) GROUP BY {", ".join(str(place + 1) for place in range(len(KEY)))}"""  # noqa: S608 - our own words
_ADD: Final = f"""INSERT INTO day_sums ({", ".join((*KEY, *COUNTED))}) VALUES ({", ".join("?" * len((*KEY, *COUNTED)))})
    ON CONFLICT DO UPDATE SET {", ".join(f"{name} = {name} + excluded.{name}" for name in COUNTED)}"""  # noqa: S608 - as above
_OF_DAY: Final = f"SELECT {', '.join((*KEY, *COUNTED))} FROM day_sums WHERE day = ? ORDER BY {', '.join(KEY)}"  # noqa: S608 - as above
_CELLS: Final = f"""SELECT min(day), {", ".join(KEY[1:])}, sum(cost_nanos), sum(value_nanos) FROM day_sums
    GROUP BY {", ".join(KEY[1:])}"""  # noqa: S608 - as above


class Totals(Struct, frozen=True):
    """What a part of the ledger adds up to; nano-dollars, tokens. `rows`: calls of every state."""

    rows: int = 0
    calls: int = 0
    refused: int = 0
    cost_nanos: int = 0
    value_nanos: int = 0
    tokens: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(*[mine + its for mine, its in zip(self.values(), other.values(), strict=True)])

    def values(self) -> tuple[int, ...]:
        """Its numbers, in order."""
        return self.rows, self.calls, self.refused, self.cost_nanos, self.value_nanos, self.tokens


Cell = tuple[str | int, ...]
"""A row of the table: KEY, then COUNTED."""


def of_calls(conn: sqlite3.Connection, calls: str) -> list[Cell]:
    """What these ended calls, a JSON array of row ids, add up to."""
    return conn.execute(_SUM, (calls,)).fetchall()


def add(conn: sqlite3.Connection, cells: list[Cell]) -> None:
    """Add them to what is there."""
    conn.executemany(_ADD, cells)


def digest(conn: sqlite3.Connection, day: str) -> str:
    """Hex of the SHA-256 of a day's rows, each as the JSON array of its columns and a line break."""
    found = hashlib.sha256()
    for row in conn.execute(_OF_DAY, (day,)):
        found.update(chain.canonical(row) + b"\n")
    return found.hexdigest()


_TOKENS: Final = tuple(
    name for name in rows.USAGE_COLUMNS if name.endswith("_tokens") and "reasoning" not in name and "audio" not in name
)
"""The disjoint classes: reasoning is part of output, audio of either."""


def totals(conn: sqlite3.Connection) -> Totals:
    """What all sums come to."""
    tokens = " + ".join(_TOKENS)
    sums = ("calls + refused + other_rows", "calls", "refused", "cost_nanos", "value_nanos", tokens)
    return _totals(conn, f"SELECT {', '.join(f'coalesce(sum({each}), 0)' for each in sums)} FROM day_sums")  # noqa: S608 - our own words


def totals_of_calls(conn: sqlite3.Connection, before_ms: int | None = None) -> Totals:
    """What the ended calls come to that have their rows: all, or those booked before then."""
    sums = (*_AS_COUNTED[:2], *_AS_COUNTED[3:5])
    tokens = "coalesce(sum(" + " + ".join(f"coalesce({name}, 0)" for name in _TOKENS) + "), 0)"
    where = "" if before_ms is None else f" AND booked_ms < {before_ms:d}"
    return _totals(conn, f"SELECT count(*), {', '.join(sums)}, {tokens} FROM call_rows WHERE state <> 'open'{where}")  # noqa: S608 - as above


def totals_ever(conn: sqlite3.Connection) -> Totals:
    """All ended calls that the ledger ever had, of one moment: rows and sums."""
    conn.execute("BEGIN")
    try:
        return totals_of_calls(conn) + totals(conn)
    finally:
        conn.execute("ROLLBACK")


def _totals(conn: sqlite3.Connection, sql: str) -> Totals:
    return Totals(*conn.execute(sql).fetchone())


def cells(conn: sqlite3.Connection) -> list[PastCall]:
    """Each person, team, tool, provider, model and billing as one past call that cost all that its sums come to."""
    found = []
    for day, person, team, tool, provider, model, billing, cost, value in conn.execute(_CELLS):
        at_ms = noon_ms(day)
        row = CallRow(
            "", at_ms, person, "", provider, "", "", team=team or None, tool=tool or None, model_requested=model or None,
            billing=billing, kind="",
        )  # fmt: skip
        found.append(PastCall(0, row, "settled", at_ms, model or None, cost, value, "reported", Usage()))
    return found


def noon_ms(day: str) -> int:
    """The middle of a UTC day, which is the same date nearly everywhere."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000 + DAY_MS // 2


def any_sums(conn: sqlite3.Connection) -> bool:
    """Whether anything was ever purged."""
    return conn.execute("SELECT 1 FROM day_sums LIMIT 1").fetchone() is not None
