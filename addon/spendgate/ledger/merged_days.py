"""Purging, followed into a merged file: what a source has purged since it was last taken goes here, too; its sums by day come.

So a merged file says the same whether a source was taken before it purged, after that, or both, and keeps no row for longer than
the laptop's own policy does. `day_sums` are the sums of all sources; `source_day_sums` each one's.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from spendgate.audit_words import AuditWord
from spendgate.ledger import day_sums, merged
from spendgate.ledger.purged_lines import Purged

_COLUMNS: Final = ", ".join((*day_sums.KEY, *day_sums.COUNTED))
_SUMS: Final = ", ".join((*day_sums.KEY, *(f"sum({name})" for name in day_sums.COUNTED)))


def follow(conn: sqlite3.Connection, source: int, base: int, after_line: int) -> tuple[int, bool]:
    """How many rows went that were here, and whether sums by day are other ones than before. `main` is the source, `into_` the
    merged file; audit lines after `after_line` are new, and a row's number here is `base` and its own."""
    if not merged.has_table(conn, "day_sums"):
        return 0, False
    conn.execute("PRAGMA into_.secure_delete = ON")
    conn.execute(
        "UPDATE into_.purging SET before_ms = max(before_ms, (SELECT before_ms FROM main.purging)) "
        "WHERE before_ms < (SELECT before_ms FROM main.purging)"
    )
    gone = 0
    lines = conn.execute(
        "SELECT detail FROM main.audit WHERE what = ? AND position > ?", (AuditWord.PURGED.value, after_line)
    )
    for run in [run for (detail,) in lines if (said := Purged.parse(detail)) is not None for run in said.runs]:
        gone += _delete(conn, tuple(base + seq for seq in run))
    conn.execute("PRAGMA into_.secure_delete = OFF")
    return gone, _sums(conn, source)


def _delete(conn: sqlite3.Connection, run: tuple[int, ...]) -> int:
    # A call that was open when it was last seen has ended and was purged since: only as an ended one it may go.
    conn.execute("UPDATE into_.call_rows SET state = 'interrupted' WHERE state = 'open' AND seq BETWEEN ? AND ?", run)
    return conn.execute("DELETE FROM into_.call_rows WHERE seq BETWEEN ? AND ?", run).rowcount


def _sums(conn: sqlite3.Connection, source: int) -> bool:
    mine = set(conn.execute(f"SELECT {_COLUMNS} FROM main.day_sums"))  # noqa: S608 - our own columns
    here = set(conn.execute(f"SELECT {_COLUMNS} FROM into_.source_day_sums WHERE source = ?", (source,)))  # noqa: S608 - as above
    if mine == here:
        return False
    for (day,) in sorted({(row[0],) for row in mine ^ here}):
        conn.execute("DELETE FROM into_.source_day_sums WHERE source = ? AND day = ?", (source, day))
        conn.execute(
            f"""INSERT INTO into_.source_day_sums (source, {_COLUMNS})
                SELECT ?, {_COLUMNS} FROM main.day_sums WHERE day = ?""",  # noqa: S608 - as above
            (source, day),
        )
        conn.execute("DELETE FROM into_.day_sums WHERE day = ?", (day,))
        conn.execute(
            f"""INSERT INTO into_.day_sums ({_COLUMNS})
                SELECT {_SUMS} FROM into_.source_day_sums WHERE day = ? GROUP BY {", ".join(day_sums.KEY)}""",  # noqa: S608 - as above
            (day,),
        )
    return True
