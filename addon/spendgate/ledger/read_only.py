"""A connection to a ledger that cannot write, hold up or be held up by a gate."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Self

from spendgate.errors import StateError
from spendgate.ledger import schema


class ReadOnly:
    """A read-only connection to one ledger. Use from one thread."""

    def __init__(self, path: Path) -> None:
        """Raises StateError when there is no ledger, or one that this Spendgate cannot read."""
        try:
            self._conn = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5
            )
        except sqlite3.Error as fault:
            raise StateError(f"{path} cannot be read as a ledger: {fault}") from fault
        try:
            schema.refuse_other(self._conn)
        except sqlite3.Error as fault:
            self._conn.close()
            if getattr(fault, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_ROLLBACK:
                raise StateError(f"{path}: a merge into it was ended midway: run the same merge again") from fault
            raise StateError(f"{path} cannot be read as a ledger: {fault}") from fault
        except StateError:
            self._conn.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._conn.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
