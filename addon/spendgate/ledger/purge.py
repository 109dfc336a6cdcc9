"""Purging by `privacy.keep`: calls of days that are over for so long become sums of their day, and their rows go.

One transaction purges at most `CHUNK` calls of one UTC day: their sums are added, what they still are of balances is noted there
(`purged_nanos`), their rows, charges and waits for results are deleted, and an audit line says which they were and what the sums
of the day are after it; another one, what balances were given whose window still runs (`marks`). So at any moment, also after
`kill -9`, every call is either a row or in a sum, and no balance changes. The chain keeps its links; `verify` takes a link
without its call for purged where an audit line says so, else for tampered with.

Not for the event loop; on a connection of its own, which waits for others and whose transactions are short. One process purges at
a time, chunk by chunk (`gates/purge.one`). It does not use the reserve of a full disk. `purgeable` says which calls may
go, `purge_beside` what goes after them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from spendgate.audit_words import AuditWord
from spendgate.errors import StateError
from spendgate.ledger import audit_log, day_sums, marks, merged, purgeable, schema
from spendgate.ledger.day_sums import Totals
from spendgate.ledger.known import Known
from spendgate.ledger.purge_beside import Beside, purge_beside
from spendgate.ledger.purge_lock import locked
from spendgate.ledger.purgeable import Plan
from spendgate.ledger.purged_lines import Purged
from spendgate.ledger.reserve import Reserve, reserve_of
from spendgate.ledger.sqlite_faults import unavailable
from spendgate.ledger.store import Store

CHUNK: Final = 100
"""Calls in one transaction."""
_FREE_LEAST_PAGES: Final = 512
"""Free pages that stay in the file: the next rows take them."""
_FREE_SHARE: Final = 10
"""Or a tenth of the file."""
_VACUUM_PAGES: Final = 256
"""Pages that are given back in one transaction."""
_INCREMENTAL: Final = 2
"""SQLite's number for `auto_vacuum = INCREMENTAL`."""

_BALANCE_AT, _CHARGED_AT = 0, 5
"""Places in what an ended call has in `holds` for each balance (`open_calls.Ended`)."""
_CALLS: Final = "IN (SELECT value FROM json_each(?))"
# Not over the view `holds`: SQLite would go through all of it.
_CARRIED: Final = f"""SELECT b.id, b.edge_ms IS NOT NULL, b.ends_ms, sum(h.nanos), sum(h.nanos) FILTER (WHERE h.chained) FROM (
        SELECT json_extract(hold.value, '$[{_BALANCE_AT}]') AS balance, booked_ms,
            json_extract(hold.value, '$[{_CHARGED_AT}]') AS nanos, 1 AS chained
        FROM call_rows, json_each(call_rows.holds) AS hold WHERE seq {_CALLS}
        UNION ALL SELECT balance, booked_ms, charged_nanos, 0 FROM charges WHERE call {_CALLS}
    ) h CROSS JOIN balances b ON b.id = h.balance
    WHERE h.nanos <> 0 AND (b.edge_ms IS NULL OR h.booked_ms > b.edge_ms) GROUP BY b.id"""  # noqa: S608 - as above
_KINDS: Final = f"""SELECT kind, count(*) FROM call_rows WHERE seq {_CALLS} AND state = 'settled' AND value_nanos > 0
    AND held_nanos IS NOT NULL GROUP BY kind"""  # noqa: S608 - as above


