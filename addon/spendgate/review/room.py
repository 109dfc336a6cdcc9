"""Which of two limits allows more, where that can be shown: over every window that the other one counts.

`allows_no_more(now, was)` says that nothing which `now` lets through could have been too much for `was`. Where it holds in
neither direction the two are not comparable: each allows something that the other one refuses.
"""

from __future__ import annotations

from collections.abc import Sequence

from spendgate.budget import Budget
from spendgate.policy import Policy
from spendgate.review.allowances import coarser
from spendgate.review.changes import Effect
from spendgate.review.reach import PERSONAL
from spendgate.review.shadows import windows_in
from spendgate.window import Unit


def effect_of(was: Sequence[Budget], now: Sequence[Budget], policy: Policy) -> Effect:
    """What it does to spending that these limits hold it now and those did before: more, less, either, or nothing (`other`).

    `policy` is the new one: what another timezone does is told there, and here only by whose zone the windows are cut."""
    less = all(any(_allows_no_more(one, other, policy) for one in now) for other in was)
    more = all(any(_allows_no_more(one, other, policy) for one in was) for other in now)
    if less and more:
        return Effect.OTHER
    return Effect.LESS if less else Effect.MORE if more else Effect.EITHER


def other_mean(now: Budget, was: Budget) -> bool:
    """Whether both follow the mean of something else: of other calls, or of another allowance. It may be higher or lower.

    One person's own mean is the same, whoever else comes under the limit."""
    return now.mean is not None and was.mean is not None and _averaged(now) != _averaged(was)


def _averaged(budget: Budget) -> tuple[object, ...]:
    match, excepted = budget.match.as_data(), budget.excepted.as_data()
    if "person" in budget.per:
        match = {name: texts for name, texts in match.items() if name not in PERSONAL}
        excepted = {} if excepted.keys() <= PERSONAL else excepted
    return set(budget.per), match, excepted, budget.counts


def _other_zone(now: Budget, was: Budget, policy: Policy) -> bool:
    """Whether windows that a calendar cuts are cut by that of another zone: a day there lies in two of the other's."""
    cut = any(each.window is not None and each.window.unit is not Unit.ROLLING for each in (now, was))
    return cut and policy.zones(now.per, now.match) != policy.zones(was.per, was.match)


def _allows_no_more(now: Budget, was: Budget, policy: Policy) -> bool:
    if not coarser(now, was) or _other_zone(now, was, policy):
        return False
    averaged = None if other_mean(now, was) else now.mean
    if averaged is not None and was.mean is not None and (now.window, averaged.days) == (was.window, was.mean.days):
        mine, theirs = averaged, was.mean
        pairs = (
            (mine.thousandths, theirs.thousandths),
            (mine.at_least_nanos, theirs.at_least_nanos),
            (now.limit_nanos, was.limit_nanos),
        )
        if all(one <= other for one, other in pairs):
            return True
    times = windows_in(now.window, was.window)
    least = was.limit_nanos if was.mean is None else was.mean.at_least_nanos
    return times is not None and times * now.limit_nanos <= least
