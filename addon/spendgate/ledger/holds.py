"""Holding money: a call is opened with one hold for each balance that it draws on, corrected while it runs, sent once.

Every function runs inside the caller's transaction and leaves the balances equal to the sum over the calls.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from spendgate.admission import Admit
from spendgate.ledger import moving, open_calls, rows
from spendgate.ledger.balances import Change
from spendgate.ledger.interface import CallRow
from spendgate.ledger.known import Known
from spendgate.ledger.open_calls import Drawn, Held, OpenCall
from spendgate.standing import Hold, Scope, Standing

_OPEN: Final = rows.insert_sql((*rows.OPENED, "account", *rows.HOLDING))
_SENT: Final = "UPDATE call_rows SET sent_ms = ? WHERE id = ? AND state = 'open' AND sent_ms IS NULL"
_RESIZED: Final = "UPDATE call_rows SET held_nanos = ?, holds = ?, resized = 1 WHERE seq = ?"


class Booking(Struct, frozen=True):
    """Under which gate, at what time and after what wait a call is opened, and whether it leaves with its answer."""

    gate: int
    now_ms: int
    waited_ms: int
    leaves: bool = False


def open_call(known: Known, row: CallRow, admit: Admit, drawn: Drawn, booking: Booking) -> None:
    """Write the open call, its holds, and what they take from each balance. Raises IntegrityError for a known call id."""
    now_ms, waited_ms, account, ceiling_nanos = booking.now_ms, booking.waited_ms, row.account, row.ceiling_nanos
    sent_ms = now_ms if booking.leaves else None
    _, located, kind = drawn
    largest, held = 0, []
    changes: list[Change] = [(kind, 0, 0, 0, 1, 0)]
    for (scope, hold_nanos), at in zip(admit.holds, located, strict=True):
        nanos = bound = hold_nanos
        if scope.rate is not None:
            # It holds no money: of its balance the open calls count, also where `parallel` may be added while they run.
            nanos = bound = 0
        elif ceiling_nanos is not None and ceiling_nanos > nanos:
            bound = ceiling_nanos
        largest = max(largest, nanos)
        held.append(Held(at.id, nanos, bound, scope.hold, 0))
        changes.append((at, 0, nanos, bound, 1, 0))
    rule = admit.would_refuse.rule if admit.would_refuse else None
    holds, opened = tuple(held), rows.opened(row)
    holding = (account, "open", booking.gate, now_ms, sent_ms, largest, waited_ms, rule, open_calls.packed(holds))
    seq = known.run(_OPEN, opened + holding).lastrowid or 0
    known.balances.move(now_ms, changes)
    known.calls[row.id] = OpenCall(
        row.id, row.kind, seq, account, now_ms, sent_ms, largest, waited_ms, rule, holds, opened, drawn
    )


def bound_of(ceiling_nanos: int | None, hold_nanos: int) -> int:
    """The most an open call can cost; a call without a bound counts its hold."""
    return hold_nanos if ceiling_nanos is None else max(ceiling_nanos, hold_nanos)


def mark_sent(known: Known, call_id: str, at_ms: int) -> None:
    """Note the first moment from which the call is never free. One statement, which needs no transaction around it."""
    marked = known.run(_SENT, (at_ms, call_id)).rowcount
    call = known.calls.get(call_id)
    if marked and call is not None:
        call.sent_ms = at_ms


def resize(known: Known, call_id: str, sizes: tuple[tuple[Scope, int], ...], now_ms: int) -> tuple[Standing, ...]:
    """Set an open call's holds to these sizes; the standings after it, in their order. Empty for a call that has ended.

    A balance that the call never held in keeps its sums; rolling windows end at `now_ms`.
    """
    call = known.call(call_id)
    if call is None:
        return ()
    located = known.balances.locate_at(known.conn, [scope for scope, _ in sizes], now_ms)
    wanted = {at.id: nanos for at, (_, nanos) in zip(located, sizes, strict=True)}
    ceiling_nanos = call.opened[rows.CEILING_AT]
    after = tuple(_resized(hold, wanted.get(hold.balance), ceiling_nanos) for hold in call.holds)
    at, conn = known.balances.get, known.conn
    changes: list[Change] = [
        (at(conn, new.balance), 0, new.nanos - old.nanos, new.bound_nanos - old.bound_nanos, 0, 0)
        for old, new in zip(call.holds, after, strict=True)
        if new != old
    ]
    known.balances.move(call.booked_ms, changes)
    call.holds, call.held_nanos = after, max(call.held_nanos, *wanted.values(), 0)
    known.run(_RESIZED, (call.held_nanos, open_calls.packed(after), call.seq))
    after_it = [at.standing(scope, 0) for at, (scope, _) in zip(located, sizes, strict=True)]
    return tuple([
        replace(each, limit=moving.limit(known, each.scope, now_ms)) if each.scope.moves else each for each in after_it
    ])  # fmt: skip


def _resized(hold: Held, nanos: int | None, ceiling_nanos: int | None) -> Held:
    if nanos is None or hold.mode == Hold.RATE:
        return hold
    return replace(hold, nanos=nanos, bound_nanos=bound_of(ceiling_nanos, nanos))
