"""What is asked of a ledger's evidence: is each file, sum and line still what was written?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from spendgate.ledger import chain, check, merged, trails, verify_merged
from spendgate.ledger import heads as ends
from spendgate.ledger import verify as verifying
from spendgate.ledger.fault import FILE, SUMS, Fault
from spendgate.ledger.read_only import ReadOnly


class Proofs(ReadOnly):
    """Both chains, the sums, the audit trail."""

    def head(self) -> chain.Head:
        """The ledger's id, age, and the end of its chain."""
        return chain.head(self._conn)

    def check(self) -> tuple[str, ...]:
        """Every fault of the ledger against itself."""
        return check.check(self._conn)

    def heads(self) -> ends.Heads:
        """Where both chains end."""
        return ends.of(self._conn)

    def unlike(self, seen: ends.Heads) -> ends.Finding | None:
        """What tells this ledger from one that was seen; None: it goes on from there."""
        return ends.unlike(self._conn, seen)

    def verify_merged(self) -> Iterator[Fault]:
        """Every fault of a merged ledger, as far as it can be told by itself; nothing else may be asked meanwhile."""
        return verify_merged.verify(self._conn)

    def verify(self, seen: ends.Heads | None) -> Iterator[Fault]:
        """Every fault of the file, against `seen`, of both chains, then of the sums; nothing else may be asked meanwhile."""
        yield from verifying.verify(self._conn, seen)
        try:
            self._conn.execute("BEGIN")
            yield from (Fault(SUMS, fault) for fault in check.sums(self._conn))
            self._conn.execute("ROLLBACK")
        except sqlite3.Error as fault:
            yield Fault(FILE, f"its sums cannot be read: {fault}")

    def audit(self, since_ms: int = 0) -> tuple[dict[str, Any], ...]:
        """The audit trail, oldest first."""
        return trails.audit(self._conn, since_ms)

    def chained_from(self) -> tuple[int, int] | None:
        """From which line on, and since when, the audit trail is chained; None: all of it was when it was written."""
        return trails.chained_from(self._conn)

    def sources(self) -> tuple[merged.Source, ...]:
        """The ledgers that this one was merged from; none: it is a gate's own."""
        return trails.sources(self._conn)

    def trails(self) -> tuple[tuple[tuple[dict[str, Any], ...], dict[int, tuple[str, int]]], ...]:
        """Each ledger's audit trail, oldest line first, with its `gate_signs`.

        Of a merged one each source's, its gates under the numbers that they have there.
        """
        return trails.trails(self._conn)

    def unacknowledged(self) -> tuple[ends.Finding, ...]:
        """What the trail says was found about the ledger since somebody last took note of that."""
        return trails.unacknowledged(self._conn)
