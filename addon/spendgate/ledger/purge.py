"""Purging by `privacy.keep`: calls of days that are over for so long become sums of their day, and their rows go.

One transaction purges at most `CHUNK` calls of one UTC day: their sums are added, what they still are of balances is noted there
(`purged_nanos`), their rows, charges and waits for results are deleted, and an audit line says which they were and what the sums
of the day are after it; another one, what balances were given whose window still runs (`marks`). So at any moment, also after
`kill -9`, every call is either a row or in a sum, and no balance changes. The chain keeps its links; `verify` takes a link
without its call for purged where an audit line says so, else for tampered with.

Not for the event loop; on a connection of its own, which waits for others and whose transactions are short. One process purges at
a time, chunk by chunk (`gates/purge.one`). It does not use the reserve of a full disk. What stays: open calls, and the newest
row, since a row id must never be given twice.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

from spendgate.audit_words import AuditWord
from spendgate.errors import LedgerBusy, StateError
from spendgate.ledger import audit_log, day_sums, marks, merged, schema
from spendgate.ledger.day_sums import Totals
from spendgate.ledger.gates import GateLock
from spendgate.ledger.known import Known
from spendgate.ledger.reserve import Reserve, reserve_of
from spendgate.ledger.store import Store, unavailable
from spendgate.money import dollars
from spendgate.window import DAY_MS

CHUNK: Final = 100
"""Calls in one transaction."""
_RUNS_MAX: Final = 40
"""Runs of row ids in one audit line."""
ONE: Final = "purge.one"
"""The lock of whoever purges or counts sums, beside the gates' own."""
_FREE_LEAST_PAGES: Final = 512
"""Free pages that stay in the file: the next rows take them."""
_FREE_SHARE: Final = 10
"""Or a tenth of the file."""
_VACUUM_PAGES: Final = 256
"""Pages that are given back in one transaction."""
_INCREMENTAL: Final = 2
"""SQLite's number for `auto_vacuum = INCREMENTAL`."""

_AGAIN_S: Final = 0.002

Runs = tuple[tuple[int, int], ...]
"""Row ids from … to …, both included."""

_BALANCE_AT, _CHARGED_AT = 0, 5
"""Places in what an ended call has in `holds` for each balance (`open_calls.Ended`)."""
_PURGEABLE: Final = "booked_ms < ? AND state <> 'open' AND seq < (SELECT max(seq) FROM call_rows)"
_OLDEST: Final = f"SELECT booked_ms FROM call_rows WHERE {_PURGEABLE} ORDER BY booked_ms LIMIT 1"  # noqa: S608 - our own words
_NEXT: Final = f"SELECT seq FROM call_rows WHERE booked_ms >= ? AND {_PURGEABLE} ORDER BY booked_ms, seq LIMIT ?"  # noqa: S608 - as above
_CALLS: Final = "IN (SELECT value FROM json_each(?))"
_COUNT: Final = f"""SELECT count(*), min(booked_ms), max(booked_ms) FROM call_rows WHERE {_PURGEABLE}"""  # noqa: S608 - as above
# Not over the view `holds`: SQLite would go through all of it.
_CARRIED: Final = f"""SELECT b.id, b.edge_ms IS NOT NULL, b.ends_ms, sum(h.nanos), sum(h.nanos) FILTER (WHERE h.chained) FROM (
        SELECT json_extract(hold.value, '$[{_BALANCE_AT}]') AS balance, booked_ms,
            json_extract(hold.value, '$[{_CHARGED_AT}]') AS nanos, 1 AS chained
        FROM call_rows, json_each(call_rows.holds) AS hold WHERE seq {_CALLS}
        UNION ALL SELECT balance, booked_ms, charged_nanos, 0 FROM charges WHERE call {_CALLS}
    ) h CROSS JOIN balances b ON b.id = h.balance
    WHERE h.nanos <> 0 AND (b.edge_ms IS NULL OR h.booked_ms > b.edge_ms) GROUP BY b.id"""  # noqa: S608 - as above
_TOLD: Final = """at_ms < ? AND (form <> 'digest' OR at_ms < ?) AND window <> 'life' AND window NOT GLOB 'line *'
    AND routed = 1 AND coalesce(again_ms, 0) <= ?"""
_LETTER_KEPT_MS: Final = 15 * DAY_MS
"""A digest of the week that is over would be written anew, were it not there."""
_KINDS: Final = f"""SELECT kind, count(*) FROM call_rows WHERE seq {_CALLS} AND state = 'settled' AND value_nanos > 0
    AND held_nanos IS NOT NULL GROUP BY kind"""  # noqa: S608 - as above
