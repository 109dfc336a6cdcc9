"""The ledger checked against itself: every balance recomputed from calls and holds, and what must never be.

For tests, and for whoever doubts a ledger (`queries.Reader.check`). Reads one
snapshot; each fault is one line that names its row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from spendgate.audit_words import AuditWord
from spendgate.errors import LedgerUnavailable
from spendgate.grants import Why
from spendgate.ledger import marks, verify
from spendgate.money import dollars

_NONE: Final = (2**63, None, None, None, None)
_ASKED_EVERY: Final = 100_000
"""SQLite's steps between two questions whether to go on: some milliseconds."""
# What calls make of their balances, in the order of those, and by which marks they know them; of one that is not there, too.
# A join the other way round, from balances to the view, is a scan of all holds for each balance.
_SUMMED: Final = """SELECT h.balance, sum(h.charged_nanos),
    sum(h.nanos) FILTER (WHERE h.charged_nanos IS NULL), sum(h.bound_nanos) FILTER (WHERE h.charged_nanos IS NULL),
    count(*) FILTER (WHERE h.charged_nanos IS NULL), min(h.mark), max(h.mark)
    FROM holds h LEFT JOIN sums b ON b.id = h.balance WHERE b.edge_ms IS NULL OR h.booked_ms > b.edge_ms
    GROUP BY h.balance ORDER BY h.balance"""
# Less than nothing is never purged: whoever writes that has lowered a balance by it.
_KEPT: Final = """SELECT id, budget, value, window, settled - max(purged_nanos, 0), held, ceiling, open_calls FROM balances
    WHERE budget <> '' ORDER BY id"""
_LOWERED: Final = """SELECT h.balance, c.id FROM charges h JOIN call_rows c ON c.seq = h.call
    WHERE h.charged_nanos < min(0, coalesce(c.cost_nanos, 0), coalesce(c.value_nanos, 0))"""
"""A charge that filling has added is what its call has cost: only a correction's is less than nothing."""
# The trail, which is long, is gone through once.
_REVIVED: Final = """SELECT g.id, a.position, a.detail FROM audit a CROSS JOIN grants g
    ON substr(a.detail, 1, length(g.id) + 8) = g.id || ' ended: '
    WHERE a.what = ? AND NOT EXISTS (SELECT 1 FROM grant_ends e WHERE e.grant_id = g.id AND e.at_ms = a.at_ms)
    ORDER BY a.position"""
_REFUSED: Final = tuple(f" refused: {why}" for why in Why)
"""Ends the line of a grant that was not taken in, whose id may be any text."""

_NEVER: Final = (
    ("an ended call with a hold that was neither charged nor released", """SELECT c.id FROM call_rows c JOIN holds h
        ON h.call = c.seq WHERE c.state <> 'open' AND h.charged_nanos IS NULL"""),
    ("an open call with a charge", """SELECT c.id FROM call_rows c JOIN holds h ON h.call = c.seq
        WHERE c.state = 'open' AND h.charged_nanos IS NOT NULL"""),
    ("a settled call without its cost", """SELECT id FROM call_rows
        WHERE state IN ('settled', 'interrupted') AND cost_nanos IS NULL"""),
    ("a call that held nothing yet holds", """SELECT c.id FROM call_rows c JOIN holds h ON h.call = c.seq
        WHERE c.state IN ('refused', 'unrecognized')"""),
    ("a free call with a charge", """SELECT c.id FROM call_rows c JOIN holds h ON h.call = c.seq
        WHERE c.state = 'free' AND h.charged_nanos <> 0"""),
    ("a call chained twice", """SELECT c.id FROM call_rows c JOIN (SELECT call FROM chain GROUP BY call
        HAVING count(*) > 1) t ON t.call = c.seq"""),
    ("a charge of no call, or at another time than its call", """SELECT h.call FROM charges h LEFT JOIN call_rows c
        ON c.seq = h.call WHERE c.booked_ms IS NOT h.booked_ms"""),
    ("a call twice in one balance", "SELECT call FROM holds GROUP BY call, balance HAVING count(*) > 1"),
    ("a day of a balance with less than nothing billed", """SELECT balance FROM billed_charges GROUP BY balance, booked_ms
        HAVING sum(nanos) < 0"""),
    ("a place in line of no waiter", "SELECT place FROM waits WHERE place NOT IN (SELECT place FROM waiters)"),
    ("an open call of a gate that has ended", """SELECT c.id FROM call_rows c JOIN gates g ON g.id = c.gate
        WHERE c.state = 'open' AND g.ended = 1"""),
)  # fmt: skip


