"""What a reconciliation asks of a ledger: statements that were taken in, the calls beside them, what came of that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from spendgate.ledger import calibrations, day_sums, merged, standings, statements, uncaptured
from spendgate.ledger import compared as compared_calls
from spendgate.ledger.calibrations import Calibration
from spendgate.ledger.compared import Alike, Running
from spendgate.ledger.named import NamedCall, named
from spendgate.ledger.read_only import ReadOnly
from spendgate.ledger.statements import Imported
from spendgate.ledger.uncaptured import Uncaptured
from spendgate.ledger.uncounted import uncounted
from spendgate.standing import Standing
from spendgate.statement import DAY_MS, Line


class Reconciling(ReadOnly):
    """The billed side of a ledger, and its calls as bills are compared with them."""

    def imports(self) -> tuple[Imported, ...]:
        """All statements that were taken in, oldest first."""
        return statements.imports(self._conn)

    def statement_lines(self, one: Imported, from_ms: int, until_ms: int) -> tuple[Line, ...]:
        """Lines of an import that begin from then on and before then, in their order."""
        return statements.lines(self._conn, one, from_ms, until_ms)

    def calibrations(self) -> tuple[Calibration, ...]:
        """Every factor that was ever put in force, oldest first."""
        return calibrations.every(self._conn)

    def named_calls(self, from_ms: int, until_ms: int) -> tuple[NamedCall, ...]:
        """Calls that left, booked from then on and before then, by what names them elsewhere."""
        return named(self._conn, from_ms, until_ms)

    def first_booked_ms(self) -> int | None:
        """When the earliest call was booked, epoch milliseconds; None: there is none."""
        found: int | None = self._conn.execute("SELECT min(booked_ms) FROM call_rows").fetchone()[0]
        return found

    def calls_alike(self, span: tuple[int, int], ids: Iterable[str], edge_ms: int, bucket_ms: int) -> Iterator[Alike]:
        """Calls that left in this span, as a reconciliation takes them: see `ledger.compared`."""
        return compared_calls.alike(self._conn, span, ids, edge_ms, bucket_ms)

    def calls_singly(self, from_ms: int, until_ms: int) -> Iterator[Alike]:
        """The same calls one by one."""
        return compared_calls.singles(self._conn, from_ms, until_ms)

    def calls_running(self, from_ms: int, until_ms: int) -> Iterator[Running]:
        """The open calls that left in this span."""
        return compared_calls.running(self._conn, from_ms, until_ms)

    def gate_signs(self) -> dict[int, tuple[str, int]]:
        """By gate (`Ledger.gate_id`) its machine, and when it last wrote a call, epoch milliseconds."""
        return compared_calls.gate_signs(self._conn)

    def billed_by(self, standing: Standing) -> tuple[str, ...]:
        """Which imports say that a part of the standing was billed and not captured."""
        return standings.billed_by(self._conn, standing)

    def uncounted(self) -> tuple[Imported, ...]:
        """Imports that were taken in and not compared with the calls since. None of a merged ledger: a merge takes no counts."""
        if merged.is_merged(self._conn):
            return ()
        [before] = self._conn.execute("SELECT max(day) FROM day_sums").fetchone()
        purged_ms = 0 if before is None else day_sums.noon_ms(before) + DAY_MS // 2
        return uncounted(statements.imports(self._conn), uncaptured.runs(self._conn), purged_ms)

    def uncaptured(self, from_ms: int = 0, until_ms: int = 2**62) -> tuple[Uncaptured, ...]:
        """What bills have of the UTC days that begin from then on and before then, and no call of this ledger."""
        return uncaptured.in_force(self._conn, from_ms, until_ms)