_FORM: Final = re.compile(
    r"([\d,]+) calls of (\d{4}-\d\d-\d\d), kept for (\d+) days: rows ([\d, -]+); \S+ spent, \S+ at list price;"
    r" sums of the day sha256 ([0-9a-f]{64})",
    re.ASCII,
)


class Plan(Struct, frozen=True):
    """What a purge at this moment would take."""

    before_ms: int
    """Calls booked before this, the beginning of a UTC day."""
    calls: int
    first_ms: int | None
    last_ms: int | None
    """When the first and the last of them were booked; None: there is none."""


class Purged(Struct, frozen=True):
    """One audit line of a purge, as its detail has it."""

    day: str
    calls: int
    keep_days: int
    runs: Runs
    digest: str

    @classmethod
    def parse(cls, detail: str) -> Purged | None:
        """Read a detail back; None where it is none."""
        found = _FORM.fullmatch(detail)
        if found is None:
            return None
        runs = []
        for run in found[4].split(", "):
            first, _, last = run.partition("-")
            runs.append((int(first), int(last or first)))
        return cls(found[2], int(found[1].replace(",", "")), int(found[3]), tuple(runs), found[5])


class Beside(Struct, frozen=True):
    """What else was older than is kept: how many rows went."""

    balances: int = 0
    alerts: int = 0
    asks: int = 0
    means: int = 0
    coverage: int = 0

    @property
    def any(self) -> bool:
        """Whether anything went."""
        return any(self.values())

    def values(self) -> tuple[int, ...]:
        """Its numbers, in order."""
        return self.balances, self.alerts, self.asks, self.means, self.coverage

    def __str__(self) -> str:
        words = ("balances of windows that are over", "alerts", "asks", "days' means", "hosts that were not read")
        return ", ".join(f"{count:,} {word}" for count, word in zip(self.values(), words, strict=True) if count)


