"""Values that are hardly meant, each by itself: a limit of nothing, two patterns in one text, a factor that makes calls free."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spendgate.policy import Policy
from spendgate.review.doubt import Doubt
from spendgate.review.reach import FORGEABLE
from spendgate.selector import Selector

_TINY_MILLIONTHS: Final = 10_000
"""A hundredth of the list price."""


def slips(policy: Policy) -> Iterator[Doubt]:
    """Each of them."""
    for budget in policy.budgets:
        if budget.limit_nanos == 0 and budget.mean is None and budget.enforce_action:
            text = f"{budget.name} allows $0: it refuses every call that costs anything"
            yield Doubt(f"budgets.{budget.base_name}", text)
    for rule in policy.models:
        for pattern in rule.deny or rule.allow:
            if "," in pattern:
                text = f"{rule.name}: {pattern!r} is one pattern with a comma in it, and fits nothing; write a list: [a, b]"
                yield Doubt(f"models.{rule.name}", text)
        if claimed := _claimed(rule.excepted):
            text = f"{rule.name} excepts by {claimed} alone, which a client can forge: nobody need come under it"
            yield Doubt(f"models.{rule.name}", text)
    for number, entry in enumerate(policy.adjust, 1):
        factor = entry.factor_millionths
        if factor is not None and 0 < factor < _TINY_MILLIONTHS:
            text = f"pricing.adjust[{number}] takes off more than 99%: its calls cost next to nothing, and no budget stops them"
            yield Doubt("pricing", text)


def _claimed(excepted: Selector) -> str:
    """What a call must claim, and nothing else, to be excepted."""
    names = {clause.attribute for clause in excepted.clauses}
    return " and ".join(sorted(names)) if names and names <= FORGEABLE else ""
