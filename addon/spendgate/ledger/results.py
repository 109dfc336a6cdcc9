"""Results that are read back later: a row of its own for each, once, whoever reads it and however often.

A result's row has an id made of what it is a result of (the gate mints it), so that the file itself knows it again: for a
second poll, another process, a gate after a `kill -9`. Where its request has a row with a charge (a background response), the
result's row is the correction: it names that row, is booked at its time, and has in each of its balances the difference
between what the answer cost and what was charged, also below zero. So the two rows together are the cost, in the same windows,
and neither is ever changed. A call that settles after its result was read leaves the charge to the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Final

from msgspec.structs import replace

from spendgate.ledger import chain, open_calls, rows, rows_alike
from spendgate.ledger.balances import Balance
from spendgate.ledger.interface import AwaitedCall, CallRow, Counted, Settlement
from spendgate.ledger.known import Known
from spendgate.ledger.open_calls import Held
from spendgate.selector import PLAN
from spendgate.usage import NO_USAGE

CORRECTS: Final = "corrects="
"""Begins the flag of a correction; the id of the call that it corrects follows."""
READ_BEFORE: Final = "counted when its result was read"
"""Flag of a call whose result had its row before the call ended."""

_WAIT: Final = "INSERT OR IGNORE INTO awaited (result, call) VALUES (?, ?)"
_AWAITED: Final = "SELECT call FROM awaited WHERE result = ?"
_IS_THERE: Final = "SELECT 1 FROM call_rows WHERE id = ?"
_CHARGED: Final = """SELECT balance, mode, charged_nanos FROM holds WHERE call = ? AND charged_nanos IS NOT NULL
    AND mode <> 'rate'"""
_COVERED: Final = (*chain.BEGINNINGS[chain.SETTLED], *chain.FORMS[chain.SETTLED])
_COUNTS: Final = _COVERED.index(rows.USAGE_COLUMNS[0])
_AFTER: Final = _COUNTS + len(rows.USAGE_COLUMNS)
_OWN: Final = ("seq", "id", "cost_nanos", "value_nanos", "response_id", "prices", "holds")
"""Where what is `Counted` of a result goes, its counts apart."""
_ID, _COST, _VALUE, _RESPONSE, _PRICES, _HOLDS = map(_COVERED.index, _OWN[1:])
_EVERY: Final = tuple([place for place, name in enumerate(_COVERED) if name not in (*_OWN, *rows.USAGE_COLUMNS)])
"""The places of the columns that say the same in all rows that are gathered."""
_WRITE: Final = rows.insert_sql((*rows.OPENED, *rows.SETTLED, *rows.RUNNING, "holds", "gate"), once=True)


def awaiting(known: Known, seq: int, result_id: str, end: Settlement) -> Settlement:
    """Note that this call's result will be read back; the end itself, or one that costs nothing where it was read already."""
    if known.conn.execute(_IS_THERE, (result_id,)).fetchone() is None:
        known.conn.execute(_WAIT, (result_id, seq))
        return end
    nothing = tuple((scope, 0) for scope, _ in end.charges)
    return replace(end, usage=NO_USAGE, cost_nanos=0, value_nanos=0, charges=nothing, flags=(*end.flags, READ_BEFORE))


def written(known: Known, result_ids: tuple[str, ...]) -> frozenset[str]:
    """Which of these have a row."""
    marks = ", ".join("?" * len(result_ids))
    found = known.conn.execute(f"SELECT id FROM call_rows WHERE id IN ({marks})", result_ids)  # noqa: S608 - only marks
    return frozenset([result_id for (result_id,) in found])


def awaited(known: Known, result_id: str) -> AwaitedCall | None:
    """The ended call that waits for this result; None where none does, or the result has its row."""
    conn = known.conn
    found = conn.execute(_AWAITED, (result_id,)).fetchone()
    if found is None or conn.execute(_IS_THERE, (result_id,)).fetchone():
        return None
    past = rows.select_past(conn, "seq = ? AND state <> 'open'", found)
    if not past:
        return None
    call = past[0]
    return AwaitedCall(call.seq, call.row, call.booked_ms, call.basis, call.cost_nanos or 0, call.value_nanos or 0)