def before(now_ms: int, keep_days: int) -> int:
    """Whole UTC days that ended more than `keep_days` ago may go: the beginning of the first that stays."""
    return (now_ms // DAY_MS - keep_days) * DAY_MS


def plan(conn: sqlite3.Connection, before_ms: int) -> Plan:
    """What would go. Only reads."""
    return Plan(before_ms, *conn.execute(_COUNT, (before_ms,)).fetchone())


def totals(conn: sqlite3.Connection) -> Totals:
    """All ended calls that the ledger ever had, of one moment: rows and sums."""
    conn.execute("BEGIN")
    try:
        return day_sums.totals_of_calls(conn) + day_sums.totals(conn)
    finally:
        conn.execute("ROLLBACK")


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
        return self._store.read(totals)

    def plan(self, before_ms: int) -> Plan:
        """What would go. Raises LedgerUnavailable."""
        return self._store.read(lambda conn: plan(conn, before_ms))

    def chunk(self, before_ms: int, keep_days: int, now_ms: int) -> int:
        """Purge the oldest calls that may go, at most `CHUNK`; how many. 0: there is none.

        Raises LedgerBusy where another process purges, LedgerUnavailable; nothing is then changed.
        """
        with locked(self._gates):
            conn = self._store.conn
            try:
                oldest = conn.execute(_OLDEST, (before_ms,)).fetchone()
                if oldest is None:
                    return 0
                day_ms = oldest[0] // DAY_MS * DAY_MS
                values = (oldest[0], min(before_ms, day_ms + DAY_MS), CHUNK)
                runs = _runs(sorted(seq for (seq,) in conn.execute(_NEXT, values)))
                seqs = [seq for first, last in runs for seq in range(first, last + 1)]
                calls = json.dumps(seqs)
                # Ended calls do not change: what they add up to can be asked before anybody is kept from writing.
                cells, kinds = day_sums.of_calls(conn, calls), conn.execute(_KINDS, (calls,)).fetchall()
            except sqlite3.Error as fault:
                raise unavailable(fault) from fault
            day = datetime.fromtimestamp(day_ms // 1000, UTC).strftime("%Y-%m-%d")

            def work(known: Known) -> None:
                given = _purge(known.conn, calls, cells, kinds, before_ms)
                digest = day_sums.digest(known.conn, day)
                said = _said(Purged(day, len(seqs), keep_days, runs, digest), cells)
                audit_log.append(known.conn, audit_log.Line(now_ms, AuditWord.PURGED, said))
                marks.tell(known.conn, marks.PURGED, given, now_ms)

            self._store.write(work)
            return len(seqs)

    def beside(self, before_ms: int, now_ms: int) -> Beside:
        """Once no call is left that may go: balances of windows that were over before the oldest row, alerts, asks, means and
        unread hosts from before then. Raises as `chunk`."""
        with locked(self._gates):

            def work(known: Known) -> Beside:
                found = _beside(known.conn, before_ms, now_ms)
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


@contextmanager
def locked(gates: Path, patience_s: float = 0.0) -> Iterator[None]:
    """Nobody else purges meanwhile, or counts what was purged. Raises LedgerBusy, StateError."""
    until = time.monotonic() + patience_s
    try:
        while (lock := GateLock.take(gates / ONE, create=True)) is None:
            if time.monotonic() >= until:
                raise LedgerBusy("another process is purging the ledger")
            time.sleep(_AGAIN_S)
    except OSError as fault:
        raise StateError(f"{gates / ONE}: {fault.strerror or fault}") from fault
    try:
        yield
    finally:
        lock.drop()


def _runs(seqs: list[int]) -> Runs:
    """Row ids as runs, at most as many as one audit line has room for."""
    if not seqs:
        return ()
    ends = [at for at, after in pairwise(seqs) if after != at + 1]
    starts = [after for at, after in pairwise(seqs) if after != at + 1]
    return tuple(zip([seqs[0], *starts], [*ends, seqs[-1]], strict=True))[:_RUNS_MAX]


def _said(what: Purged, cells: list[day_sums.Cell]) -> str:
    cost, value = (_sum(cells, name) for name in ("cost_nanos", "value_nanos"))
    runs = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in what.runs)
    return (
        f"{what.calls:,} calls of {what.day}, kept for {what.keep_days} days: rows {runs}; {dollars(cost)} spent,"
        f" {dollars(value)} at list price; sums of the day sha256 {what.digest}"
    )


def _sum(cells: list[day_sums.Cell], name: str) -> int:
    at = len(day_sums.KEY) + day_sums.COUNTED.index(name)
    return sum(int(cell[at]) for cell in cells)


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


def _beside(conn: sqlite3.Connection, before_ms: int, now_ms: int) -> Beside:
    [oldest] = conn.execute("SELECT min(booked_ms) FROM call_rows").fetchone()
    upto_ms = before_ms if oldest is None else min(before_ms, oldest)
    conn.execute("UPDATE purging SET before_ms = max(before_ms, ?)", (before_ms,))

    def gone(sql: str, *values: int) -> int:
        return conn.execute(f"DELETE FROM {sql}", values).rowcount  # noqa: S608 - our own words

    told = (before_ms, now_ms - _LETTER_KEPT_MS, now_ms)
    gone(
        "sums WHERE open_calls = 0 AND held = 0 AND id IN (SELECT id FROM windows WHERE budget <> '' AND ends_ms <= ?)",
        upto_ms,
    )
    balances = gone("windows WHERE id NOT IN (SELECT id FROM sums)")
    # What is told once for a life or for a line of the audit trail stays, and so does what is still to be sent.
    gone(
        f"""deliveries WHERE alert IN (SELECT id FROM alerts WHERE {_TOLD})
            AND (delivered_ms IS NOT NULL OR given_up_ms IS NOT NULL)""",  # noqa: S608 - our own words
        *told,
    )  # fmt: skip
    alerts = gone(
        f"alerts WHERE {_TOLD} AND id NOT IN (SELECT alert FROM deliveries)",  # noqa: S608 - our own words
        *told,
    )  # fmt: skip
    gone("letters WHERE alert NOT IN (SELECT id FROM alerts)")
    asks = gone("asks WHERE until_ms < ? AND at_ms < ?", before_ms, before_ms)
    means = gone("means WHERE at_ms < ?", before_ms)
    coverage = gone("coverage WHERE last_ms < ?", before_ms)
    return Beside(balances, alerts, asks, means, coverage)


def run(purge: Purge, keep_days: int, now_ms: int, *, paused: Callable[[], bool] = lambda: False) -> tuple[int, Beside]:
    """All that may go at this moment; how many calls, and what else. `paused` is asked after each transaction, may wait, and
    stops it by True. Raises as `Purge.chunk`."""
    before_ms, calls = before(now_ms, keep_days), 0
    while found := purge.chunk(before_ms, keep_days, now_ms):
        calls += found
        if paused():
            return calls, Beside()
    beside = purge.beside(before_ms, now_ms)
    while not paused() and purge.vacuum():
        pass
    return calls, beside