def check(conn: sqlite3.Connection) -> tuple[str, ...]:
    """All faults of balances, holds, kinds and chain; none when the ledger is right."""
    conn.execute("BEGIN")
    try:
        faults = (*verify.lines(conn), *verify.links(conn), *verify.purged(conn))
        return (*sums(conn), *map(str, faults))
    finally:
        conn.execute("ROLLBACK")


def sums(conn: sqlite3.Connection) -> tuple[str, ...]:
    """Faults of all but the chains, inside a transaction."""
    never = [f"{what}: {found}" for what, sql in _NEVER for (found,) in conn.execute(sql)]
    return (*_balances(conn), *_lowered(conn), *_revived(conn), *_kinds(conn), *never)


def beside(path: Path, stopped: Callable[[], bool]) -> tuple[str, ...]:
    """Balances that are not what their calls make, on a connection of its own that reads alone; none, too, where it was stopped.

    Reads every call: some seconds for a million, in a thread that leaves the others theirs. Raises LedgerUnavailable.
    """
    try:
        conn = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=0)
        try:
            conn.set_progress_handler(lambda: int(stopped()), _ASKED_EVERY)
            conn.execute("BEGIN")  # all questions of one moment; the connection is closed with it
            of_calls: dict[int, marks.Marks] = {}
            return tuple(
                [
                    f"{name} differs from its calls by {_off(kept, summed)}"
                    for name, kept, summed in _altered(conn, of_calls)
                ]
                + list(marks.faults(conn, of_calls))
                + _lowered(conn)
                + _revived(conn)
            )
        finally:
            conn.close()
    except sqlite3.OperationalError as fault:
        if fault.sqlite_errorcode & 0xFF == sqlite3.SQLITE_INTERRUPT:
            return ()
        raise LedgerUnavailable(f"the balances could not be recomputed: {fault}") from fault
    except sqlite3.Error as fault:
        raise LedgerUnavailable(f"the balances could not be recomputed: {fault}") from fault


def _off(kept: tuple[int, ...], summed: tuple[int, ...]) -> str:
    """What stays the same while calls come and go, so that one change is told once."""
    settled, held, ceiling, opened = (have - right for have, right in zip(kept, summed, strict=True))
    return f"{dollars(settled)} settled, {dollars(held)} held, {dollars(ceiling)} bounds, {opened} open calls"


def _altered(
    conn: sqlite3.Connection, of_calls: dict[int, marks.Marks]
) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Balances that are not what their calls make: name, what they are, what they would be. Fills `of_calls`."""
    summed = _noting(conn.execute(_SUMMED), of_calls)
    number, *sums = next(summed, _NONE)
    for balance, budget, value, window, *kept in conn.execute(_KEPT):
        while number < balance:  # of no balance: another question's
            number, *sums = next(summed, _NONE)
        made = tuple(each or 0 for each in sums) if number == balance else (0, 0, 0, 0)
        if tuple(kept) != made:
            yield f"balance {balance} ({budget} {value} {window})", tuple(kept), made
    for _ in summed:
        pass


def _noting(summed: Iterable[tuple[Any, ...]], of_calls: dict[int, marks.Marks]) -> Iterator[tuple[Any, ...]]:
    for number, *sums, least, greatest in summed:
        of_calls[number] = least, greatest
        yield number, *sums


def _balances(conn: sqlite3.Connection) -> list[str]:
    of_calls: dict[int, marks.Marks] = {}
    found = [f"{name} is {kept}, its calls make {summed}" for name, kept, summed in _altered(conn, of_calls)]
    return [*found, *marks.faults(conn, of_calls)]


def _lowered(conn: sqlite3.Connection) -> list[str]:
    return [
        f"balance {balance} has a charge of call {call} that takes from it" for balance, call in conn.execute(_LOWERED)
    ]


def _revived(conn: sqlite3.Connection) -> list[str]:
    return [
        f"grant {grant} has ended by audit line {position}, and not by its own row"
        for grant, position, detail in conn.execute(_REVIVED, (AuditWord.GRANT.value,))
        if not detail.endswith(_REFUSED)
    ]


def _kinds(conn: sqlite3.Connection) -> list[str]:
    kept = dict(_counts(conn, "SELECT value, settled_calls - purged_calls, open_calls FROM balances WHERE budget = ''"))
    summed = _counts(
        conn,
        """SELECT kind, count(*) FILTER (WHERE state = 'settled' AND value_nanos > 0),
           count(*) FILTER (WHERE state = 'open') FROM call_rows WHERE held_nanos IS NOT NULL GROUP BY kind""",
    )
    return [
        f"kind {kind} is {kept.get(kind)}, its calls make {now}"
        for kind, now in summed.items()
        if kept.get(kind) != now
    ]


def _counts(conn: sqlite3.Connection, sql: str) -> dict[str, tuple[int, int]]:
    return {kind: (settled, opened) for kind, settled, opened in conn.execute(sql)}
