"""How a call ends: settled, interrupted or failed, once; and the calls that end as they are written.

The end state, the charges, the released holds, the balances and the link of the chain share the caller's transaction.
What a call costs is posted in full to every balance it is charged to, also past the hold and past the limit.
"""

from __future__ import annotations

from typing import Final

from spendgate.ledger import chain, open_calls, results, rows
from spendgate.ledger.balances import Change
from spendgate.ledger.interface import CallRow, Settlement
from spendgate.ledger.known import Known
from spendgate.ledger.open_calls import Ended, Held, OpenCall

OVERRUN: Final = "overrun"
"""Flag of a call that cost more than some hold of it."""

_END_SETS: Final = ", ".join(f"{name} = ?" for name in (*rows.SETTLED, "account", "sent_ms", "holds"))
# Any fault takes back the transaction anyway (`store`); to be able to take back this statement alone, SQLite copies pages first.
_END: Final = f"UPDATE OR ROLLBACK call_rows SET {_END_SETS} WHERE seq = ? AND state = 'open'"  # noqa: S608 - our own column names
_ENDED_AT_ONCE: Final = {
    form: rows.insert_sql((*rows.OPENED, *chain.FORMS[form], "gate"), once=True)
    for form in (chain.REFUSED, chain.RECORDED)
}
Unheld = tuple[tuple[Held, int], ...]
"""Charges of balances that held nothing, each as a hold of nothing."""
NOTHING_UNHELD: Final[Unheld] = ()
RECORDED_STATES: Final = ("free", "unrecognized", "failed")
"""What a call that held nothing may end as."""


def _unasked(hold: Held, end: Settlement) -> int:
    """What a hold is charged that the settlement does not name: of one that filling added the whole price."""
    if hold.added == open_calls.AT_LIST_PRICE:
        return end.value_nanos
    return end.cost_nanos if hold.added else 0


def settle(known: Known, call_id: str, end: Settlement) -> bool:
    """End an open call. False when it is not open: nothing is changed then.

    A hold without a charge is released: the answering model does not fit that budget. One that filling added for a policy
    which the settling gate may not know yet is charged the call's cost. A budget that held nothing and is charged (the
    answering model fits it, the one asked for did not) gets a hold of nothing, so that it has its charge.
    """
    call = known.call(call_id)
    if call is None:
        return False
    if end.awaited is not None:
        end = results.awaiting(known, call.seq, end.awaited, end)
    costs, unheld = [nanos for _, nanos in end.charges], NOTHING_UNHELD
    if call.drawn is None or tuple([scope for scope, _ in end.charges]) != call.drawn[0]:
        costs, unheld = _matched(known, call, end)
    finish(known, call, end, costs=costs, unheld=unheld)
    if end.flowed is not None:
        rated = known.balances.locate(known.conn, end.flowed.rates)
        known.flows.ended(known.conn, tuple([at.id for at in rated]), end.flowed, end.ended_ms)
    return True


def _matched(known: Known, call: OpenCall, end: Settlement) -> tuple[list[int], Unheld]:
    """What each hold is charged, and what is charged where nothing was held, where the two are not of the same scopes."""
    charged = known.balances.locate(known.conn, [scope for scope, _ in end.charges])
    charges = {at.id: charge for at, charge in zip(charged, end.charges, strict=True)}
    costs = []
    for hold in call.holds:
        charge = charges.pop(hold.balance, None)
        costs.append(charge[1] if charge is not None else _unasked(hold, end))
    return costs, tuple([(Held(at, 0, 0, scope.hold, 0), nanos) for at, (scope, nanos) in charges.items()])


def finish(known: Known, call: OpenCall, end: Settlement, *, costs: list[int], unheld: Unheld) -> None:
    """End an open call: its row, its balances and its link. `costs` are the charges of its holds, in their order; `unheld`
    those where it held nothing. A charge that is more than its hold is flagged."""
    conn, flags = known.conn, end.flags
    if call.drawn is not None:
        _, located, kind = call.drawn
    else:
        located = [known.balances.get(conn, hold.balance) for hold in call.holds]
        kind = known.balances.kind(conn, call.kind)
    ended: list[Ended] = []
    changes: list[Change] = []
    over = False
    for at, hold, cost in zip(located, call.holds, costs, strict=True):
        nanos, bound_nanos = hold.nanos, hold.bound_nanos
        if cost > nanos:
            over = True
        changes.append((at, cost, -nanos, -bound_nanos, -1, 0))
        ended.append((at.id, nanos, bound_nanos, hold.mode, hold.added, cost, *at.mark(cost)))
    for hold, cost in unheld:
        at = known.balances.get(conn, hold.balance)
        changes.append((at, cost, 0, 0, 0, 0))
        ended.append((at.id, 0, 0, hold.mode, hold.added, cost, *at.mark(cost)))
    if over:
        flags = (*flags, OVERRUN)
    # What used nothing (a warm-up, an error) does not show what its kind costs: slow start goes by what had a value.
    proven = end.state == "settled" and end.value_nanos > 0
    changes.append((kind, 0, 0, 0, -1, 1 if proven else 0))
    ending, holds = rows.ended(end, flags), open_calls.charged(ended)
    # The account is the answer's where it names one; what was not sent after all has no such time.
    account, sent_ms = end.account or call.account, call.sent_ms if end.sent else None
    running = (account, call.booked_ms, sent_ms, call.held_nanos, call.waited_ms, call.would_refuse_by, holds)
    known.run(_END, (*ending, account, sent_ms, holds, call.seq))
    known.balances.move(call.booked_ms, changes)
    chain.link(known, call.seq, chain.SETTLED, call.opened + ending + running)
    known.calls.pop(call.id, None)


def write_ended(known: Known, form: int, row: CallRow, gate: int, ending: rows.Values) -> None:
    """Write a call that ends as it is written: `ending` are the values of `chain.FORMS[form]` but the account.

    A second time changes nothing.
    """
    values = (*rows.opened(row), *ending, row.account)
    written = known.run(_ENDED_AT_ONCE[form], (*values, gate))
    if written.rowcount and written.lastrowid is not None:
        chain.link(known, written.lastrowid, form, values)
