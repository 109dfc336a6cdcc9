"""Imported statements: each import is a new version, never an edit. What a report cites is the import's name and its hash.

For each source, subject and UTC day the newest import whose span covers the day is in force; the one before it is what the
provider said earlier (`Imported.covers`, `in_force`).
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from spendgate.audit_words import AuditWord
from spendgate.errors import LedgerUnavailable, StateError
from spendgate.ledger import audit_log, calibrations, merged, uncaptured
from spendgate.ledger.book import Book
from spendgate.ledger.calibrations import Calibration
from spendgate.ledger.counted import Counted
from spendgate.ledger.packed import Part, packed, unpacked
from spendgate.ledger.reserve import NoReserve, reserve_of
from spendgate.ledger.uncaptured import ScopesOf, Uncaptured
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.statement import DAY_MS, Line, Statement

TOTAL_NANOS_MAX: Final = 10**17
"""A hundred million dollars: ninety such statements still add up to a number that SQLite holds."""

_ADD: Final = """INSERT INTO imports
    (seq, name, at_ms, source, provider, subject, from_ms, until_ms, sha256, origin, refreshed_ms, lines, notes)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_ADD_PART: Final = "INSERT INTO statement_parts (import, part, first_ms, last_ms, lines) VALUES (?, ?, ?, ?, ?)"
_IMPORTS: Final = """SELECT seq, name, at_ms, source, provider, subject, from_ms, until_ms, sha256, origin, refreshed_ms,
    lines, notes FROM imports ORDER BY seq"""
_NAME_BYTES: Final = 4
_encode = msgspec.json.Encoder().encode
_line = msgspec.json.Decoder(Line).decode


class Imported(Struct, frozen=True):
    """One import as it stands in the ledger."""

    seq: int
    name: str
    at_ms: int
    source: str
    provider: str
    subject: str
    from_ms: int
    until_ms: int
    sha256: str
    origin: str
    refreshed_ms: int | None
    lines: int
    """How many."""
    notes: tuple[str, ...]

    def covers(self, day_ms: int) -> bool:
        """Whether it says all of the UTC day that begins then."""
        return self.from_ms <= day_ms and day_ms + DAY_MS <= self.until_ms


