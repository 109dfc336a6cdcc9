"""What is hardly meant in `pricing.adjust` and `billing`: prices that are over, or that a later entry always replaces."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from spendgate.contracts import Adjustment
from spendgate.policy import Policy
from spendgate.review.doubt import Doubt
from spendgate.review.inclusion import covers
from spendgate.selector import PLAN


def agreed_doubts(policy: Policy, today: date) -> Iterator[Doubt]:
    """Every warning about agreements with providers."""
    for number, entry in enumerate(policy.adjust, 1):
        where = f"pricing.adjust[{number}]"
        if entry.ends is not None and entry.ends < today:
            yield Doubt(
                "pricing", f"{where} ended on {entry.ends}: its calls are at list price since; take it out, or renew it"
            )
        if entry.factor_millionths == 1_000_000:
            yield Doubt(
                "pricing", f"{where} multiplies by 1: list price, unless it is to end an earlier entry for its calls"
            )
        for later_number, later in enumerate(policy.adjust[number:], number + 1):
            if _replaces(later, entry):
                text = f"{where} never holds: pricing.adjust[{later_number}] is about all of its calls and days, and stands later"
                yield Doubt("pricing", text)
                break
        if set(entry.match.texts("billing")) == {PLAN}:
            yield Doubt(
                "pricing", f"{where} is about subscription traffic alone, which costs nothing and has its list price"
            )
    yield from _billing(policy)


def _replaces(later: Adjustment, entry: Adjustment) -> bool:
    starts = later.starts is None or (entry.starts is not None and later.starts <= entry.starts)
    ends = later.ends is None or (entry.ends is not None and entry.ends <= later.ends)
    return starts and ends and covers(later.match, entry.match)


def _billing(policy: Policy) -> Iterator[Doubt]:
    billing = policy.billing
    if billing.accounts and billing.personal == "ignore":
        text = (
            "personal calls are in no budget, and a request can claim any account; one is charged all the same where its answer "
            "names the company's"
        )
        yield Doubt("billing", text)
    for place, seat in enumerate(billing.seats):
        earlier = next((other for other in billing.seats[:place] if covers(other.match, seat.match)), None)
        if earlier is not None:
            yield Doubt(
                "billing", f"seat {seat.name} is never used: {earlier.name} fits all of its calls and stands before it"
            )
