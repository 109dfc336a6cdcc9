"""What a source has beside its calls, copied into a merged file: audit trail, what could not be read, statements.

`main` is the source, `into_` the merged file, inside the transaction of the merge.
"""

from __future__ import annotations

import sqlite3

from spendgate.errors import StateError
from spendgate.ledger import merged
from spendgate.ledger.packed import lines_of


def audit(conn: sqlite3.Connection, source: int, after: int) -> int:
    """Its audit lines after that one; how many."""
    return conn.execute(
        """INSERT INTO into_.source_audit SELECT ?, position, at_ms, what, who, detail, calls, calls_head, digest, head
           FROM main.audit WHERE position > ?""",
        (source, after),
    ).rowcount


def coverage(conn: sqlite3.Connection, source: int) -> bool:
    """What could not be read there, and the sum of all sources; whether it is another one than before."""
    columns = "account, tool, host, reason, count, first_ms, last_ms"
    mine = conn.execute(f"SELECT {columns} FROM main.coverage ORDER BY 1, 2, 3, 4").fetchall()  # noqa: S608 - our own columns
    sql = f"SELECT {columns} FROM into_.source_coverage WHERE source = ? ORDER BY 1, 2, 3, 4"  # noqa: S608 - as above
    if mine == conn.execute(sql, (source,)).fetchall():
        return False
    conn.execute("DELETE FROM into_.source_coverage WHERE source = ?", (source,))
    conn.executemany(
        "INSERT INTO into_.source_coverage VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [(source, *row) for row in mine]
    )
    conn.execute("DELETE FROM into_.coverage")
    conn.execute("""INSERT INTO into_.coverage
        SELECT account, tool, host, reason, sum(count), min(first_ms), max(last_ms) FROM into_.source_coverage
        GROUP BY account, tool, host, reason""")
    return True


def imports(conn: sqlite3.Connection) -> int:
    """Statements that are not here yet. Their order is that of their taking, whichever ledger they came from.

    Raises StateError where a statement's lines cannot be read: nobody's report should be the first to find that.
    """
    if not merged.has_table(conn, "imports"):
        return 0
    known = {name for (name,) in conn.execute("SELECT name FROM into_.imports")}
    new = [row for row in conn.execute("SELECT seq, name, at_ms FROM main.imports") if row[1] not in known]
    columns = ", ".join(name for name in shared(conn, "imports") if name != "seq")
    packed = merged.has_table(conn, "statement_parts")
    for seq, name, at_ms in new:
        place = merged.import_place(at_ms, name)
        conn.execute(
            f"INSERT INTO into_.imports (seq, {columns}) SELECT ?, {columns} FROM main.imports WHERE seq = ?",  # noqa: S608
            (place, seq),
        )
        conn.execute(
            """INSERT INTO into_.statement_lines (import, position, starts_ms, ends_ms, line)
               SELECT ?, position, starts_ms, ends_ms, line FROM main.statement_lines WHERE import = ?""",
            (place, seq),
        )
        if packed:
            for (lines,) in conn.execute("SELECT lines FROM main.statement_parts WHERE import = ?", (seq,)):
                try:
                    lines_of(lines if isinstance(lines, bytes) else b"")
                except StateError as fault:
                    raise StateError(f"import {name}: {fault}") from fault
            conn.execute(
                """INSERT INTO into_.statement_parts (import, part, first_ms, last_ms, lines)
                   SELECT ?, part, first_ms, last_ms, lines FROM main.statement_parts WHERE import = ?""",
                (place, seq),
            )
    return len(new)


def left(conn: sqlite3.Connection) -> bool:
    """Whether it has what is not copied: factors of estimates, by which its own gate decides, and counts of what is billed and
    not captured, which are of the calls of one ledger and would tell another one's calls for missing."""
    tables = (name for name in ("calibrations", "uncaptured") if merged.has_table(conn, name))
    return any(conn.execute(f"SELECT 1 FROM main.{name} LIMIT 1").fetchone() for name in tables)  # noqa: S608 - our own words


def shared(conn: sqlite3.Connection, table: str) -> list[str]:
    """Columns that both have: an older source has fewer."""
    mine, here = ([row[1] for row in conn.execute(f"PRAGMA {name}.table_info({table})")] for name in ("main", "into_"))
    return [name for name in here if name in mine]
