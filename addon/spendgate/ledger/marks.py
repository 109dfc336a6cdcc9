"""Whose a balance is, and how much of it no chained call shows: what the audit trail says of that, and whether it still is so.

The first call that is charged to a balance has the balance's mark in its own row, which is chained (`Balance.mark`). What
filling adds for past calls, and what is left of purged ones, stands in no chained row: an audit line says how much of it each
balance was given. Such lines are only added up, so that a version of Spendgate that writes none is no fault.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from itertools import batched
from typing import Final

from msgspec import Struct

from spendgate.audit_words import AuditWord
from spendgate.ledger import audit_log
from spendgate.ledger.balances import mark_of
from spendgate.money import dollars

FILLED: Final = "counted from past calls"
PURGED: Final = "left of purged calls"
FOUND: Final = "as found by the first version that says so"
_PER_LINE: Final = 30
_NAMES: Final = "budget, value, window, words, length_ms, starts_ms, ends_ms"
"""What `mark_of` is made of, in its order."""
_OF_IDS: Final = f"SELECT id, {_NAMES} FROM windows WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"  # noqa: S608 - our own words
_RUNNING: Final = """SELECT w.id, w.purged_nanos + coalesce((SELECT sum(charged_nanos) FROM charges c WHERE c.balance = w.id), 0)
    FROM windows w WHERE w.budget <> '' AND (w.ends_ms IS NULL OR w.ends_ms > ?)"""
_EVERY: Final = f"SELECT id, purged_nanos, {_NAMES} FROM windows WHERE budget <> '' ORDER BY id"  # noqa: S608 - as above
_ADDED: Final = "SELECT coalesce(sum(charged_nanos), 0) FROM charges WHERE balance = ?"
_LINES: Final = "SELECT detail FROM audit WHERE what = ? ORDER BY position"
_ITEM: Final = re.compile(r"(\d+) ([A-Za-z0-9_-]{16}) (-?\d+) until (\d+|-)", re.ASCII)

Marks = tuple[str | None, str | None]
"""The least and the greatest mark that calls have of one balance: of one window they are the same. None: of an older version."""


class Said(Struct):
    """What the audit trail says of one balance under one mark."""

    ends_ms: int | None
    nanos: int = 0

    def runs(self, now_ms: int) -> bool:
        """Whether its window is not over: then nothing may have taken it away."""
        return self.ends_ms is None or self.ends_ms > now_ms


def tell(conn: sqlite3.Connection, why: str, given: Mapping[int, int], now_ms: int) -> None:
    """Write how much these balances were given that no chained call shows. Inside the transaction that gives it.

    A rolling balance forgets by itself, and is only named.
    """
    for some in batched(conn.execute(_OF_IDS, (json.dumps(list(given)),)).fetchall(), _PER_LINE):
        items = ", ".join(_item(given[number], number, *names) for number, *names in some)
        audit_log.append(conn, audit_log.Line(now_ms, AuditWord.BALANCES, f"{why}, in nano-dollars: {items}"))


def tell_found(conn: sqlite3.Connection, now_ms: int) -> None:
    """What a ledger of an older version has of it, in the windows that run. Inside the transaction that brings it up to date."""
    tell(conn, FOUND, dict(conn.execute(_RUNNING, (now_ms,)).fetchall()), now_ms)


def _item(nanos: int, number: int, *names: str | int | None) -> str:
    length_ms, ends_ms = names[4], names[6]
    return f"{number} {mark_of(*names)} {0 if length_ms else nanos} until {'-' if ends_ms is None else ends_ms}"


def faults(conn: sqlite3.Connection, of_calls: Mapping[int, Marks]) -> Iterator[str]:
    """Balances that are not those which calls were charged to, or of which the trail speaks; `of_calls`: every balance in which
    a call holds or has a charge."""
    [newest_ms] = conn.execute("SELECT coalesce(max(at_ms), 0) FROM audit").fetchone()
    said, there = _said(conn), set()
    for number, purged_nanos, *names in conn.execute(_EVERY):
        there.add(number)
        marks, lines = of_calls.get(number, (None, None)), said.get(number, {})
        if marks == (None, None) and not lines:
            continue
        mark, name = mark_of(*names), f"balance {number} ({names[0]} {names[1]} {names[2]})"
        told = [each for each, line in lines.items() if line.runs(newest_ms)]
        if any(each not in (None, mark) for each in (*marks, *told)):
            yield f"{name} had another name when calls were charged to it"
        elif mark in lines and not names[4]:
            missing = lines[mark].nanos - purged_nanos - conn.execute(_ADDED, (number,)).fetchone()[0]
            if missing > 0:
                yield f"{name} has {dollars(missing)} less of purged and added calls than the audit trail says"
    gone = {number for number, lines in said.items() if any(line.runs(newest_ms) for line in lines.values())}
    for number in sorted((gone | of_calls.keys()) - there):
        yield f"balance {number}, to which calls were charged, is not there"


def _said(conn: sqlite3.Connection) -> dict[int, dict[str, Said]]:
    """By balance and mark. A number may be given again once a window is over, to another one."""
    found: dict[int, dict[str, Said]] = {}
    for (detail,) in conn.execute(_LINES, (AuditWord.BALANCES.value,)):
        for number, mark, nanos, ends in _ITEM.findall(detail):
            at = found.setdefault(int(number), {}).setdefault(mark, Said(None if ends == "-" else int(ends)))
            at.nanos += int(nanos)
    return found
