"""What bills have and the ledger has not: by day, whom, model and money, and what of it the balances of budgets have taken in.

Each count of a span of UTC days is a version; of a day the newest that covers it is in force, so that a newer import replaces
what an older one said. A balance of a budget with `counts: billed` has it as charges beside those of calls (`billed_charges`):
never edited, but made right by the difference, in one transaction with the balance. So a balance is at any moment, also after
`kill -9`, the sum of its calls and of these charges, whoever takes in what and however often.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import batched
from typing import Final

from msgspec import Struct

from spendgate.audit_words import AuditWord
from spendgate.ledger import audit_log
from spendgate.ledger.balances import Balance
from spendgate.ledger.counted import Counted
from spendgate.ledger.known import Known
from spendgate.ledger.store import Store
from spendgate.money import dollars
from spendgate.standing import Scope
from spendgate.window import DAY_MS

CHUNK: Final = 200
"""Charges in one transaction."""
NOON_MS: Final = DAY_MS // 2
_ADD_RUN: Final = "INSERT INTO uncaptured_runs (at_ms, from_ms, until_ms) VALUES (?, ?, ?)"
_ADD: Final = """INSERT INTO uncaptured (run, day_ms, provider, person, api_key, tool, model, nanos, requests, imports)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_OF_RUN: Final = """SELECT day_ms, provider, person, api_key, tool, model, nanos, requests, imports FROM uncaptured
    WHERE run = ? AND day_ms >= ? AND day_ms < ? ORDER BY day_ms, rowid"""
_RUNS: Final = "SELECT seq, from_ms, until_ms FROM uncaptured_runs ORDER BY seq DESC"
_LATEST: Final = "SELECT coalesce(max(seq), 0) FROM uncaptured_runs"
_IMPORTED: Final = "SELECT count(*) FROM imports"
_CHARGED: Final = """SELECT coalesce(sum(nanos), 0) FROM billed_charges WHERE balance = ? AND booked_ms = ?"""
_CHARGE: Final = "INSERT INTO billed_charges (balance, booked_ms, nanos, imports) VALUES (?, ?, ?, ?)"
_TAKEN: Final = """SELECT b.id, c.booked_ms FROM windows b JOIN billed_charges c ON c.balance = b.id
    WHERE b.budget = ? AND b.words = ? AND c.booked_ms >= ? GROUP BY 1, 2 HAVING sum(c.nanos) <> 0"""
_OF_BALANCE: Final = """SELECT coalesce(sum(nanos), 0) FROM billed_charges
    WHERE balance = ? AND booked_ms > ? AND booked_ms <= ?"""
_IMPORTS: Final = """SELECT imports FROM billed_charges AS c WHERE balance = ? AND booked_ms > ? AND nanos > 0
    AND id = (SELECT max(id) FROM billed_charges WHERE balance = c.balance AND booked_ms = c.booked_ms)"""
_ALWAYS: Final = 2**62


class Uncaptured(Struct, frozen=True):
    """Usage of one UTC day that a bill has and no call of this ledger; "" for whatever is not known of it."""

    day_ms: int
    provider: str
    person: str
    api_key: str
    """The key's fingerprint, as calls have it."""
    tool: str
    model: str
    """The family name."""
    nanos: int
    requests: int | None
    """None: the bill does not tell."""
    imports: tuple[str, ...]
    """The names of the imports that say so."""

    @property
    def booked_ms(self) -> int:
        """When it counts: at noon (UTC) of its day, which is in the same day of most zones."""
        return self.day_ms + NOON_MS


ScopesOf = Callable[[Uncaptured], Sequence[Scope]]
"""The balances of a policy's `counts: billed` budgets that it counts in."""


class Upto(Struct, frozen=True):
    """What a comparison has seen. Both are only ever added to, so that the same numbers are the same rows."""

    imports: int
    run: int


def upto(conn: sqlite3.Connection) -> Upto:
    """What stands now."""
    return Upto(int(conn.execute(_IMPORTED).fetchone()[0]), latest(conn))


def add(  # noqa: PLR0917 -- what is said, by whom and when, as one line of the trail has it; and what it has seen
    conn: sqlite3.Connection, span: tuple[int, int], cells: Sequence[Uncaptured], who: str, now_ms: int, seen: Upto
) -> bool:
    """What is uncaptured of these UTC days (from, until), in place of all that was said of them before, with its audit line.
    Inside a transaction. False, and nothing, where another import or count has come since what was `seen`."""
    if upto(conn) != seen:
        return False
    run = conn.execute(_ADD_RUN, (now_ms, *span)).lastrowid
    told = f"{_day(span[0])} until {_day(span[1])}: {dollars(sum(each.nanos for each in cells))} in {len(cells)} lines"
    imports = ", ".join(sorted({name for each in cells for name in each.imports}))
    said = f"{told}, imports {imports}" if imports else told
    audit_log.append(conn, audit_log.Line(now_ms, AuditWord.UNCAPTURED, said, who))
    conn.executemany(
        _ADD,
        (
            (run, each.day_ms, each.provider, each.person, each.api_key, each.tool, each.model, each.nanos, each.requests,
             ",".join(each.imports))
            for each in cells
        ),
    )  # fmt: skip
    return True


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%d")


