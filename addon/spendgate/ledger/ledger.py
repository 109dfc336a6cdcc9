"""The ledger as the gate uses it: each method is one transaction over `holds`, `endings`, `balances` and `waiters`.

Rules: cost is held in the transaction that decides, before anything leaves; a call ends once; nothing that has ended
changes; no method waits for another process (LedgerBusy: try again within milliseconds). Safe to call from several threads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from spendgate.admission import Decision, Refuse
from spendgate.audit_words import AuditWord
from spendgate.calibration import CALIBRATED, Factors
from spendgate.errors import LedgerUnavailable, StateError
from spendgate.grants import Taken
from spendgate.ledger import (
    audit_log,
    calibrations,
    chain,
    check,
    deciding,
    endings,
    fill,
    holds,
    journal,
    merged,
    orphans,
    outbox,
    results,
    rows,
    schema,
    standings,
    uncaptured,
    verify,
    waiters,
)
from spendgate.ledger import grants as grant_rows
from spendgate.ledger.gates import Gates
from spendgate.ledger.heads import Finding, Heads, unlike
from spendgate.ledger.heads import of as heads_of
from spendgate.ledger.holds import Booking
from spendgate.ledger.interface import AlertRow, AwaitedCall, CallRow, Counted, Decide, Flowing, Settlement
from spendgate.ledger.kept import Kept
from spendgate.ledger.known import Known
from spendgate.ledger.reserve import Reserve, reserve_of
from spendgate.ledger.store import Store
from spendgate.ledger.sums import BalanceKey, Sums
from spendgate.standing import Scope, Standing

REREAD_CALLS = 20_000
"""Ended calls that are compared with their chain again each hour: weeks of a person's, half a second of a thread."""


class Ledger:
    """One gate's ledger; implements `interface.LedgerPort`."""

    def __init__(self, store: Store, gates: Gates, reserve: Reserve) -> None:
        """Use `open`."""
        self._store = store
        self._gates = gates
        self._reserve = reserve
        self._filled: fill.Pass | None = None

    @classmethod
    def open(cls, path: Path, gates_dir: Path, now_ms: int) -> Ledger:
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

    def together[T](self, work: Callable[[], T]) -> T:
        """Run `work` as one transaction with all that it asks of this ledger; see `LedgerPort.together`."""
        return self._store.together(work)

    # -- a call's way, in the order of its life ------------------------------------------------------------------

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

    # -- what a gate does beside calls ---------------------------------------------------------------------------

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

    def prepare(
        self, budgets: tuple[fill.Counted, ...], scopes_of: fill.ScopesOf, now_ms: int, *, patient: bool = True
    ) -> int:
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

    def take_billed(
        self, budgets: tuple[fill.Counted, ...], scopes_of: uncaptured.ScopesOf, *, patient: bool = True
    ) -> int:
        """Count in these budgets what bills have and no call; see `uncaptured.take`. As `prepare` on a connection of its own."""
        store = Store(self._store.path, self._reserve)
        if not patient:
            store.impatient()
        try:
            return uncaptured.take(store, budgets, scopes_of)
        finally:
            store.close()

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

    def audit(self, line: audit_log.Line) -> None:
        """Append an audit line."""
        self._store.write(lambda known: audit_log.append(known.conn, line))

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

    def durable(self) -> bool:
        """Bring all that is committed to the disk itself. False: not now. Not for the event loop."""
        return self._store.durable()

    def grants_latest(self) -> tuple[int, int]:
        """What changes when a grant is taken in or ends. Raises LedgerUnavailable."""
        return self._store.read(grant_rows.latest)

    def grants(self) -> tuple[Taken, ...]:
        """Every grant that this ledger has taken in. Raises LedgerUnavailable."""
        return self._store.read(grant_rows.grants)

    def end_grant(self, grant_id: str, at_ms: int, why: str) -> bool:
        """Write that a grant has ended, with its audit line; False: it had."""
        return self._store.write(lambda known: grant_rows.end(known.conn, grant_id, at_ms, why))

    def uncovered(self, account: str, tool: str, host: str, reason: str, *, at_ms: int, count: int = 1) -> None:
        """Count connections to a provider that could not be read."""
        unread = journal.Unread(account, tool, host, reason)
        self._store.write(lambda known: journal.uncovered(known.conn, unread, count, at_ms))

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

    def head(self) -> chain.Head:
        """The ledger's id and the end of its chain."""
        return chain.head(self._store.conn)


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
