"""The calls' chain, followed link by link, each compared with its row.

What a digest covers is JSON that SQLite itself writes of the row, without a value becoming Python's: three times as fast as
fetching them. Where that is not what was chained, the row is fetched and judged by Python's encoder, the one that counts: SQLite
writes other than ASCII as it is, and a fault is to be told by its column.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from spendgate.ledger import chain
from spendgate.ledger.fault import CALLS, Fault, missing
from spendgate.ledger.purged_lines import PurgedCalls

_SLICE: Final = 64
_PAUSE_S: Final = 0.001
_LINKS: Final = """SELECT position, form, digest, head, call, call_rows.seq, {said}, {stray}
    FROM chain LEFT JOIN call_rows ON call_rows.seq = chain.call WHERE position > ? ORDER BY position"""
_decode = msgspec.json.Decoder().decode


class Start(NamedTuple):
    """Where following begins."""

    after: int = 0
    """The link before, which was read already."""
    head: bytes = chain.FIRST
    """Of that one."""
    expected: int = 1
    """The number that the next one must have."""


def followed(
    conn: sqlite3.Connection, start: Start, gone: PurgedCalls, stopped: Callable[[], bool] | None = None
) -> Iterator[Fault]:
    """Faults of the links from there on; the calls `gone` are purged. With `stopped` it pauses every so often, and ends where
    that says so."""
    after, before, expected = start
    some_gone, call_before = gone.calls > 0, 0
    for number, (position, form, digest, head, call, row, said, stray) in enumerate(_links(conn, after)):
        if stopped is not None and number % _SLICE == 0:
            if stopped():
                return
            time.sleep(_PAUSE_S)
        if position != expected:
            yield missing(CALLS, expected, position - 1, _booked(conn, call_before)[0])
        if sha256(before + digest).digest() != head:
            yield Fault(CALLS, "does not follow from the one before", position, *_booked(conn, call))
        if some_gone and call in gone:
            if row is not None:
                yield Fault(CALLS, f"its call, row {call}, was purged and is there", position, *_booked(conn, call))
        elif stray is not None or said is None or not _is_chained(said, digest):
            for fault in _row_faults(conn, call, form, digest):
                yield Fault(CALLS, fault, position, *_booked(conn, call))
        before, expected, call_before = head, position + 1, call


def unchained(conn: sqlite3.Connection) -> Iterator[Fault]:
    """Calls that have ended and are in no link."""
    found = conn.execute("""SELECT id, booked_ms FROM call_rows WHERE state <> 'open' AND seq NOT IN (SELECT call FROM chain)
        ORDER BY seq""").fetchall()
    if found:
        call, at_ms = found[0]
        yield Fault(CALLS, f"{len(found)} ended calls are in no link, this the first", None, at_ms, f"call {call}")


def ended(conn: sqlite3.Connection) -> int:
    """How many calls have ended and are still there."""
    return int(conn.execute("SELECT count(*) FROM call_rows WHERE state <> 'open'").fetchone()[0])


def _links(conn: sqlite3.Connection, after: int) -> Iterator[tuple[Any, ...]]:
    """Each link, the number of its row, what SQLite writes of it, and what stands in a column that must be empty."""
    names = frozenset(row[1] for row in conn.execute("PRAGMA table_info(call_rows)"))
    at = after
    try:
        for link in conn.execute(_written(names), (after,)):
            at = link[0]
            yield link
    except sqlite3.OperationalError:
        # Something stands in a column of which no JSON can be made: from here on each row is fetched, to be told which.
        yield from conn.execute(_LINKS.format(said="NULL", stray="NULL"), (at,))


@cache
def _written(names: frozenset[str]) -> str:
    said, stray = [], []
    for form in chain.FORMS:
        covered = (*chain.BEGINNINGS[form], *chain.FORMS[form])
        if names.issuperset(covered):
            said.append(f"WHEN {form} THEN json_array({', '.join(f'call_rows.{name}' for name in covered)})")
            empty = sorted(names - chain.UNCHAINED - set(covered))
            stray.append(f"WHEN {form} THEN coalesce({', '.join(f'call_rows.{name}' for name in empty)}, NULL)")
    cases = (f"CASE form {' '.join(each)} END" for each in (said, stray))
    return _LINKS.format(**dict(zip(("said", "stray"), (f"CAST({next(cases)} AS BLOB)", next(cases)), strict=True)))


def _is_chained(said: bytes, digest: bytes) -> bool:
    """Whether these values are what was chained, also where Python's encoder writes them otherwise than SQLite."""
    if sha256(said).digest() == digest:
        return True
    try:
        return sha256(chain.canonical(tuple(_decode(said)))).digest() == digest
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _row_faults(conn: sqlite3.Connection, call: int, form: int, digest: bytes) -> Iterator[str]:
    cursor = conn.execute("SELECT * FROM call_rows WHERE seq = ?", (call,))
    names, row = tuple(column[0] for column in cursor.description), cursor.fetchone()
    if row is None:
        yield f"its call, row {call}, is missing"
    elif form not in chain.FORMS or not set(names).issuperset((*chain.BEGINNINGS[form], *chain.FORMS[form])):
        yield f"is of form {form}, which is not known"
    else:
        covered, stray = _columns(names, form)
        if sha256(chain.canonical(covered(row))).digest() != digest:
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


def _booked(conn: sqlite3.Connection, call: int) -> tuple[int | None, str]:
    """When a row was booked, and its call's name, for a fault's sentence."""
    found = conn.execute("SELECT booked_ms, id FROM call_rows WHERE seq = ?", (call,)).fetchone()
    return (found[0], f"call {found[1]}") if found else (None, "")
