"""The whole ledger recomputed: the first altered or missing line of either chain, by number, time and what it is.

Reads one snapshot and every row of it. What is wrong is a value, never an exception, so that a ledger in which anything at all
was changed can still be asked what.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from spendgate.errors import LedgerUnavailable
from spendgate.ledger import audit_log, chain, heads, purged_lines

CALLS, AUDIT, HEADS, FILE, SUMS = "calls", "audit", "heads", "file", "sums"
_DAYS: Final = "day sums"
_LINKS: Final = """SELECT chain.position, chain.form, chain.digest, chain.head, chain.call, call_rows.*
    FROM chain LEFT JOIN call_rows ON call_rows.seq = chain.call WHERE chain.position > ? ORDER BY chain.position"""
_LINES: Final = """SELECT audit.position, at_ms, what, who, detail, calls, calls_head, audit.digest, audit.head, chain.head
    FROM audit LEFT JOIN chain ON chain.position = audit.calls ORDER BY audit.position"""
_SLICE: Final = 64
_PAUSE_S: Final = 0.001
_OWN: Final = 5
"""Columns of the link itself, before those of its call."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it was written."""

    where: str
    """`calls`, `audit`, `heads`, `file` or `sums`."""
    fault: str
    number: int | None = None
    """Of the link or line."""
    at_ms: int | None = None
    """When it, or for missing ones the one before them, was written or booked; None: nothing says."""
    what: str = ""
    """The call's id, or the audit line's word."""

    def __str__(self) -> str:
        name = {CALLS: "link", AUDIT: "audit line"}.get(self.where, self.where)
        number = "" if self.number is None else f" {self.number}"
        about = ", ".join(part for part in (_iso(self.at_ms), self.what) if part)
        return f"{name}{number}{f' ({about})' if about else ''}: {self.fault}"


def verify(conn: sqlite3.Connection, seen: heads.Heads | None = None) -> Iterator[Fault]:
    """Every fault, the file's own first, then those against `seen`, of the audit trail, of the calls; none: it all holds."""
    conn.text_factory = _text
    try:
        conn.execute("BEGIN")
        try:
            yield from _damaged(conn)
            if seen is not None and (found := heads.unlike(conn, seen)) is not None:
                yield Fault(HEADS, found.detail, what=found.what.value)
            yield from lines(conn)
            yield from links(conn)
            yield from purged(conn)
        finally:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
    except sqlite3.Error as fault:
        yield Fault(FILE, f"it cannot be read to its end: {fault}")


def _text(raw: bytes) -> str:
    """A byte that no UTF-8 text has is a changed text, and no fault of the reader's."""
    return raw.decode(errors="surrogateescape")


def _damaged(conn: sqlite3.Connection) -> Iterator[Fault]:
    said = conn.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if said != "ok":
        yield Fault(FILE, f"SQLite finds it damaged: {said}")


# -- the audit trail -------------------------------------------------------------------------------------------------


def lines(conn: sqlite3.Connection) -> Iterator[Fault]:
    """Faults of the audit trail, in its order."""
    before, expected, before_ms, before_calls = audit_log.first(conn), 1, None, 0
    for position, at_ms, what, who, detail, calls, calls_head, digest, head, link in conn.execute(_LINES):
        if position != expected:
            yield _missing(AUDIT, expected, position - 1, before_ms)
        for fault in _line_faults((position, at_ms, what, who, detail, calls, calls_head), digest, link, before_calls):
            yield Fault(AUDIT, fault, position, at_ms, what)
        if hashlib.sha256(before + digest).digest() != head:
            yield Fault(AUDIT, "does not follow from the one before", position, at_ms, what)
        before, expected, before_ms, before_calls = head, position + 1, at_ms, calls


def _line_faults(values: tuple[Any, ...], digest: bytes, link: bytes | None, before_calls: int) -> Iterator[str]:
    *_, calls, calls_head = values
    if audit_log.digest(values) != digest:
        yield "is not what was written"
    if calls < before_calls:
        yield f"was written after {calls} calls had ended, the one before it after {before_calls}"
    if calls and link is None:
        yield f"link {calls} of the calls, after which it was written, is missing"
    elif (link if calls else chain.FIRST) != calls_head:
        yield f"link {calls} of the calls is not the one after which it was written"


# -- the calls -------------------------------------------------------------------------------------------------------


def links(conn: sqlite3.Connection, after: int = 0, head_after: bytes = chain.FIRST) -> Iterator[Fault]:
    """Faults of the chain over ended calls, in its order; of those after a link that was read before, which had this head. A call
    that an audit line says was purged is not missing."""
    yield from _followed(conn.execute(_LINKS, (after,)), head_after, after + 1, purged_lines.read(conn))
    yield from _unchained(conn)