def collected(
    known: Known, row: CallRow, end: Settlement, booked_ms: int, *, gate: int, corrects: AwaitedCall | None
) -> bool:
    """Write a result as a row that is settled from the start. False: it has one."""
    conn = known.conn
    if corrects is not None:
        charges = _differences(known, corrects, end)
        end = replace(
            end,
            cost_nanos=end.cost_nanos - corrects.cost_nanos,
            value_nanos=end.value_nanos - corrects.value_nanos,
            flags=(f"{CORRECTS}{corrects.row.id}", *end.flags),
        )
    else:
        located = known.balances.locate(conn, [scope for scope, _ in end.charges])
        charges = [
            (Held(at.id, 0, 0, scope.hold.value, 0), nanos)
            for at, (scope, nanos) in zip(located, end.charges, strict=True)
        ]
    opened, ending = rows.opened(row), rows.ended(end, end.flags)
    at = known.balances.get
    holds = open_calls.charged(
        [(each.balance, 0, 0, each.mode, 0, nanos, *at(conn, each.balance).mark(nanos)) for each, nanos in charges]
    )
    running = (end.account or row.account, booked_ms, None, None, None, None)
    values = (*opened, *ending, *running, holds)
    inserted = known.run(_WRITE, (*values, gate))
    if not inserted.rowcount or inserted.lastrowid is None:
        return False
    known.balances.move(booked_ms, [(at(conn, hold.balance), nanos, 0, 0, 0, 0) for hold, nanos in charges])
    chain.link(known, inserted.lastrowid, chain.SETTLED, values)
    if end.flowed is not None:
        rated = known.balances.locate(conn, end.flowed.rates)
        known.flows.ended(conn, tuple([at.id for at in rated]), end.flowed, booked_ms)
    return True


def gathered(
    known: Known, row: CallRow, end: Settlement, each: Sequence[Counted], booked_ms: int, *, gate: int
) -> None:
    """Write results that correct nothing and have no row, all in one go; see `LedgerPort.gathered`."""
    located = known.balances.locate(known.conn, [scope for scope, _ in end.charges])
    drawn = [(at, scope.hold.value) for at, (scope, _) in zip(located, end.charges, strict=True)]
    holds, counts = _holds(drawn, [one.nanos for one in each]), [rows.counts(one.usage) for one in each]
    every = (*rows.opened(row), *rows.ended(end, end.flags), row.account, booked_ms, None, None, None, None, None)
    # The row ids that SQLite would give, said here: under the write lock nobody else gives any.
    first = known.run("SELECT coalesce(max(seq), 0) + 1 FROM call_rows").fetchone()[0]
    used = [place for place, column in enumerate(zip(*counts, strict=True)) if column.count(None) < len(column)]
    counted = _picking(tuple(used))
    rows_alike.insert(
        known.cursor,
        (*_OWN, *[rows.USAGE_COLUMNS[place] for place in used]),
        [
            (seq, one.id, one.nanos, one.nanos, one.response_id, one.prices, held, *counted(count))
            for seq, (one, count, held) in enumerate(zip(each, counts, holds, strict=True), first)
        ],
        {"gate": gate, **{_COVERED[place]: every[place] for place in _EVERY if every[place] is not None}},
    )
    total = sum([one.nanos for one in each])
    known.balances.move(booked_ms, [(at, total, 0, 0, 0, 0) for at in located])
    chain.link_all(known, first, chain.SETTLED, _covered(every, each, counts, holds))


def _holds(drawn: list[tuple[Balance, str]], each: list[int]) -> list[str]:
    """The column `holds` of rows that charge each of these balances so much. The first may say a mark that no other does; the
    others differ in their amounts alone."""
    first, *others = each
    said = open_calls.charged([(at.id, 0, 0, mode, 0, first, *at.mark(first)) for at, mode in drawn])
    like: list[open_calls.Ended] = [(at.id, 0, 0, mode, 0, first, *at.mark(first)) for at, mode in drawn]
    return [said, *open_calls.charged_alike(like, others)]


@lru_cache(maxsize=64)
def _picking(places: tuple[int, ...]) -> Callable[[rows.Values], rows.Values]:
    """What takes the values of these places. A third of the columns have none in any row; each that is left out saves its share
    of every one."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple([values[place] for place in places])


def _covered(
    every: rows.Values, each: Sequence[Counted], counts: list[rows.Values], holds: list[str]
) -> list[rows.Values]:
    """What the links cover of each row: what is alike in them is written as JSON once."""
    to_cost, to_response = chain.spliced(every[_ID + 1 : _COST]), chain.spliced(every[_VALUE + 1 : _RESPONSE])
    to_prices, to_counts = chain.spliced(every[_RESPONSE + 1 : _PRICES]), chain.spliced(every[_PRICES + 1 : _COUNTS])
    to_holds = chain.spliced(every[_AFTER:_HOLDS])
    return [
        (one.id, *to_cost, one.nanos, one.nanos, *to_response, one.response_id, *to_prices, one.prices, *to_counts,
         *used, *to_holds, held)
        for one, used, held in zip(each, counts, holds, strict=True)
    ]  # fmt: skip


def _differences(known: Known, corrects: AwaitedCall, end: Settlement) -> list[tuple[Held, int]]:
    """What each balance that was charged the call's whole cost is to be charged more; a hold that was released stays so.

    On a plan, which costs nothing, that is the list price.
    """
    on_plan = corrects.row.billing == PLAN
    before, after = (corrects.value_nanos, end.value_nanos) if on_plan else (corrects.cost_nanos, end.cost_nanos)
    return [
        (Held(balance, 0, 0, mode, 0), after - charged)
        for balance, mode, charged in known.conn.execute(_CHARGED, (corrects.seq,)).fetchall()
        if charged == before
    ]
