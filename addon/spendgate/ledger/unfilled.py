"""What filling would add, only read: the balances of a policy that no gate follows yet, as one finds them once it does.

`fill` writes these sums before a policy takes force; a reader who asks about a candidate finds the same ones, and writes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from spendgate.ledger import day_sums, open_calls, rows
from spendgate.ledger.balances import READ_BY_KEY, Key
from spendgate.ledger.counted import COUNTING, Counted, ScopesOf, counted_upto, missing, was_counted
from spendgate.ledger.fill import CHUNK, FIND
from spendgate.ledger.holds import bound_of
from spendgate.ledger.sums import Sums
from spendgate.selector import PLAN
from spendgate.standing import Hold, Scope

_CHARGED: Final = "SELECT balance FROM charges WHERE call = ?"


def unfilled(
    conn: sqlite3.Connection, asked: Iterable[Scope], budgets: Iterable[Counted], scopes_of: ScopesOf, now_ms: int, *,
    until_ms: int | None = None,
) -> dict[Key, Sums]:  # fmt: skip
    """What the budgets of these scopes have not counted of what their windows hold; `budgets` and `scopes_of` as `fill` takes
    them. `until_ms`: of the calls that were booked until then."""
    names = asked_for(asked)
    wanted = tuple(each for each in budgets if (each.budget, each.words) in names)
    found: dict[Key, Sums] = {}
    if not wanted:
        return found
    numbers: dict[Key, int | None] = {}
    _add_sums(conn, wanted, found)
    upto = counted_upto(conn, wanted)
    since_ms, after = min(each.since_ms for each in wanted), min(upto.values())
    while calls := rows.select_past(conn, f"seq > ? AND {COUNTING}", (after, since_ms, CHUNK)):
        for call in calls:
            if until_ms is None or call.booked_ms <= until_ms:
                _add(conn, call.seq, missing(call, scopes_of(call), upto, now_ms), found, numbers)
        after = calls[-1].seq
    return found


def asked_for(asked: Iterable[Scope]) -> frozenset[tuple[str, str]]:
    """Name and words of every budget whose balances these scopes' limits and sums are read from."""
    return frozenset(pair for scope in asked for pair in _counted_for(scope))


def _counted_for(scope: Scope) -> Iterable[tuple[str, str]]:
    """Name and words of every balance that a scope's limit and sums are read from."""
    yield scope.budget, scope.words
    if scope.mean is not None:
        yield scope.mean.budget, scope.mean.words
    for credit in scope.credits:
        yield credit.tally.budget, credit.tally.words


def _add_sums(conn: sqlite3.Connection, wanted: Iterable[Counted], found: dict[Key, Sums]) -> None:
    """As `fill` counts what calls cost whose rows are purged."""
    never = [each for each in wanted if each.of_sums is not None and not was_counted(conn, each)]
    if not never or not day_sums.any_sums(conn):
        return
    past = day_sums.cells(conn)
    for each in never:
        for call in past if each.of_sums is not None else ():
            nanos = (call.value_nanos if call.row.billing == PLAN else call.cost_nanos) or 0
            for scope in each.of_sums(call) if each.of_sums is not None else ():
                if (scope.budget, scope.words) == (each.budget, each.words):
                    found.setdefault(scope.balance, Sums()).settled += nanos


def _add(
    conn: sqlite3.Connection, seq: int, scopes: tuple[Scope, ...], found: dict[Key, Sums], numbers: dict[Key, int | None]
) -> None:  # fmt: skip
    """Add one call to the balances that have not counted it: as a hold while it runs, then as a charge."""
    if not scopes:
        return
    state, _, held, ceiling, cost, value, on_plan, text = conn.execute(FIND, (seq,)).fetchone()
    has = {hold.balance for hold in open_calls.unpacked(text)} | {each for (each,) in conn.execute(_CHARGED, (seq,))}
    done: set[Key] = set()
    for scope in scopes:
        key = scope.balance
        if key not in numbers:
            row = conn.execute(READ_BY_KEY, key).fetchone()
            numbers[key] = None if row is None else row[0]
        if key in done or numbers[key] in has:
            continue
        done.add(key)
        sums = found.setdefault(key, Sums())
        if state == "open":
            bound = bound_of(ceiling, held)
            sums.held += bound if scope.hold is Hold.CEILING else held
            sums.ceiling += bound
            sums.open_calls += 1
        else:
            sums.settled += (value if on_plan else cost) or 0
