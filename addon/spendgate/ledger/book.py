"""A ledger's file, opened for writing by what is none of its gates: a command, a desk."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Self

from spendgate.errors import StateError
from spendgate.ledger import schema
from spendgate.ledger.reserve import Reserve
from spendgate.ledger.store import Store


class Book:
    """What is written there, with a `with` around it."""

    def __init__(self, path: Path, reserve: Reserve) -> None:
        """Raises StateError where the file is no ledger that this version knows."""
        self._store = Store(path, reserve)
        try:
            schema.refuse_other(self._store.conn)
        except (sqlite3.Error, StateError) as fault:
            self._store.close()
            raise StateError(f"{path}: {fault}") from fault

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()
