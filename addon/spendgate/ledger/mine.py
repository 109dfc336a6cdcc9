"""Everything in a ledger that is about one person: what `me` shows. Each table once, with the rows themselves."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from spendgate.audit_words import AuditWord

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Whose:
    """The asking account, and the person that it alone is; None: an allowance that several accounts share, whose rows are not
    one account's."""

    account: str
    person: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What one table has of the person. Times in epoch milliseconds; None where rows have none, or there is no row."""

    table: str
    what: str
    until: str
    """For how long: `keep` as calls are, `good`."""
    rows: tuple[Row, ...]
    first_ms: int | None
    last_ms: int | None


_OWN: Final = "(account_os = :account OR person = :person)"
# A balance's value is one of `per`, or several with | between; a session's is told by the person's own calls.
_VALUE: Final = f"""('|' || value || '|' LIKE '%|' || :like || '|%' ESCAPE '\\'
    OR value IN (SELECT session FROM call_rows WHERE {_OWN} AND session IS NOT NULL))"""  # noqa: S608 - our own words
# The message of an ask is for those who answer it, and is about whoever asked.
_ABOUT: Final = "(person = :person OR (form = 'ask' AND value = :person))"
_KEEP, _GOOD, _WINDOW = "keep", "good", "keep after its window is over; of a life for good"

_TABLES: Final = (
    ("calls", "one row for each call: counts, names, costs, times; no content", _KEEP, "booked_ms",
     """SELECT calls.*, booked_ms FROM call_rows JOIN calls USING (id) WHERE
         (call_rows.account_os = :account OR call_rows.person = :person) ORDER BY seq"""),
    ("day_sums", "sums by day of calls whose rows were purged", _GOOD, None,
     "SELECT * FROM day_sums WHERE person = :person ORDER BY day"),
    ("balances", "what a budget's window has settled and holds for you or a session of yours", _WINDOW, "starts_ms",
     f"""SELECT budget, value, window, starts_ms, ends_ms, settled, held, open_calls FROM balances
         WHERE budget <> '' AND {_VALUE} ORDER BY starts_ms"""),  # noqa: S608 - our own words
    ("means", "what a day's limit by the mean rests on", _KEEP, "at_ms",
     f"SELECT budget, value, day, settled_nanos, days, at_ms FROM means WHERE {_VALUE} ORDER BY at_ms"),  # noqa: S608
    ("claims", "the one window of an exception that holds once", _GOOD, "at_ms",
     f"SELECT exception, value, window, at_ms FROM claims WHERE {_VALUE} ORDER BY at_ms"),  # noqa: S608
    ("alerts", "what was told about you", "keep; of a life for good", "at_ms",
     f"SELECT * FROM alerts WHERE {_ABOUT} ORDER BY id"),  # noqa: S608 - our own words
    ("deliveries", "to whom that went", "with its alert", "due_ms",
     f"""SELECT deliveries.* FROM deliveries JOIN alerts ON alerts.id = alert
         WHERE {_ABOUT} ORDER BY alert, receiver"""),  # noqa: S608 - our own words
    ("asks", "what you asked for, with the reason that you typed", _KEEP, "at_ms",
     "SELECT id, at_ms, until_ms, person, budget, amount_nanos, reason, asked_of FROM asks WHERE person = :person ORDER BY seq"),
    ("grants", "what you were granted, signed", _GOOD, "at_ms",
     """SELECT id, ask, at_ms, from_ms, until_ms, person, budget, amount_nanos, approver, reason FROM grants
        WHERE person = :person ORDER BY seq"""),
    ("coverage", "hosts of providers that could not be read, counted", _KEEP, "last_ms",
     "SELECT * FROM coverage WHERE account = :account ORDER BY last_ms"),
)  # fmt: skip

_OF_LETTERS: Final = ("letters", "digests of a week in which you are named, beside others: not their text", _KEEP)
_OF_AUDIT: Final = ("audit", "audit lines about you; and that others name you, without their text", _GOOD)
TOLD: Final = (*((table, what, until) for table, what, until, *_ in _TABLES), _OF_LETTERS, _OF_AUDIT)
"""Each table with what it is and for how long it is kept, for who is told before anything is."""


def kept(conn: sqlite3.Connection, whose: Whose) -> Iterator[Kept]:
    """Each table, of one moment."""
    like = re.sub(r"([\\%_])", r"\\\1", whose.person or "")
    values = {"account": whose.account, "person": whose.person, "like": like if whose.person else None}
    conn.execute("BEGIN")
    try:
        for table, what, until, at, sql in _TABLES:
            rows = _rows(conn, sql, values)
            times = [row[at] for row in rows if row[at] is not None] if at else []
            yield Kept(table, what, until, rows, min(times, default=None), max(times, default=None))
        letters = _naming(_rows(conn, _LETTERS, {}), "text", whose)
        rows = tuple({name: value for name, value in row.items() if name != "text"} for row in letters)
        times = [row["at_ms"] for row in rows]
        yield Kept(*_OF_LETTERS, rows, min(times, default=None), max(times, default=None))
        lines = tuple(_lines(conn, whose, values))
        times = [line["at_ms"] for line in lines]
        yield Kept(*_OF_AUDIT, lines, min(times, default=None), max(times, default=None))
    finally:
        conn.execute("ROLLBACK")


_LETTERS: Final = """SELECT name, rule, window, at_ms, letters.text FROM letters JOIN alerts ON alerts.id = alert
    ORDER BY alert"""
_AUDIT: Final = "SELECT position, at_ms, what, who, detail FROM audit ORDER BY position"


OTHERS: Final = "names you; its text is about others"
"""In place of the text of an audit line that has the name in it and is about somebody else, or nobody."""
_GRANT_LINE: Final = re.compile(r"(?:ask )?(\w+):? (taken in|ended|refused)?")


def _lines(conn: sqlite3.Connection, whose: Whose, values: dict[str, Any]) -> Iterator[Row]:
    alerts = {row["name"] for row in _rows(conn, f"SELECT name FROM alerts WHERE {_ABOUT}", values)}  # noqa: S608 - our own words
    grants = {row["id"] for row in _rows(conn, "SELECT id FROM grants WHERE person = :person", values)}
    for line in _rows(conn, _AUDIT, {}):
        if _is_about(line, whose, alerts, grants):
            yield line
        elif line["who"] in (whose.account, whose.person) or _naming((line,), "detail", whose):
            yield {**line, "who": "", "detail": OTHERS}


def _is_about(line: Row, whose: Whose, alerts: set[str], grants: set[str]) -> bool:
    """Whether the line is the account's or person's own, or about their alert or grant. `who` is an account; of what was asked
    for or granted it is the person."""
    what, who, detail = line["what"], line["who"], line["detail"]
    if what in (AuditWord.ALERT, AuditWord.ALERT_NOT_DELIVERED, AuditWord.ALERT_ACKNOWLEDGED):
        told = bool(whose.person) and f" of {whose.person}, to " in detail  # also once the alert has been purged
        return told or detail.partition(" ")[0] in alerts or (bool(who) and who == whose.account)
    if what == AuditWord.ASK:
        return bool(who) and who == whose.person
    if what != AuditWord.GRANT:
        return bool(who) and who == whose.account
    read = _GRANT_LINE.match(detail)
    if read and read[1] in grants and read[2] != "refused":
        return True
    if read and read[2] == "taken in" and whose.person and detail[read.end() :].startswith(f": {whose.person} has $"):
        return True
    refused = detail.startswith("refused") or (read is not None and read[2] == "refused")
    return bool(who) and who == (whose.account if refused else whose.person)


def _naming(rows: tuple[Row, ...], column: str, whose: Whose) -> tuple[Row, ...]:
    """Those in whose text the account or the person is named."""
    names = "|".join(re.escape(name) for name in (whose.account, whose.person) if name)
    named = re.compile(rf"(?<![\w-])(?:{names})(?![\w-])")
    return tuple(row for row in rows if named.search(row[column]))


def _rows(conn: sqlite3.Connection, sql: str, values: dict[str, Any]) -> tuple[Row, ...]:
    cursor = conn.execute(sql, values)
    names = [column[0] for column in cursor.description]
    return tuple(dict(zip(names, row, strict=True)) for row in cursor)
