"""A connection to the ledger beside the gate's own, so that nothing done on it is in a call's way. Threads may share it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from spendgate.errors import LedgerUnavailable
from spendgate.ledger.connection import connect
from spendgate.ledger.sqlite_faults import unavailable

_PATIENCE_MS: Final = 5_000


class SharedConnection:
    """One thread at a time has a transaction on it, others wait."""

    def __init__(self, path: Path) -> None:
        """Raises StateError; LedgerUnavailable where the file is gone: a new one would be a ledger without a past."""
        if not path.exists():
            raise LedgerUnavailable(f"{path} is gone")
        self.conn = connect(path, timeout_ms=_PATIENCE_MS)
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the connection."""
        self.conn.close()

    @contextmanager
    def transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """Run the body as one transaction. Raises LedgerUnavailable; nothing of it is then written."""
        with self._lock:
            try:
                self.conn.execute(begin)
                yield self.conn
                self.conn.execute("COMMIT")
            except sqlite3.Error as fault:
                raise unavailable(fault) from fault
            finally:
                with suppress(sqlite3.ProgrammingError):  # closed, while a message was still being sent
                    if self.conn.in_transaction:
                        self.conn.execute("ROLLBACK")
