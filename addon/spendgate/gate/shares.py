"""Which budgets an ended call is charged to, and with what part of its cost: those that fit the model that has answered."""

from __future__ import annotations

from spendgate.gate.billing import Bill
from spendgate.gate.ending import Ending
from spendgate.gate.terms import Terms
from spendgate.standing import Scope


def charges(ending: Ending, priced: Bill, cost: int) -> tuple[tuple[Scope, int], ...]:
    """What the budgets of the policy under which it left are charged, and those of the one that is in force by now: where
    another model answers than was asked for, filling could not know that; and what it held for nothing is released."""
    left = _under(ending, ending.asked.terms, priced, cost)
    since = ending.since
    if since is None:
        return left
    known = {scope.balance for scope, _ in left}
    found = []
    held = tuple([(scope, 0) for scope in since.scopes(ending.booked_ms)])
    for scope, nanos in (*_under(ending, since, priced, cost), *held):
        if scope.balance not in known:
            known.add(scope.balance)
            found.append((scope, nanos))
    return (*left, *found)


def _under(ending: Ending, terms: Terms, priced: Bill, cost: int) -> tuple[tuple[Scope, int], ...]:
    """What each budget is charged: the share of the cost whose answering model it fits, in the window of the hold."""
    booked_ms = ending.booked_ms
    if not terms.drawn or not priced.items:
        return ()
    if len(priced.items) == 1:
        return tuple([(scope, cost) for scope in terms.charged(priced.items[0].model, booked_ms)])
    # By balance: of two models one may have an exception in an allowance that both draw on.
    totals: dict[tuple[object, ...], tuple[Scope, int]] = {}
    for model, nanos in _shares(priced, cost):
        for scope in terms.charged(model, booked_ms):
            _, before = totals.get(scope.balance, (scope, 0))
            totals[scope.balance] = scope, before + nanos
    return tuple(totals.values())


def _shares(priced: Bill, cost: int) -> list[tuple[str | None, int]]:
    """The cost split over the samplings by their list prices; the last one takes what rounding leaves."""
    shares = [(item.model, cost * item.nanos // priced.nanos if priced.nanos else 0) for item in priced.items]
    model, last = shares[-1]
    shares[-1] = (model, last + cost - sum([nanos for _, nanos in shares]))
    return shares
