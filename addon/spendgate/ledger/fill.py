"""Filling: a new or changed budget counts what its current windows already hold, before its policy takes force.

It goes through the calls after the last one that a budget has counted (`counted`), and counts each that the budget's scopes fit
in the balance, unless it is there: an open call gets one hold more in its row (by ceiling its bound), an ended one, whose row is
never changed, a row in `charges`. That makes it repeatable, and right also for calls that other gates still admit under the old
policy. It runs on a connection of its own, in short transactions, and asks the policy outside of them.
"""

from __future__ import annotations

from collections import Counter
from itertools import batched
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from spendgate.ledger import day_sums, marks, open_calls, rows
from spendgate.ledger.balances import Balance
from spendgate.ledger.counted import COUNTING, NOTE, Counted, ScopesOf, Upto, counted_upto, missing, was_counted
from spendgate.ledger.holds import bound_of
from spendgate.ledger.known import Known
from spendgate.ledger.open_calls import AT_COST, AT_LIST_PRICE, Held
from spendgate.ledger.purge_lock import locked
from spendgate.ledger.rows import PastCall
from spendgate.ledger.store import Store
from spendgate.selector import PLAN
from spendgate.standing import Hold, Scope

CHUNK: Final = 200
"""Calls in one transaction: some 5 ms in which gates find the ledger busy and retry."""

_ADD: Final = "INSERT OR IGNORE INTO charges (call, balance, booked_ms, mode, charged_nanos) VALUES (?, ?, ?, ?, ?)"
FIND: Final = """SELECT state, booked_ms, held_nanos, ceiling_nanos, cost_nanos, value_nanos, billing = 'subscription', holds
    FROM call_rows WHERE seq = ?"""
_RUNNING: Final = """SELECT seq FROM call_rows WHERE state = 'open' ORDER BY seq DESC
    LIMIT (SELECT coalesce(sum(open_calls), 0) FROM balances WHERE budget = '')"""
"""The kinds say how many run, so that no more rows are read than back to the oldest."""
_CARRY: Final = "UPDATE windows SET purged_nanos = purged_nanos + ? WHERE id = ?"


class Pass(Struct, frozen=True):
    """What one pass has seen, for the one that follows it at once."""

    budgets: frozenset[tuple[str, str]]
    """Name and words, as `counted` has them."""
    newest: int
    running: frozenset[int]
    """The calls that ran when it began, by `seq`."""
    added: int
    """How many holds and charges it has added."""


def prepare(
    store: Store, budgets: tuple[Counted, ...], scopes_of: ScopesOf, now_ms: int, *, earlier: Pass | None = None,
    gates: Path | None = None,
) -> Pass:  # fmt: skip
    """Fill the budgets' current windows from the ledger.

    After an `earlier` pass for the same budgets it looks at what came since, and at what has ended since: by then it is known
    which model has answered. What still runs is left to the next filling, since another gate may end it under a policy
    that does not have the budget. `gates`: where whoever purges has its lock, which is held while sums and rows are
    counted of a budget that needs both. Raises LedgerUnavailable, LedgerBusy where it is held for long.
    """
    wanted = tuple(each for each in budgets if each.of_sums is not None and not was_counted(store.conn, each))
    if not wanted or gates is None:
        return _prepare(store, budgets, scopes_of, now_ms, earlier)
    with locked(gates, store.patience_s):
        _count_sums(store, wanted, now_ms)
        return _prepare(store, budgets, scopes_of, now_ms, earlier)


def _prepare(
    store: Store, budgets: tuple[Counted, ...], scopes_of: ScopesOf, now_ms: int, earlier: Pass | None
) -> Pass:
    running = frozenset(seq for (seq,) in store.conn.execute(_RUNNING))
    newest = int(store.conn.execute("SELECT coalesce(max(seq), 0) FROM call_rows").fetchone()[0])
    seen = Pass(frozenset((each.budget, each.noted_as) for each in budgets), newest, running, 0)
    if not budgets:
        return seen
    upto = counted_upto(store.conn, budgets)
    again = earlier if earlier is not None and earlier.budgets == seen.budgets else None
    # What is new looks back as far as it counts itself: a grant of this minute is no reason to go through a year again.
    new = tuple(each for each in budgets if not upto[each.budget, each.words])
    known = tuple(each for each in budgets if upto[each.budget, each.words])
    charged: Counter[int] = Counter()
    added = sum(
        _fill(store, part, upto, seen, scopes_of, now_ms=now_ms, earlier=again, charged=charged)
        for part in (new, known) if part
    )  # fmt: skip
    upto_seq = min(newest, min(running, default=newest + 1) - 1)
    notes = [(each.budget, each.noted_as, upto_seq, each.since_ms) for each in budgets]

    def note(known: Known) -> None:
        known.conn.executemany(NOTE, notes)
        marks.tell(known.conn, marks.FILLED, charged, now_ms)

    store.write(note)
    return structs.replace(seen, added=added)


