"""An audit line of a command, which is no gate."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from spendgate.errors import StateError
from spendgate.ledger import audit_log, schema
from spendgate.ledger.reserve import Reserve, reserve_of
from spendgate.ledger.store import Store


def note_beside(path: Path, line: audit_log.Line) -> None:
    """Append an audit line to an existing ledger without being one of its gates: for a command. Waits for other writers.

    Raises StateError, LedgerUnavailable.
    """
    store = Store(path, Reserve(reserve_of(path)))
    try:
        schema.refuse_other(store.conn)
        store.end(lambda known: audit_log.append(known.conn, line))
    except sqlite3.Error as fault:
        raise StateError(f"{path} cannot be used as a ledger: {fault}") from fault
    finally:
        store.close()
