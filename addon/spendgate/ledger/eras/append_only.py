"""Tables whose rows are never changed: the file itself refuses, whoever writes to it."""

from __future__ import annotations

from sqlite_utils import Database


def append_only(db: Database, table: str, kept: str = "1") -> None:
    """Nothing of the table is ever changed; nor deleted where `kept` is true of it."""
    refuse = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    db.conn.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}")
    db.conn.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} WHEN {kept} {refuse}")
