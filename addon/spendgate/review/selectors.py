"""Every selector of a policy, with the rule that it stands in: for what can be said of one value, whichever rule has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from spendgate.budget import Budget
from spendgate.policy import Policy
from spendgate.selector import EVERY, Selector


class Placed(NamedTuple):
    """One selector that says something. `subject` as in `Doubt`."""

    subject: str
    name: str
    """How a reader knows the rule."""
    key: Literal["match", "except"]
    selector: Selector
    about: tuple[Selector, ...]
    """What a call must fit for this selector to be asked, or to matter: its own rule's `match`, of an exception its budget's."""


def selectors(policy: Policy) -> Iterator[Placed]:
    """All of them, those of a rule with several limits once; in the order of the keys, then of the file."""
    for subject, name, match, excepted in _rules(policy):
        if match.clauses:
            yield Placed(subject, name, "match", match, (match,))
        if excepted.clauses:
            yield Placed(subject, name, "except", excepted, (match,))
    raised = {budget.name: budget.match for budget in policy.budgets}
    for each in policy.exceptions:
        if each.match.clauses:
            about = (each.match, raised.get(each.budget, EVERY))
            yield Placed("exceptions", each.budget, "match", each.match, about)
    for subject, name, selector in _others(policy):
        if selector.clauses:
            yield Placed(subject, name, "match", selector, (selector,))


def once_each(policy: Policy) -> tuple[Budget, ...]:
    """The budgets, those of several limits by their first."""
    return tuple({budget.base_name: budget for budget in reversed(policy.budgets)}.values())[::-1]


def _rules(policy: Policy) -> Iterator[tuple[str, str, Selector, Selector]]:
    for budget in once_each(policy):
        yield f"budgets.{budget.base_name}", budget.base_name, budget.match, budget.excepted
    for rule in policy.models:
        yield f"models.{rule.name}", rule.name, rule.match, rule.excepted
    for rate in policy.rates:
        yield f"rates.{rate.name}", rate.name, rate.match, rate.excepted
    for alert in policy.alerts:
        yield f"alerts.{alert.name}", alert.name, alert.match, alert.excepted


def _others(policy: Policy) -> Iterator[tuple[str, str, Selector]]:
    for selector in policy.mode.enforce:
        yield "mode", "mode", selector
    for number, entry in enumerate(policy.adjust, 1):
        yield "pricing", f"pricing.adjust[{number}]", entry.match
    for seat in policy.billing.seats:
        yield "billing", f"seat {seat.name}", seat.match
    for approver in policy.approvers:
        yield "approvers", f"approver {approver.person}", approver.reach
