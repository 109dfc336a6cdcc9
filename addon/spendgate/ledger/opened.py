"""A ledger's file while a process is one of its gates: how that begins, how it ends, and under which number."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Self

from spendgate.errors import LedgerUnavailable, StateError
from spendgate.ledger import merged, schema, waiters
from spendgate.ledger.gates import Gates
from spendgate.ledger.known import Known
from spendgate.ledger.reserve import Reserve, reserve_of
from spendgate.ledger.store import Store


class Opened:
    """One gate's connection, its place among the ledger's gates, and the room it keeps on the disk."""

    def __init__(self, store: Store, gates: Gates, reserve: Reserve) -> None:
        """Use `open`."""
        self._store = store
        self._gates = gates
        self._reserve = reserve

    @classmethod
    def open(cls, path: Path, gates_dir: Path, now_ms: int) -> Self:
        """Open or make the ledger at `path`, bring its tables up to date, and become one of its gates.

        Waits up to five seconds for another writer. Raises StateError: no ledger, a newer one, or no place for one.
        """
        reserve = Reserve(reserve_of(path))
        store = Store(path, reserve)
        try:
            merged.refuse(store.conn, path)
            schema.migrate(store.database, now_ms)
            gates = Gates(gates_dir)
            store.end(lambda known: gates.enter(known.conn, now_ms))
            # What rates have counted is read here, not by the first call that asks.
            store.end(lambda known: known.flows.catch_up(known.conn))
        except (sqlite3.Error, LedgerUnavailable) as fault:
            store.close()
            raise StateError(f"{path} cannot be used as a ledger: {fault}") from fault
        except StateError:
            store.close()
            raise
        reserve.fill()
        store.impatient()
        return cls(store, gates, reserve)

    def close(self) -> None:
        """Stop being a gate. Calls still open are then orphans for any other gate."""
        try:
            ended = self._store.end(self._end_gate)
        except LedgerUnavailable:
            ended = False  # the next gate that can write resolves what is left
        self._store.close()
        self._gates.leave(ended=ended)

    def _end_gate(self, known: Known) -> bool:
        waiters.vanish(known.conn, self._gates.id)
        return self._gates.end(known.conn)

    def spend_reserve(self) -> None:
        """No call will come any more: what is still to be written may use the reserve of a full disk."""
        self._store.spends_reserve = True

    @property
    def gate_name(self) -> str:
        """What this process's lock file is named by (`gates.living`)."""
        return self._gates.name

    @property
    def gate_id(self) -> int:
        """This process's number among the ledger's gates."""
        return self._gates.id
