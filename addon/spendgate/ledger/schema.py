"""Bringing a ledger to the schema of `migrations`: each migration and the record that it ran share one transaction.

A ledger that a newer Spendgate has migrated is refused, never opened half-understood.
"""

from __future__ import annotations

import secrets
import sqlite3

from sqlite_utils import Database

from spendgate.audit_words import AuditWord
from spendgate.errors import StateError
from spendgate.ledger import audit_log, marks
from spendgate.ledger.migrations import migration

_CHAINS = "m014_audit_chain"
_MARKS = "m025_marks"
_MERGED = "SELECT 1 FROM main.sqlite_schema WHERE name = 'merged_from'"
"""As `merged.is_merged`, which stands above this module."""


def migrate(db: Database, now_ms: int) -> None:
    """Bring an open ledger to this schema, or leave it untouched. `db` must be in driver autocommit.

    Raises StateError when a newer Spendgate has written the file; sqlite3.Error as it comes.
    """
    _refuse_newer(db)
    if not migration.pending(db):
        return
    # atomic() opens a deferred transaction, which two gates starting together would both get; inside ours it is a savepoint.
    db.conn.execute("BEGIN IMMEDIATE")
    try:
        steps = {step.name for step in migration.pending(db)}
        migration.apply(db)
        _name_ledger(db.conn, now_ms)
        if _CHAINS in steps:
            _tell_of_older_lines(db.conn, now_ms)
        if _MARKS in steps:
            marks.tell_found(db.conn, now_ms)
        db.conn.execute("COMMIT")
    except BaseException:
        if db.conn.in_transaction:
            db.conn.execute("ROLLBACK")
        raise


def refuse_source(conn: sqlite3.Connection) -> None:
    """Refuse a file that cannot be merged: no ledger, a newer one, or one from before audit lines were chained.

    Raises StateError.
    """
    database = Database(conn, recursive_triggers=False, execute_plugins=False)
    _refuse_newer(database)
    if not (done := {step.name for step in migration.applied(database)}):
        raise StateError("this file is not a ledger of Spendgate")
    if _CHAINS not in done:
        raise StateError("the ledger is of a much older Spendgate: start a gate on it once to bring it up to date")


def refuse_other(conn: sqlite3.Connection) -> None:
    """Refuse a file that is no ledger or not of this schema, for readers, which cannot migrate it. Raises StateError."""
    database = Database(conn, recursive_triggers=False, execute_plugins=False)
    _refuse_newer(database)
    if not migration.applied(database):
        raise StateError("this file is not a ledger of Spendgate")
    if migration.pending(database):
        if conn.execute(_MERGED).fetchone() is not None:  # no gate starts on one
            raise StateError(
                "this merged ledger is of an older Spendgate: `spendgate ledger merge` its sources into it once more to bring it "
                "up to date"
            )
        raise StateError("the ledger is of an older Spendgate: start the gate once to bring it up to date")


def _refuse_newer(db: Database) -> None:
    known = {step.name for step in migration._migrations}  # sqlite-utils offers no public list of a set's steps
    unknown = [step.name for step in migration.applied(db) if step.name not in known]
    if unknown:
        raise StateError(f"the ledger was written by a newer Spendgate (it has {', '.join(unknown)}): update this one")


def _name_ledger(conn: sqlite3.Connection, now_ms: int) -> None:
    """Give a new ledger the id by which a swapped or wiped file is noticed."""
    conn.execute("INSERT OR IGNORE INTO ledger (one, id, created_ms) VALUES (1, ?, ?)", (secrets.token_hex(8), now_ms))


def _tell_of_older_lines(conn: sqlite3.Connection, now_ms: int) -> None:
    """Say from where on the trail is proof: what was written before it was chained could have been changed until now."""
    adopted, _ = audit_log.last(conn)
    if adopted:
        lines = f"the {adopted} line{'s' if adopted > 1 else ''} before this one"
        said = (
            f"{lines} {'are' if adopted > 1 else 'is'} of a version that did not chain them, and chained as now found"
        )
        audit_log.append(conn, audit_log.Line(now_ms, AuditWord.TRAIL_CHAINED, said))