def _count_sums(store: Store, wanted: tuple[Counted, ...], now_ms: int) -> None:
    """Count in budgets that were never counted what calls cost whose rows are purged. Once each, with the note that says so."""
    if not day_sums.any_sums(store.conn):
        return

    def work(known: Known) -> None:
        past = day_sums.cells(known.conn)
        carried: Counter[int] = Counter()
        for each in wanted:
            if each.of_sums is None or was_counted(known.conn, each):
                continue
            for call in past:
                nanos = (call.value_nanos if call.row.billing == PLAN else call.cost_nanos) or 0
                scopes = [at for at in each.of_sums(call) if (at.budget, at.words) == (each.budget, each.words)]
                for balance in known.balances.locate(known.conn, scopes):
                    known.conn.execute(_CARRY, (nanos, balance.id))
                    carried[balance.id] += nanos
                    known.balances.move(call.booked_ms, [(balance, nanos, 0, 0, 0, 0)])
            known.conn.execute(NOTE, (each.budget, each.noted_as, 0, each.since_ms))
        marks.tell(known.conn, marks.FILLED, carried, now_ms)

    store.write(work)


def _fill(
    store: Store, budgets: tuple[Counted, ...], upto: Upto, seen: Pass, scopes_of: ScopesOf, *, now_ms: int,
    earlier: Pass | None, charged: Counter[int],
) -> int:  # fmt: skip
    """Count in these budgets the calls that they have not counted, and that had begun when this pass did. `charged` becomes
    what balances were charged in all."""
    upto = {(each.budget, each.words): upto[each.budget, each.words] for each in budgets}
    since_ms = min(budget.since_ms for budget in budgets)

    def add(calls: list[PastCall]) -> int:
        wanted = [(call.seq, scope) for call in calls for scope in missing(call, scopes_of(call), upto, now_ms)]
        found, more = _add_all(store, wanted, now_ms)
        charged.update(more)
        return found

    after, added = min(upto.values()), 0
    if earlier is not None:
        after = earlier.newest
        for ended in batched(sorted(earlier.running - seen.running), CHUNK):
            marks = ", ".join("?" * len(ended))
            added += add(rows.select_past(store.conn, f"seq IN ({marks}) AND {COUNTING}", (*ended, since_ms, CHUNK)))
    while calls := rows.select_past(
        store.conn, f"seq > ? AND seq <= ? AND {COUNTING}", (after, seen.newest, since_ms, CHUNK)
    ):
        added += add(calls)
        after = calls[-1].seq
    return added


def _add_all(store: Store, wanted: list[tuple[int, Scope]], now_ms: int) -> tuple[int, Counter[int]]:
    """Write the missing holds of one chunk as one transaction; how many, and what was charged that the audit trail is still to be
    told. What takes from a balance is told at once: a pass that is killed leaves no balance short of what was said."""
    if not wanted:
        return 0, Counter()

    def work(known: Known) -> tuple[int, Counter[int]]:
        located = known.balances.locate(known.conn, [scope for _, scope in wanted])
        found = [_add(known, seq, scope, at) for (seq, scope), at in zip(wanted, located, strict=True)]
        charged: Counter[int] = Counter()
        for at, nanos in zip(located, found, strict=True):
            charged[at.id] += nanos or 0
        marks.tell(known.conn, marks.FILLED, {at: nanos for at, nanos in charged.items() if nanos < 0}, now_ms)
        return len(found) - found.count(None), Counter({at: nanos for at, nanos in charged.items() if nanos > 0})

    return store.write(work)


def _add(known: Known, seq: int, scope: Scope, balance: Balance) -> int | None:
    """Count one call in one balance, as it stands now (it may have ended since it was read); what is charged for one that has
    ended. None: it was counted."""
    conn = known.conn
    state, booked_ms, held, ceiling, cost, value, on_plan, text = conn.execute(FIND, (seq,)).fetchone()
    holds = open_calls.unpacked(text)
    if any(hold.balance == balance.id for hold in holds):
        return None
    if state == "open":
        bound = bound_of(ceiling, held)
        nanos = bound if scope.hold is Hold.CEILING else held
        hold = Held(balance.id, nanos, bound, scope.hold.value, AT_LIST_PRICE if on_plan else AT_COST)
        conn.execute("UPDATE call_rows SET holds = ? WHERE seq = ?", (open_calls.packed((*holds, hold)), seq))
        charged, change = 0, (balance, 0, nanos, bound, 1, 0)
    elif conn.execute(_ADD, (seq, balance.id, booked_ms, scope.hold.value, value if on_plan else cost)).rowcount:
        charged = value if on_plan else cost
        change = (balance, charged, 0, 0, 0, 0)
    else:
        return None
    known.balances.move(booked_ms, [change])
    return charged
