"""What a gate does for its ledger beside calls: ends those of dead gates, fills a policy's windows, counts what bills have,
and writes down what happened.
"""

from __future__ import annotations

from spendgate.audit_words import AuditWord
from spendgate.ledger import audit_log, fill, journal, orphans, uncaptured
from spendgate.ledger import grants as grant_rows
from spendgate.ledger.counted import Counted, ScopesOf
from spendgate.ledger.gates import Gates
from spendgate.ledger.known import Known
from spendgate.ledger.opened import Opened
from spendgate.ledger.reserve import Reserve
from spendgate.ledger.store import Store


class Housekeeping(Opened):
    """An opened ledger that is kept in order."""

    def __init__(self, store: Store, gates: Gates, reserve: Reserve) -> None:
        """Use `open`."""
        super().__init__(store, gates, reserve)
        self._filled: fill.Pass | None = None

    def resolve_orphans(self, now_ms: int) -> orphans.Resolved:
        """End the open calls of gates that have died: at start, each minute, where a call waits. Takes the disk reserve again."""
        self._reserve.fill()
        gates = self._store.conn.execute("SELECT id FROM gates WHERE ended = 0").fetchall()
        total = orphans.Resolved()
        for (gate,) in gates:
            total += self._resolve(gate, now_ms)
        return total

    def _resolve(self, gate: int, now_ms: int) -> orphans.Resolved:
        lock = self._gates.claim(self._store.conn, gate)
        if lock is None:
            return orphans.Resolved()
        try:
            resolved = self._store.end(lambda known: self._buried(known, gate, now_ms))
        except BaseException:
            lock.drop()
            raise
        lock.release()
        return resolved

    @staticmethod
    def _buried(known: Known, gate: int, now_ms: int) -> orphans.Resolved:
        """End a dead gate's calls, and tell the audit trail in the same transaction."""
        resolved = orphans.resolve(known, gate, now_ms)
        ended = f"{resolved.interrupted} of its calls had left and are charged, {resolved.released} had not"
        audit_log.append(known.conn, audit_log.Line(now_ms, AuditWord.GATE_DIED, f"gate {gate}: {ended}"))
        return resolved

    def prepare(self, budgets: tuple[Counted, ...], scopes_of: ScopesOf, now_ms: int, *, patient: bool = True) -> int:
        """Fill the current windows of a policy's budgets from the ledger, before it takes force; rows that were added.

        Call it off the loop first, and once more just before the policy is swapped: it then only catches up. It has a
        connection of its own and waits up to five seconds for other writers, or, not `patient`, for none (LedgerBusy: what was
        counted stays, call again). Raises StateError, LedgerUnavailable.
        """
        store = Store(self._store.path, self._reserve)
        if not patient:
            store.impatient()
        try:
            self._filled = fill.prepare(
                store, budgets, scopes_of, now_ms, earlier=None if patient else self._filled, gates=self._gates.folder
            )
            return self._filled.added
        finally:
            store.close()

    def take_billed(self, budgets: tuple[Counted, ...], scopes_of: uncaptured.ScopesOf, *, patient: bool = True) -> int:
        """Count in these budgets what bills have and no call; see `uncaptured.take`. As `prepare` on a connection of its own."""
        store = Store(self._store.path, self._reserve)
        if not patient:
            store.impatient()
        try:
            return uncaptured.take(store, budgets, scopes_of)
        finally:
            store.close()

    def audit(self, line: audit_log.Line) -> None:
        """Append an audit line."""
        self._store.write(lambda known: audit_log.append(known.conn, line))

    def durable(self) -> bool:
        """Bring all that is committed to the disk itself. False: not now. Not for the event loop."""
        return self._store.durable()

    def end_grant(self, grant_id: str, at_ms: int, why: str) -> bool:
        """Write that a grant has ended, with its audit line; False: it had."""
        return self._store.write(lambda known: grant_rows.end(known.conn, grant_id, at_ms, why))

    def uncovered(self, account: str, tool: str, host: str, reason: str, *, at_ms: int, count: int = 1) -> None:
        """Count connections to a provider that could not be read."""
        unread = journal.Unread(account, tool, host, reason)
        self._store.write(lambda known: journal.uncovered(known.conn, unread, count, at_ms))