class StatementBook(Book):
    """Takes statements into a ledger's file, beside the gates that write to it."""

    def __init__(self, path: Path) -> None:
        """Raises StateError where the file is no ledger that this version knows."""
        super().__init__(path, NoReserve(reserve_of(path)))

    def take(self, statement: Statement, who: str, now_ms: int) -> tuple[Imported, bool]:
        """The import, and whether it is new: the same bytes of the same span twice are one, but for a span that was not over.

        Raises StateError, also for lines that come to more than a statement may.
        """
        _bounded(statement)
        parts = packed(statement.lines)  # before the transaction: gates wait for that
        return self._write(lambda conn: _take(conn, statement, parts, who, now_ms))

    def upto(self) -> uncaptured.Upto:
        """What is taken in and counted so far: ask before comparing."""
        return uncaptured.upto(self._store.conn)

    def count(
        self, span: tuple[int, int], cells: Sequence[Uncaptured], who: str, now_ms: int, upto: uncaptured.Upto
    ) -> bool:
        """What no call has of these UTC days (from, until), in place of what was said of them before.

        False, and nothing, where more than `upto` has come: a comparison without it would replace a newer one. Raises StateError.
        """
        return self._write(lambda conn: uncaptured.add(conn, span, cells, who, now_ms, upto))

    def charge(self, budgets: Sequence[Counted], scopes_of: ScopesOf) -> int:
        """Bring these budgets' balances to what was counted; see `uncaptured.take`. Raises StateError."""
        try:
            return uncaptured.take(self._store, budgets, scopes_of)
        except LedgerUnavailable as fault:
            raise StateError(f"{self._store.path}: {fault}") from fault

    def calibrate(self, learned: Sequence[Calibration], who: str, now_ms: int) -> tuple[Calibration, ...]:
        """Put these factors in force, as one calibration. Raises StateError."""
        return self._write(lambda conn: calibrations.add(conn, learned, who, now_ms))

    def _write[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._store.end(lambda known: work(known.conn))
        except LedgerUnavailable as fault:
            raise StateError(f"{self._store.path}: {fault}") from fault


def _bounded(said: Statement) -> None:
    """Each amount fits a row; what is added up of several must fit one, too, or budgets could not take what they count."""
    total = sum(max(abs(line.billed_nanos or 0), abs(line.list_nanos or 0)) for line in said.lines)
    if total > TOTAL_NANOS_MAX:
        come, most = (nanos // NANOS_PER_DOLLAR for nanos in (total, TOTAL_NANOS_MAX))
        raise StateError(
            f"{said.origin}: its lines come to ${come:,}, more than the ${most:,} that a statement may; "
            "look at the unit of its amounts"
        )


def _take(
    conn: sqlite3.Connection, said: Statement, parts: Sequence[Part], who: str, now_ms: int
) -> tuple[Imported, bool]:
    versions = imports(conn)
    newest = [each for each in versions if (each.source, each.subject) == (said.source, said.subject)][-1:]
    for each in newest:
        if (each.sha256, each.from_ms, each.until_ms) != (said.sha256, said.from_ms, said.until_ms):
            continue
        # What was taken in before its last day was over says something new once it is: that nothing was added.
        then_ms, then, now = each.until_ms, each.refreshed_ms, said.refreshed_ms
        early = each.at_ms < then_ms <= now_ms if now is None or then is None else then < then_ms <= now
        if not early:
            return each, False
        break
    else:  # these bytes are not here under this name
        _refuse_again(versions, said)
    # The order of imports is that of their times, also where ledgers are merged: no two of one ledger have the same one.
    taken_ms = {each.at_ms for each in versions}
    while now_ms in taken_ms:
        now_ms += 1
    name = secrets.token_hex(_NAME_BYTES)
    # Among statements of many ledgers its place is that of its time, as theirs are: what is merged later may be older.
    place = merged.import_place(now_ms, name) if merged.is_merged(conn) else None
    seq = conn.execute(
        _ADD,
        (
            place, name, now_ms, said.source, said.provider, said.subject, said.from_ms, said.until_ms, said.sha256, said.origin,
            said.refreshed_ms, len(said.lines), _encode(said.notes).decode(),
        ),
    ).lastrowid or 0  # fmt: skip
    conn.executemany(_ADD_PART, ((seq, at, each.first_ms, each.last_ms, each.lines) for at, each in enumerate(parts)))
    told = f"{name}: {said.source} {said.origin}, {len(said.lines)} lines, sha256 {said.sha256}"
    audit_log.append(conn, audit_log.Line(now_ms, AuditWord.IMPORTED, told, who))
    return next(each for each in imports(conn) if each.seq == seq), True


def _refuse_again(versions: Sequence[Imported], said: Statement) -> None:
    """Two accounts have no bill in common, to the byte: under a second name it would be the same account's. Raises StateError."""
    for each in beside(versions, said.source, said.provider, said.subject, (said.from_ms, said.until_ms)):
        if each.sha256 == said.sha256 and said.lines:
            raise StateError(
                f"{said.origin}: these very bytes are import {each.name} {called(each)}, in force: under another name they would "
                "look like a second account's, and no import is ever taken out, only outweighed by a newer one under its own "
                f"name. Nothing is added; go on {called(each)}"
            )


def called(one: Imported) -> str:
    """By which name it was imported, as a command would say it."""
    return f"with --account {one.subject!r}" if one.subject else "without --account"


def beside(
    versions: Iterable[Imported], source: str, provider: str, subject: str, span: tuple[int, int]
) -> tuple[Imported, ...]:
    """Imports of the same source and provider under other names that are in force on a UTC day of the span: all of them count."""
    alike = [
        each for each in versions if (each.source, each.provider) == (source, provider) and each.subject != subject
    ]
    days = range(span[0], span[1], DAY_MS)
    found = {newest.seq: newest for day in days for newest, *_ in in_force(alike, day).values() if newest.lines}
    return tuple(found[seq] for seq in sorted(found))


def imports(conn: sqlite3.Connection) -> tuple[Imported, ...]:
    """All of them, oldest first."""
    return tuple(_imported(row) for row in conn.execute(_IMPORTS))


def _imported(row: tuple[Any, ...]) -> Imported:
    values = (*row[:-1], tuple(msgspec.json.decode(row[-1], type=list[str])))
    return Imported(**dict(zip(Imported.__struct_fields__, values, strict=True)))


def lines(conn: sqlite3.Connection, one: Imported, from_ms: int, until_ms: int) -> tuple[Line, ...]:
    """Its lines that begin from `from_ms` on and before `until_ms`, in their order."""
    older = conn.execute(
        "SELECT line FROM statement_lines WHERE import = ? AND starts_ms >= ? AND starts_ms < ? ORDER BY position",
        (one.seq, from_ms, until_ms),
    )
    parts = conn.execute(
        "SELECT lines FROM statement_parts WHERE import = ? AND last_ms >= ? AND first_ms < ? ORDER BY part",
        (one.seq, from_ms, until_ms),
    )
    return (
        *(_line(line) for (line,) in older),
        *(line for (part,) in parts for line in unpacked(part, from_ms, until_ms)),
    )


def in_force(versions: Iterable[Imported], day_ms: int) -> dict[tuple[str, str], tuple[Imported, ...]]:
    """By source and subject the imports that cover the UTC day, newest first: the first is in force."""
    found: dict[tuple[str, str], list[Imported]] = {}
    for each in versions:
        if each.covers(day_ms):
            found.setdefault((each.source, each.subject), []).insert(0, each)
    return {key: tuple(each) for key, each in found.items()}