def in_force(conn: sqlite3.Connection, from_ms: int = 0, until_ms: int = _ALWAYS) -> tuple[Uncaptured, ...]:
    """All of the days that begin from then on and before then, as the newest count of each has it, in their order."""
    found: list[Uncaptured] = []
    open_ = [(from_ms, until_ms)]
    for run, began, ended in conn.execute(_RUNS).fetchall():
        for since, before in [(max(a, began), min(b, ended)) for a, b in open_ if a < ended and began < b]:
            rows = conn.execute(_OF_RUN, (run, since, before))
            found += [Uncaptured(*(*row[:8], tuple(row[8].split(",")))) for row in rows]
        open_ = [each for a, b in open_ for each in ((a, min(b, began)), (max(a, ended), b)) if each[0] < each[1]]
    return tuple(sorted(found, key=lambda each: each.day_ms))


def runs(conn: sqlite3.Connection) -> tuple[tuple[int, int, int], ...]:
    """When each count was made, and from and until which UTC days."""
    return tuple(conn.execute("SELECT at_ms, from_ms, until_ms FROM uncaptured_runs ORDER BY seq"))


def latest(conn: sqlite3.Connection) -> int:
    """What changes with every count."""
    return int(conn.execute(_LATEST).fetchone()[0])


def part(conn: sqlite3.Connection, balance: int, edge_ms: int | None, until_ms: int | None = None) -> int:
    """How much of a balance was billed and not captured; of a rolling one what its edge has not passed. `until_ms`: of that what
    was booked until then."""
    span = (-1 if edge_ms is None else edge_ms, _ALWAYS if until_ms is None else until_ms)
    return int(conn.execute(_OF_BALANCE, (balance, *span)).fetchone()[0])


def imports_of(conn: sqlite3.Connection, balance: int, edge_ms: int | None) -> tuple[str, ...]:
    """Which imports say so."""
    found = conn.execute(_IMPORTS, (balance, -1 if edge_ms is None else edge_ms))
    return tuple(sorted({name for (names,) in found for name in names.split(",")}))


class Wanted(Struct):
    """What a balance should have of one day."""

    scope: Scope
    booked_ms: int
    nanos: int = 0
    imports: set[str] = set()


def take(store: Store, budgets: Sequence[Counted], scopes_of: ScopesOf) -> int:
    """Bring the running windows of these budgets to what is in force; how many charges that took.

    Any number of times, by any number of processes: what is right already stays. Raises LedgerUnavailable.
    """
    if not budgets:
        return 0
    while True:
        upto = latest(store.conn)
        since = {(each.budget, each.words): each.since_ms for each in budgets}
        found = wanted(in_force(store.conn, min(since.values()) - DAY_MS), since, scopes_of)
        made = 0
        for steps in batched(_steps(store.conn, found, since), CHUNK):
            done = store.write(partial(_write, steps=steps, upto=upto))
            if done is None:
                break  # another import was counted meanwhile: what it says goes
            made += done
        else:
            return made


def wanted(
    cells: Iterable[Uncaptured], since: Mapping[tuple[str, str], int], scopes_of: ScopesOf
) -> tuple[Wanted, ...]:
    """What the balances of these budgets (name and words) should have of each day that is booked from then on."""
    found: dict[tuple[object, ...], Wanted] = {}
    for cell in cells:
        for scope in scopes_of(cell):
            began = since.get((scope.budget, scope.words))
            if began is not None and cell.booked_ms >= began:
                key = (*scope.balance, cell.booked_ms)
                each = found.setdefault(key, Wanted(scope, cell.booked_ms, imports=set()))
                each.nanos += cell.nanos
                each.imports.update(cell.imports)
    return tuple(found.values())


_Step = tuple[Scope | int, int, int, str]
"""The balance, by its scope or its id; when; what it should have of that day; by which imports."""


def _steps(conn: sqlite3.Connection, wanted: Iterable[Wanted], since: Mapping[tuple[str, str], int]) -> Iterator[_Step]:
    """All that is wanted, and whatever balances have on days of which nothing is wanted any more."""
    seen = set()
    for each in wanted:
        found = conn.execute(_ID, each.scope.balance).fetchone()
        if found is not None:
            seen.add((found[0], each.booked_ms))
        yield each.scope, each.booked_ms, each.nanos, ",".join(sorted(each.imports))
    for (budget, words), since_ms in since.items():
        for balance, booked_ms in conn.execute(_TAKEN, (budget, words, since_ms)).fetchall():
            if (balance, booked_ms) not in seen:
                yield balance, booked_ms, 0, ""


_ID: Final = "SELECT id FROM windows WHERE budget = ? AND value = ? AND window = ? AND words = ? AND length_ms = ?"


def _write(known: Known, steps: Sequence[_Step], upto: int) -> int | None:
    """Inside a transaction: the differences; None, and nothing, where another count has come."""
    conn, made = known.conn, 0
    if latest(conn) != upto:
        return None
    for where, booked_ms, nanos, imports in steps:
        balance = _balance(known, where)
        change = nanos - int(conn.execute(_CHARGED, (balance.id, booked_ms)).fetchone()[0])
        if change:
            conn.execute(_CHARGE, (balance.id, booked_ms, change, imports))
            known.balances.move(booked_ms, [(balance, change, 0, 0, 0, 0)])
            made += 1
    return made


def _balance(known: Known, where: Scope | int) -> Balance:
    if isinstance(where, int):
        return known.balances.get(known.conn, where)
    (found,) = known.balances.locate(known.conn, [where])
    return found
