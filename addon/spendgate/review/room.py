"""Which of two limits allows more, where that can be shown: over every window that the other one counts.

`allows_no_more(now, was)` says that nothing which `now` lets through could have been too much for `was`. Where it holds in
neither direction the two are not comparable: each allows something that the other one refuses.
"""

from __future__ import annotations

from collections.abc import Sequence

from spendgate.budget import Budget
from spendgate.review.allowances import coarser
from spendgate.review.changes import Effect
from spendgate.review.shadows import windows_in


def effect_of(was: Sequence[Budget], now: Sequence[Budget]) -> Effect:
    """What it does to spending that these limits hold it now and those did before: more, less, either, or nothing (`other`)."""
    less = all(any(_allows_no_more(one, other) for one in now) for other in was)
    more = all(any(_allows_no_more(one, other) for one in was) for other in now)
    if less and more:
        return Effect.OTHER
    return Effect.LESS if less else Effect.MORE if more else Effect.EITHER


def _allows_no_more(now: Budget, was: Budget) -> bool:
    if not coarser(now, was):
        return False
    if now.mean is not None and was.mean is not None and (now.window, now.mean.days) == (was.window, was.mean.days):
        mine, theirs = now.mean, was.mean
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
