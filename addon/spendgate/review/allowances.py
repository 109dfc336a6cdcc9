"""Whose allowance a limit is: whether that of one limit lies within that of another."""

from __future__ import annotations

from spendgate.budget import Budget
from spendgate.rates import Rate
from spendgate.review.reach import SURE


def coarser(now: Budget | Rate, was: Budget | Rate) -> bool:
    """Whether each allowance of `was` lies within one of `now`, and of calls without a value `now` lets none by that `was` holds.

    A session is nobody's in particular: its name is the client's. Where `per` is the same, `missing` has a line of its own.
    """
    if not set(now.per) <= set(was.per):
        return False
    if set(now.per) == set(was.per):
        return True
    lacking, still = set(was.per) - SURE, set(now.per) - SURE
    if was.missing == "refuse" and lacking:
        return now.missing == "refuse" and still == lacking
    return not (was.missing == "shared" and still and now.missing == "skip")
