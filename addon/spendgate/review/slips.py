"""Values that are hardly meant, each by itself: a limit of nothing, two patterns in one text, a factor that makes calls free."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from spendgate.budget import Budget
from spendgate.model_rules import ModelRule
from spendgate.policy import Policy
from spendgate.rates import Rate
from spendgate.review.doubt import Doubt
from spendgate.review.reach import FORGEABLE
from spendgate.selector import Selector, is_glob

_TINY_MILLIONTHS: Final = 10_000
"""A hundredth of the list price."""
_NEAR: Final = 0.75
"""How alike two words are of which the one is the other, mistyped."""


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


def mistyped_tools(policy: Policy, known: frozenset[str]) -> Iterator[Doubt]:
    """Tools that are nearly called as one that is known: any word may be a tool, so a mistyped one is about nothing."""
    rules: list[tuple[str, str, Budget | ModelRule | Rate]] = [
        (f"budgets.{each.base_name}", each.base_name, each) for each in policy.budgets
    ]
    rules += [(f"models.{each.name}", each.name, each) for each in policy.models]
    rules += [(f"rates.{each.name}", each.name, each) for each in policy.rates]
    chosen = [(where, name, selector) for where, name, rule in rules for selector in (rule.match, rule.excepted)]
    chosen += [("exceptions", each.budget, each.match) for each in policy.exceptions]
    chosen += [("mode", "mode", each) for each in policy.mode.enforce]
    seen: set[tuple[str, str]] = set()
    for subject, name, selector in chosen:
        for text in selector.texts("tool"):
            near = [] if text in known or is_glob(text) else get_close_matches(text, known, n=1, cutoff=_NEAR)
            if near and (name, text) not in seen:
                seen.add((name, text))
                yield Doubt(subject, f"{name}: no tool is known as {text}; did you mean {near[0]}?")


def _claimed(excepted: Selector) -> str:
    """What a call must claim, and nothing else, to be excepted."""
    names = {clause.attribute for clause in excepted.clauses}
    return " and ".join(sorted(names)) if names and names <= FORGEABLE else ""
