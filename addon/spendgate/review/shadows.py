"""Rules in others' shadow: budgets that are never reached, model rules and rates that change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from spendgate.alert_rules import Pace
from spendgate.budget import Budget, Missing
from spendgate.exceptions import BudgetException
from spendgate.model_rules import ModelRule
from spendgate.money import short_dollars
from spendgate.policy import Policy
from spendgate.rates import Rate
from spendgate.review.changes import selector_text
from spendgate.review.doubt import Doubt
from spendgate.review.flows import allows_no_more
from spendgate.review.inclusion import included
from spendgate.review.pairs import Pairs, counts_all_of
from spendgate.review.reach import counts
from spendgate.selector import Facts
from spendgate.window import DAY_MS, HOUR_MS, Unit, Window

_DAYS: Final = {Unit.DAY: 1, Unit.WEEK: 7, Unit.MONTH: 31, Unit.QUARTER: 92, Unit.YEAR: 366}
"""The longest that there are."""
_PARTS: Final = {
    (Unit.HOUR, Unit.DAY): 26, (Unit.HOUR, Unit.WEEK): 170,
    (Unit.DAY, Unit.WEEK): 7, (Unit.DAY, Unit.MONTH): 31, (Unit.DAY, Unit.QUARTER): 92, (Unit.DAY, Unit.YEAR): 366,
    (Unit.MONTH, Unit.QUARTER): 3, (Unit.MONTH, Unit.YEAR): 12, (Unit.QUARTER, Unit.YEAR): 4,
}  # fmt: skip
"""Of how many windows another one is made up, at the most: in `Antarctica/Troll` clocks are put back by two hours."""
_NESTED: Final = (Unit.HOUR, Unit.DAY, Unit.MONTH, Unit.QUARTER, Unit.YEAR)
_SURE: Final = frozenset({"person", "machine"})
"""What every call has."""


def shadows(policy: Policy, raising: Sequence[BudgetException], granted: Sequence[Facts] = ()) -> Iterator[Doubt]:
    """Each rule that changes nothing beside another one. `raising`: the exceptions that are still to raise somebody's room;
    `granted`: the people to whom an approver may grant more, of any budget and again and again."""
    yield from _budgets(policy, raising, granted)
    yield from _models(policy)
    yield from _rates(policy)


def _one_allowance(other: Budget | Rate, rule: Budget | Rate) -> bool:
    """Whether all that one allowance of `rule` counts is in one allowance of `other`."""
    if not (counts_all_of(other, rule) and set(other.per) <= set(rule.per)):
        return False
    # A call without a value for `per` would be in an allowance of the one and in none of the other.
    lacking = Missing.SHARED in (rule.missing, other.missing) and rule.missing != other.missing
    return not lacking or set(other.per) <= _SURE


# -- budgets ----------------------------------------------------------------------------------------------------------


def _budgets(policy: Policy, raising: Sequence[BudgetException], granted: Sequence[Facts]) -> Iterator[Doubt]:
    """A budget that another one always ends before. One that only warns and tells of a part of its limit is for that."""
    paced = {alert.form.budget for alert in policy.alerts if isinstance(alert.form, Pace)}
    pairs = Pairs(policy.budgets)
    for budget in policy.budgets:
        for other in pairs.of(budget):
            most = allows(policy, other, budget, raising)
            if most is None or most > least(budget):
                continue
            back = allows(policy, budget, other, raising)
            if back is not None and back <= least(other) and other.order > budget.order:
                continue  # two that are the same: the later one is told
            if _tells(budget, most, paced=budget.name in paced) or may_be_granted(budget, other, granted):
                continue
            yield Doubt(f"budgets.{budget.base_name}", _unreached(policy, budget, other, most, raising))
            break
    yield from pairs.left_out("budgets")


def _tells(budget: Budget, most: int, *, paced: bool) -> bool:
    """Whether a budget that refuses nothing is for an alert which is reached while so much may be spent."""
    if budget.enforce_action:
        return False
    moves = budget.mean is not None and bool(budget.alerts)
    return paced or moves or any(percent * budget.limit_nanos <= most * 100 for percent in budget.alerts)


def may_be_granted(budget: Budget, other: Budget, granted: Sequence[Facts]) -> bool:
    """Whether somebody whom both count may be granted more of the other one: then this one may be reached."""
    return any(counts(other, facts) and counts(budget, facts) for facts in granted)


def _unreached(policy: Policy, budget: Budget, other: Budget, most: int, raising: Sequence[BudgetException]) -> str:
    falls = f" the {_amount(least(budget))} that it never falls below" if budget.mean is not None else ""
    if other.window == budget.window or _within(budget.window, other.window):
        why = f"{other.name} counts the same calls and is spent before{falls}"
    else:
        above = f", not more than{falls}" if falls else ""
        why = f"{other.name} counts the same calls and allows {short_dollars(most)} at most in that time{above}"
    for each in raising:
        if each.budget == other.name and _of_unlisted(policy, each):
            why += f", but for whom the exception {each.reason!r} fits, {selector_text(each.match.as_data())}"
    if other.match.as_data() != budget.match.as_data():
        why += f"; where more is meant, {other.base_name} must except them"
    return f"{budget.name} can never be reached: {why}"


def least(budget: Budget) -> int:
    """What its limit never falls below."""
    return budget.limit_nanos if budget.mean is None else budget.mean.at_least_nanos


def _amount(nanos: int) -> str:
    return short_dollars(nanos).removesuffix(".00")


def allows(policy: Policy, other: Budget, budget: Budget, raising: Sequence[BudgetException]) -> int | None:
    """The most that `other` lets through in a window of `budget`, of the calls that this one counts; None: nobody knows.

    Of one that moves that is its `at_most`. An exception for somebody whom no file lists is told, not reckoned with.
    """
    if other is budget or not other.enforce_action or not _one_allowance(other, budget):
        return None
    if other.counts != budget.counts:
        return None
    if policy.zones(other.per, other.match) != policy.zones(budget.per, budget.match):
        return None
    times = windows_in(other.window, budget.window)
    if times is None:
        return None
    raised = [each for each in raising if each.budget == other.name and not _of_unlisted(policy, each)]
    highest = max([other.limit_nanos, *(each.limit_nanos or 0 for each in raised)])
    return times * (highest + sum(each.add_nanos or 0 for each in raised))


def _of_unlisted(policy: Policy, each: BudgetException) -> bool:
    """Whether it names a person where nobody is listed: then that may be somebody, or a slip of the pen."""
    return not policy.roster.people and bool(each.match.texts("person"))


def windows_in(inner: Window | None, outer: Window | None) -> int | None:
    """With how many windows of `inner` one of `outer` may have to do; None: there is no end of them."""
    if _within(outer, inner):
        return 1
    if inner is None or outer is None:
        return None
    if (exact := _PARTS.get((inner.unit, outer.unit))) is not None:
        return exact
    touched = -(-_length_ms(outer) // _length_ms(inner))
    return touched if inner.unit is Unit.ROLLING else touched + 1


def _length_ms(window: Window) -> int:
    """The longest that it may be; where clocks are put back a day has 25 hours, in `Antarctica/Troll` 26."""
    if window.unit is Unit.ROLLING:
        return window.length_ms
    return HOUR_MS if window.unit is Unit.HOUR else _DAYS[window.unit] * DAY_MS + 2 * HOUR_MS


def _within(inner: Window | None, outer: Window | None) -> bool:
    """Whether every window of `inner` lies in one of `outer`: what is spent in it counts there, too."""
    if outer is None:
        return True
    if inner is None:
        return False
    if inner == outer:
        return True
    if outer.unit is Unit.ROLLING:
        return inner.unit is Unit.ROLLING and inner.length_ms <= outer.length_ms
    if outer.unit is Unit.WEEK:
        return inner.unit in {Unit.HOUR, Unit.DAY}
    if inner.unit not in _NESTED or outer.unit not in _NESTED:
        return False
    return _NESTED.index(inner.unit) < _NESTED.index(outer.unit)


# -- models and rates -------------------------------------------------------------------------------------------------


def _models(policy: Policy) -> Iterator[Doubt]:
    """A rule that refuses only what another one refuses to at least as many."""
    pairs = Pairs(policy.models)
    for rule in policy.models:
        for other in pairs.of(rule):
            if (
                other is not rule
                and _refuses_all_of(other, rule)
                and not (other.order > rule.order and _refuses_all_of(rule, other))
            ):
                what = "denies the same already" if rule.deny else "allows no more than it does"
                yield Doubt(f"models.{rule.name}", f"{rule.name} changes nothing: {other.name} {what}")
                break
    yield from pairs.left_out("models")


def _refuses_all_of(other: ModelRule, rule: ModelRule) -> bool:
    if not counts_all_of(other, rule) or (rule.unresolved, other.unresolved) == ("deny", "allow"):
        return False
    wide, narrow = (other.deny, rule.deny) if rule.deny else (rule.allow, other.allow)
    return bool(wide and narrow) and all(included(text, wide, "model") for text in narrow)


def _rates(policy: Policy) -> Iterator[Doubt]:
    """A rate that another one never lets through more than."""
    pairs = Pairs(policy.rates)
    for rate in policy.rates:
        for other in pairs.of(rate):
            if (
                other is not rate
                and _paced_by(other, rate)
                and not (other.order > rate.order and _paced_by(rate, other))
            ):
                text = f"{rate.name} changes nothing: {other.name} counts the same calls and lets through no more"
                yield Doubt(f"rates.{rate.name}", text)
                break
    yield from pairs.left_out("rates")


def _paced_by(other: Rate, rate: Rate) -> bool:
    if rate.tokens is not None and rate.cache_reads and not other.cache_reads:
        return False
    return _one_allowance(other, rate) and allows_no_more(other, rate)