def newest(path: Path, count: int, stopped: Callable[[], bool]) -> tuple[Fault, ...]:
    """Faults of the newest so many links and of their calls, on a connection of its own that reads alone; none, too, where it was
    stopped. For a thread that leaves the others theirs. Raises LedgerUnavailable."""
    found: list[Fault] = []
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as conn:
            conn.text_factory = _text
            conn.execute("BEGIN")  # what is purged meanwhile is a row or in a line, at one moment
            (last,) = conn.execute("SELECT coalesce(max(position), 0) FROM chain").fetchone()
            after = max(0, last - count)
            head = conn.execute("SELECT head FROM chain WHERE position = ?", (after,)).fetchone()
            rows = _Sliced(conn.execute(_LINKS, (after,)), stopped)
            # A link that is missing there is told as such.
            before, expected = head[0] if head else chain.FIRST, after + 1 if head or not after else after
            found.extend(_followed(rows, before, expected, purged_lines.read(conn)))
    except sqlite3.Error as fault:
        raise LedgerUnavailable(f"the calls could not be read again: {fault}") from fault
    return () if stopped() else tuple(found)


class _Sliced:
    """A cursor's rows, with a pause every so often."""

    def __init__(self, cursor: sqlite3.Cursor, stopped: Callable[[], bool]) -> None:
        self._cursor, self._stopped = cursor, stopped
        self.description = cursor.description

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for number, row in enumerate(self._cursor):
            if number % _SLICE == 0:
                if self._stopped():
                    return
                time.sleep(_PAUSE_S)
            yield row


def _followed(
    cursor: sqlite3.Cursor | _Sliced, before: bytes, expected: int, gone: purged_lines.PurgedCalls
) -> Iterator[Fault]:
    """Faults of these links, of which the first is to be number `expected` and to follow from `before`; the calls `gone` are
    purged."""
    names = tuple(column[0] for column in cursor.description)[_OWN:]
    booked_at, id_at = names.index("booked_ms"), names.index("id")
    before_ms = None
    for position, form, digest, head, call, *row in cursor:
        at_ms, what = row[booked_at], f"call {row[id_at]}" if row[id_at] is not None else ""
        if position != expected:
            yield _missing(CALLS, expected, position - 1, before_ms)
        if hashlib.sha256(before + digest).digest() != head:
            yield Fault(CALLS, "does not follow from the one before", position, at_ms, what)
        is_there = row[id_at] is not None
        if call in gone:
            faults: Iterable[str] = (f"its call, row {call}, was purged and is there",) if is_there else ()
        else:
            faults = _row_faults(names, call, form, digest, row)
        for fault in faults:
            yield Fault(CALLS, fault, position, at_ms, what)
        before, expected, before_ms = head, position + 1, at_ms


def purged(conn: sqlite3.Connection) -> Iterator[Fault]:
    """Sums of purged calls that are not what the audit trail says, and lines of a purge that no purge has written."""
    for line in purged_lines.read(conn).faults(conn):
        yield Fault(_DAYS, line.fault, line.number, line.at_ms, line.what)


def _row_faults(names: tuple[str, ...], call: int, form: int, digest: bytes, row: list[Any]) -> Iterator[str]:
    if row[names.index("id")] is None:
        yield f"its call, row {call}, is missing"
    elif form not in chain.FORMS:
        yield f"is of form {form}, which is not known"
    else:
        covered, stray = _columns(names, form)
        if hashlib.sha256(chain.canonical(covered(row))).digest() != digest:
            yield "is not what was chained"
        for index in stray:
            if row[index]:
                yield f"has a {names[index]} that was not chained"


@cache
def _columns(names: tuple[str, ...], form: int) -> tuple[itemgetter[Any], tuple[int, ...]]:
    """What takes the covered values out of a row, and where the columns stand that must be empty."""
    covered = (*chain.BEGINNINGS[form], *chain.FORMS[form])
    stray = set(names) - chain.UNCHAINED - set(covered)
    return itemgetter(*map(names.index, covered)), tuple(sorted(map(names.index, stray)))


def _unchained(conn: sqlite3.Connection) -> Iterator[Fault]:
    found = conn.execute("""SELECT id, booked_ms FROM call_rows WHERE state <> 'open' AND seq NOT IN (SELECT call FROM chain)
        ORDER BY seq""").fetchall()
    if found:
        call, at_ms = found[0]
        yield Fault(CALLS, f"{len(found)} ended calls are in no link, this the first", None, at_ms, f"call {call}")


def _missing(where: str, first: int, last: int, after_ms: int | None) -> Fault:
    number = f"number {first} is" if first == last else f"numbers {first} to {last} are"
    return Fault(where, f"{number} missing", first, after_ms, "" if after_ms is None else "the one before it")


def _iso(at_ms: int | None) -> str:
    if at_ms is None:
        return ""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"
