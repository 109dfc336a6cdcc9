"""What a gate reads of its ledger beside calls: marks that say what is new, what it learns from, where the chains end, grants.

Nothing here writes. What reads the whole file, and so is not for the event loop, says so.
"""

from __future__ import annotations

from collections.abc import Callable

from spendgate.audit_words import AuditWord
from spendgate.calibration import CALIBRATED, Factors
from spendgate.grants import Taken
from spendgate.ledger import audit_log, calibrations, chain, check, rows, uncaptured, verify
from spendgate.ledger import grants as grant_rows
from spendgate.ledger.heads import Finding, Heads, unlike
from spendgate.ledger.heads import of as heads_of
from spendgate.ledger.opened import Opened

REREAD_CALLS = 20_000
"""Ended calls that are compared with their chain again each hour: weeks of a person's, half a second of a thread."""


class Readings(Opened):
    """An opened ledger that can be asked. Each question is one read."""

    def uncaptured_upto(self) -> int:
        """What changes when a bill is compared with the calls anew."""
        return self._store.read(uncaptured.latest)

    def calibrated_upto(self) -> int:
        """What changes when estimates are calibrated anew."""
        return self._store.read(calibrations.latest)

    def factors(self) -> Factors:
        """By what estimates are multiplied now."""
        return self._store.read(calibrations.factors)

    def estimated(self, limit: int) -> tuple[rows.PastCall, ...]:
        """The newest settled calls that were charged by an estimate, not calibrated yet, oldest first."""
        found = rows.select_past(
            self._store.conn,
            f"state = 'settled' AND basis = 'estimated' AND held_nanos IS NOT NULL AND instr(flags, '{CALIBRATED}') = 0"
            " AND output_tokens > 0 ORDER BY seq DESC LIMIT ?",
            (limit,),
        )
        return tuple(reversed(found))

    def recent(self, limit: int, *, after_seq: int = 0) -> tuple[rows.PastCall, ...]:
        """The newest settled calls with reported or calibrated counts, oldest first: what all gates learn sizes from."""
        found = rows.select_past(
            self._store.conn,
            f"seq > ? AND state = 'settled' AND (basis = 'reported' OR instr(flags, '{CALIBRATED}') > 0)"
            " AND held_nanos IS NOT NULL ORDER BY seq DESC LIMIT ?",
            (after_seq, limit),
        )
        return tuple(reversed(found))

    def heads(self) -> Heads:
        """Where both chains end."""
        return self._store.read(heads_of)

    def unlike(self, seen: Heads) -> Finding | None:
        """What tells this ledger from one that was seen; None: it goes on from there. Raises LedgerUnavailable."""
        return self._store.read(lambda conn: unlike(conn, seen))

    def has_run(self) -> bool:
        """Whether a gate has told the audit trail that it started here."""
        return self.last_audited(AuditWord.GATE_STARTED) is not None

    def last_audited(self, what: AuditWord) -> str | None:
        """The detail of the last line of this word; None where there is none."""
        return self._store.read(lambda conn: audit_log.last_detail(conn, what))

    def was_audited(self, what: AuditWord, detail: str) -> bool:
        """Whether the trail has such a line."""
        return self._store.read(lambda conn: audit_log.has(conn, what, detail))

    def in_place(self) -> bool:
        """Whether whoever opens the ledger's path now gets the file that this gate writes to."""
        return self._store.in_place()

    def altered_sums(self, stopped: Callable[[], bool]) -> tuple[str, ...]:
        """Balances that are not what their calls make; see `check.beside`. Not for the event loop."""
        return check.beside(self._store.path, stopped)

    def altered_calls(self, stopped: Callable[[], bool]) -> tuple[str, ...]:
        """The newest calls that are not what was chained; see `verify.newest`. Not for the event loop."""
        return tuple(str(fault) for fault in verify.newest(self._store.path, REREAD_CALLS, stopped))

    def grants_latest(self) -> tuple[int, int]:
        """What changes when a grant is taken in or ends. Raises LedgerUnavailable."""
        return self._store.read(grant_rows.latest)

    def grants(self) -> tuple[Taken, ...]:
        """Every grant that this ledger has taken in. Raises LedgerUnavailable."""
        return self._store.read(grant_rows.grants)

    def head(self) -> chain.Head:
        """The ledger's id and the end of its chain."""
        return chain.head(self._store.conn)
