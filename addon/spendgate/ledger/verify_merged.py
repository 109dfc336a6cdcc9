"""A merged file recomputed, as far as it can be by itself: audit trails, sums by day, and that no call is missing.

Links of the calls' chains are not copied, since each was verified with its call when that was taken: a call that was changed here
since then is found by merging into a new file, and by a verify of its source. What a source's own audit trail says of it is here.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from typing import Final

from spendgate.audit_words import AuditWord
from spendgate.ledger import audit_log, chain, day_sums, merged
from spendgate.ledger.fault import AUDIT, CALLS, DAYS, FILE, Fault, missing
from spendgate.ledger.merged import SEQ_BITS, Source
from spendgate.ledger.purged_lines import Purged

_LINES: Final = """SELECT position, at_ms, what, who, detail, calls, calls_head, digest, head FROM source_audit
    WHERE source = ? ORDER BY position"""
_ENDED: Final = "SELECT count(*) FROM call_rows WHERE seq > ? AND seq < ? AND state <> 'open'"
_DAY: Final = f"""SELECT {", ".join((*day_sums.KEY, *day_sums.COUNTED))} FROM source_day_sums WHERE source = ? AND day = ?
    ORDER BY {", ".join(day_sums.KEY)}"""  # noqa: S608 - our own columns
_SUMS: Final = ", ".join((*day_sums.KEY, *(f"sum({name})" for name in day_sums.COUNTED)))
_UNLIKE: Final = f"""SELECT count(*) FROM (
    SELECT * FROM (SELECT {_SUMS} FROM source_day_sums GROUP BY {", ".join(day_sums.KEY)} EXCEPT SELECT * FROM day_sums)
    UNION ALL
    SELECT * FROM (SELECT * FROM day_sums EXCEPT SELECT {_SUMS} FROM source_day_sums GROUP BY {", ".join(day_sums.KEY)}))"""  # noqa: S608


def verify(conn: sqlite3.Connection) -> Iterator[Fault]:
    """Every fault, the file's own first, then source by source; none: it holds."""
    try:
        conn.execute("BEGIN")
        try:
            said = conn.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if said != "ok":
                yield Fault(FILE, f"SQLite finds it damaged: {said}")
            for source in merged.sources(conn):
                if source.fault:
                    yield Fault(_named(source), f"was taken although it was not as it was written: {source.fault}")
                yield from _source_faults(conn, source)
            if conn.execute(_UNLIKE).fetchone()[0]:
                yield Fault(DAYS, "they are not what those of the sources come to")
        finally:
            conn.execute("ROLLBACK")
    except sqlite3.Error as fault:
        yield Fault(FILE, f"it cannot be read to its end: {fault}")


def _source_faults(conn: sqlite3.Connection, source: Source) -> Iterator[Fault]:
    where, before, expected = _named(source), _first(source), 1
    said: list[Purged] = []
    for position, at_ms, what, who, detail, calls, calls_head, digest, head in conn.execute(_LINES, (source.number,)):
        if position != expected:
            yield missing(f"{where}, audit", expected, position - 1, None)
        if audit_log.digest((position, at_ms, what, who, detail, calls, calls_head)) != digest:
            yield Fault(f"{where}, {AUDIT}", "is not what was written", position, at_ms, what)
        if hashlib.sha256(before + digest).digest() != head:
            yield Fault(f"{where}, {AUDIT}", "does not follow from the one before", position, at_ms, what)
        if what == AuditWord.PURGED and (line := Purged.parse(detail)) is not None:
            said.append(line)
        before, expected = head, position + 1
    if (expected - 1, before) != (source.audit_lines, source.audit_head):
        yield Fault(
            f"{where}, {AUDIT}", f"its trail does not end as it did when it was taken, at line {source.audit_lines}"
        )
    base = source.number << SEQ_BITS
    ended = conn.execute(_ENDED, (base, base + (1 << SEQ_BITS))).fetchone()[0]
    purged = sum(line.calls for line in said)
    if not source.fault and ended + purged != source.links:
        told = f"{ended} ended calls are here and {purged} were purged, of the {source.links} that it had"
        yield Fault(f"{where}, {CALLS}", told)
    for day, line in {line.day: line for line in said}.items():
        found = hashlib.sha256()
        for row in conn.execute(_DAY, (source.number, day)):
            found.update(chain.canonical(row) + b"\n")
        if not source.fault and found.hexdigest() != line.digest:
            yield Fault(f"{where}, {DAYS}", f"the sums of {day} are not what was written when its calls were purged")


def _named(source: Source) -> str:
    return f"ledger {source.id}{f' ({source.machine})' if source.machine else ''}"


def _first(source: Source) -> bytes:
    """What stands before the first line of its trail, as `audit_log.first`."""
    return hashlib.sha256(f"{source.id} {source.created_ms}".encode()).digest()