class Purge:
    """Purges one ledger. Use from one thread."""

    def __init__(self, path: Path, gates: Path, *, patience_ms: int = 5_000) -> None:
        """Raises StateError."""
        self._store = Store(path, Reserve(reserve_of(path)))
        self._gates = gates
        conn = self._store.conn
        try:
            schema.refuse_other(conn)
            if merged.is_merged(conn):
                raise StateError("it was merged: purge the ledgers that it was made of, and merge them again")
            conn.execute(f"PRAGMA busy_timeout = {patience_ms:d}")
            # What a deleted row said is overwritten, not only forgotten.
            conn.execute("PRAGMA secure_delete = ON")
        except (sqlite3.Error, StateError) as fault:
            self._store.close()
            raise StateError(f"{path} cannot be purged: {fault}") from fault

    def close(self) -> None:
        """Close the connection."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def totals(self) -> Totals:
        """What the ledger adds up to, which a purge must not change. Raises LedgerUnavailable."""
        return self._store.read(day_sums.totals_ever)

    def plan(self, before_ms: int) -> Plan:
        """What would go. Raises LedgerUnavailable."""
        return self._store.read(lambda conn: purgeable.plan(conn, before_ms))

    def chunk(self, before_ms: int, keep_days: int, now_ms: int) -> int:
        """Purge the oldest calls that may go, at most `CHUNK`; how many. 0: there is none.

        Raises LedgerBusy where another process purges, LedgerUnavailable; nothing is then changed.
        """
        with locked(self._gates):
            conn = self._store.conn
            try:
                going = purgeable.oldest(conn, before_ms, CHUNK)
                if going is None:
                    return 0
                # Ended calls do not change: what they add up to can be asked before anybody is kept from writing.
                cells, kinds = day_sums.of_calls(conn, going.rows), conn.execute(_KINDS, (going.rows,)).fetchall()
            except sqlite3.Error as fault:
                raise unavailable(fault) from fault

            def work(known: Known) -> None:
                given = _purge(known.conn, going.rows, cells, kinds, before_ms)
                digest = day_sums.digest(known.conn, going.day)
                line = Purged(going.day, len(going.seqs), keep_days, going.runs, digest)
                audit_log.append(known.conn, audit_log.Line(now_ms, AuditWord.PURGED, line.detail(cells)))
                marks.tell(known.conn, marks.PURGED, given, now_ms)

            self._store.write(work)
            return len(going.seqs)

    def beside(self, before_ms: int, now_ms: int) -> Beside:
        """Once no call is left that may go: balances of windows that were over before the oldest row, alerts, asks, means and
        unread hosts from before then. Raises as `chunk`."""
        with locked(self._gates):

            def work(known: Known) -> Beside:
                found = purge_beside(known.conn, before_ms, now_ms)
                if found.any:
                    audit_log.append(known.conn, audit_log.Line(now_ms, AuditWord.PURGED_BESIDE, str(found)))
                return found

            return self._store.write(work)

    def vacuum(self) -> bool:
        """Give some free pages back to the disk, if more are free than the next rows need; whether there are still more.

        A ledger from before pages could be given back keeps them, and fills them again. Raises LedgerUnavailable.
        """
        conn = self._store.conn
        try:
            kept, free, pages = (
                int(conn.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("auto_vacuum", "freelist_count", "page_count")
            )
            if kept != _INCREMENTAL:
                return False
            surplus = free - max(_FREE_LEAST_PAGES, pages // _FREE_SHARE)
            if surplus <= 0:
                return False
            self._store.mark(
                lambda known: known.conn.execute(
                    f"PRAGMA incremental_vacuum({min(surplus, _VACUUM_PAGES):d})"
                ).fetchall()
            )
        except sqlite3.Error as fault:
            raise unavailable(fault) from fault
        return surplus > _VACUUM_PAGES


def _purge(
    conn: sqlite3.Connection, calls: str, cells: list[day_sums.Cell], kinds: list[tuple[str, int]], before_ms: int
) -> dict[int, int]:
    """Inside a transaction: these calls are sums from here on. What that gives to balances that stay, and was chained."""
    given = {}
    for balance, rolls, ends_ms, nanos, chained in conn.execute(_CARRIED, (calls, calls)).fetchall():
        # A rolling window that is no longer than what is kept has passed them: as if its edge had moved by now.
        what = "sums SET settled = settled - ?" if rolls else "windows SET purged_nanos = purged_nanos + ?"
        conn.execute(f"UPDATE {what} WHERE id = ?", (nanos, balance))
        if chained is not None and not rolls and (ends_ms is None or ends_ms > before_ms):
            given[balance] = chained
    conn.executemany(
        "UPDATE windows SET purged_calls = purged_calls + ? WHERE budget = '' AND value = ?",
        [(count, kind) for kind, count in kinds],
    )
    day_sums.add(conn, cells)
    conn.execute("UPDATE purging SET before_ms = max(before_ms, ?)", (before_ms,))
    for sql in ("call_rows WHERE seq", "charges WHERE call", "awaited WHERE call"):
        conn.execute(f"DELETE FROM {sql} {_CALLS}", (calls,))  # noqa: S608 - our own words
    return given


def run(purge: Purge, keep_days: int, now_ms: int, *, paused: Callable[[], bool] = lambda: False) -> tuple[int, Beside]:
    """All that may go at this moment; how many calls, and what else. `paused` is asked after each transaction, may wait, and
    stops it by True. Raises as `Purge.chunk`."""
    before_ms, calls = purgeable.before(now_ms, keep_days), 0
    while found := purge.chunk(before_ms, keep_days, now_ms):
        calls += found
        if paused():
            return calls, Beside()
    beside = purge.beside(before_ms, now_ms)
    while not paused() and purge.vacuum():
        pass
    return calls, beside
