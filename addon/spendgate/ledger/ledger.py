"""The ledger as the gate uses it: each method is one transaction over `holds`, `endings`, `balances` and `waiters`.

Rules: cost is held in the transaction that decides, before anything leaves; a call ends once; nothing that has ended
changes; no method waits for another process (LedgerBusy: try again within milliseconds). Safe to call from several threads.
What is not on a call's way is in its bases: `opened`, `readings`, `housekeeping`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from spendgate.admission import Decision, Refuse
from spendgate.ledger import chain, deciding, endings, holds, outbox, results, rows, standings, waiters
from spendgate.ledger.holds import Booking
from spendgate.ledger.housekeeping import Housekeeping
from spendgate.ledger.interface import AlertRow, AwaitedCall, CallRow, Counted, Decide, Flowing, Settlement
from spendgate.ledger.kept import Kept
from spendgate.ledger.known import Known
from spendgate.ledger.readings import Readings
from spendgate.ledger.sums import BalanceKey, Sums
from spendgate.standing import Scope, Standing


class Ledger(Housekeeping, Readings):
    """One gate's ledger: a call's way through it, in the order of its life; implements `interface.LedgerPort`."""

    def together[T](self, work: Callable[[], T]) -> T:
        """Run `work` as one transaction with all that it asks of this ledger; see `LedgerPort.together`."""
        return self._store.together(work)

    def hold(
        self, row: CallRow, scopes: tuple[Scope, ...], decide: Decide, now_ms: int, waited_ms: int = 0,
        *, leaves: bool = False, flowing: Flowing | None = None,
    ) -> Decision:  # fmt: skip
        """Read the standings, decide, and write what was decided; see `LedgerPort.hold`.

        `booked_at` becomes `now_ms`. Raises ValueError for a call that the ledger has already; what `decide` raises.
        """
        booking = Booking(self._gates.id, now_ms, waited_ms, leaves)
        known, is_dead = self._store.known, self._gates.is_dead
        asking = deciding.Asking(row, scopes, decide, booking, known, is_dead, flowing)
        return self._store.write(lambda _: deciding.hold(asking))

    def standings(
        self, scopes: tuple[Scope, ...], now_ms: int, unwritten: Mapping[BalanceKey, Sums]
    ) -> tuple[Standing, ...]:
        """These budgets as they stand, only read; see `LedgerPort.standings`."""
        return self._store.read(lambda conn: standings.standings(Kept(conn, now_ms, unwritten), scopes))

    def leave(self, call_id: str) -> None:
        """A waiter gives up its place."""
        self._store.end(lambda known: waiters.leave(known.conn, call_id))

    def sent(self, call_id: str, at_ms: int) -> None:
        """The request's head was given to the upstream connection: from here the call is never free."""
        self._store.mark(lambda known: holds.mark_sent(known, call_id, at_ms))

    def resize(self, call_id: str, held: tuple[tuple[Scope, int], ...], now_ms: int) -> tuple[Standing, ...]:
        """Correct a running call's holds; the standings after it at `now_ms`, none when the call has ended."""
        return self._store.end(lambda known: holds.resize(known, call_id, held, now_ms))

    def settle(self, call_id: str, settlement: Settlement) -> bool:
        """End an open call once. False: it had already ended, nothing was changed."""
        return self._store.end(lambda known: endings.settle(known, call_id, settlement))

    def written(self, result_ids: tuple[str, ...]) -> frozenset[str]:
        """Which of these have a row already; see `LedgerPort.written`."""
        return self._store.write(lambda known: results.written(known, result_ids))

    def awaited(self, result_id: str) -> AwaitedCall | None:
        """The ended call whose result this row would be; see `LedgerPort.awaited`."""
        return self._store.write(lambda known: results.awaited(known, result_id))

    def collected(
        self, row: CallRow, settlement: Settlement, booked_ms: int, *, corrects: AwaitedCall | None = None
    ) -> bool:
        """Write a result as a row of its own, once for its id; see `LedgerPort.collected`."""
        return self._store.end(
            lambda known: results.collected(known, row, settlement, booked_ms, gate=self._gates.id, corrects=corrects)
        )

    def gathered(self, row: CallRow, end: Settlement, each: Sequence[Counted], booked_ms: int) -> None:
        """Write results that have no row yet in one go; see `LedgerPort.gathered`."""
        self._store.end(lambda known: results.gathered(known, row, end, each, booked_ms, gate=self._gates.id))

    def refused(
        self, row: CallRow, decision: object, *,
        now_ms: int, waited_ms: int, http_status: int, flags: tuple[str, ...] = (),
        alerts: tuple[AlertRow, ...] = (),
    ) -> None:  # fmt: skip
        """Write a refused call with the figures of its Refuse, and alerts. Raises TypeError for anything but a Refuse."""
        if not isinstance(decision, Refuse):
            raise TypeError(f"a refused call needs its Refuse, not {type(decision).__name__}")
        figures = rows.refused(decision, now_ms, waited_ms, http_status, flags)

        def write(known: Known) -> None:
            endings.write_ended(known, chain.REFUSED, row, self._gates.id, figures)
            if alerts:
                outbox.write(known.conn, alerts, now_ms)

        self._store.write(write)

    def recorded(
        self, row: CallRow, state: str, *, ended_ms: int, http_status: int | None, request_bytes: int,
        response_bytes: int, duration_ms: int | None, first_byte_ms: int | None, flags: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """Write a call that costs nothing or could not be read: `free`, `unrecognized`, `failed`."""
        if state not in endings.RECORDED_STATES:
            raise ValueError(f"a call that held nothing ends as {' or '.join(endings.RECORDED_STATES)}, not {state}")
        seen = replace(row, request_bytes=request_bytes)
        ending = (
            state, row.started_ms, ended_ms, http_status, response_bytes, duration_ms, first_byte_ms, ",".join(flags),
        )  # fmt: skip
        self._store.write(lambda known: endings.write_ended(known, chain.RECORDED, seen, self._gates.id, ending))
