"""Why unit prices differ: a multiplier that only one thing has, a step on a date, another list price, rounding.

Everything is seen together, since a step shows over days and a multiplier in one place. A ratio is matched within what rounding
can make of it, never nearly. Where the bill tells neither counts nor requests, requests that the ledger lacks make ratios, too:
one alone says nothing there.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import Final

from msgspec import Struct

from spendgate.reconcile.decompose import WHOLE, PriceGap
from spendgate.reconcile.groups import GroupKey
from spendgate.reconcile.result import Cause, Confidence
from spendgate.reconcile.vectors import NAMES, WRITES, whole

RATIOS: Final = {
    Fraction(1, 2): "half: batch or flex",
    Fraction(2): "twice: priority, long context, or the ledger took it for batch",
    Fraction(11, 10): "1.1 times: inference in one region",
    Fraction(10, 11): "1/1.1: the ledger took it for inference in one region",
    Fraction(5, 4): "1.25 times: written to a cache of 5 minutes",
    Fraction(4, 5): "1/1.25: the ledger took it for written to a cache",
    Fraction(8, 5): "1.6 times: written to a cache for an hour, taken for 5 minutes",
    Fraction(5, 8): "1/1.6: written to a cache for 5 minutes, taken for an hour",
    Fraction(11, 20): "half of 1.1 times: batch in one region",
    Fraction(11, 5): "twice 1.1 times: both",
}
"""What makes a price so many times another one (facts/reconciliation.md 10.7), and nothing else."""
_OF_WRITES: Final = tuple(Fraction(*each) for each in ((5, 4), (4, 5), (8, 5), (5, 8)))
"""Which of them only cache writes have."""
_OFTEN: Final = 3
"""How often one ratio must be seen where it is of whole amounts, which may differ by anything."""
CONTRACTS: Final = (Fraction(17, 20), Fraction(9, 10))
"""Ratios that a contract's discount has where the bill tells no list price."""


class Seen(Struct, frozen=True):
    """A price gap, where it is."""

    at: GroupKey
    gap: PriceGap
    same_counts: bool
    only_net: bool
    """The bill tells no list price apart."""


class Explained(Struct, frozen=True):
    """A price gap with its cause, or without."""

    at: GroupKey
    nanos: int
    cause: Cause | None
    evidence: str = ""
    confidence: Confidence = Confidence.FINGERPRINT


def is_rounding(gap: PriceGap) -> bool:
    """Whether rounding alone can have made it."""
    return abs(gap.nanos) <= gap.rounding


def explain(seen: list[Seen]) -> list[Explained]:
    """Each gap with its cause, in the order given."""
    steps = _steps(seen)
    steady = _steady(seen)
    return [_one(each, steps, steady) for each in seen]


def _name(each: Seen) -> tuple[str, str, int]:
    return (each.at.provider, each.at.model, each.gap.place)


def _fits(gap: PriceGap, ratio: Fraction) -> bool:
    return abs(gap.at_ours * (ratio - 1) - gap.nanos) <= gap.rounding


class _Step(Struct, frozen=True):
    """From a day on another price, of a model and class."""

    day_ms: int
    ratio: Fraction
    proven: bool
    """One account alone has both prices, the old one before that day and the new one since."""


def _steps(seen: list[Seen]) -> dict[tuple[str, str, int], _Step]:
    """Of each model and class the day from which on it is dearer or cheaper by one ratio, where it was not before.

    A model changes its price on one day: what one class shows goes for those of its classes, too, that have no calls from before.
    """
    by: dict[tuple[str, str, int], list[Seen]] = defaultdict(list)
    for each in seen:
        if each.gap.ratio is not None and not each.gap.price.told():
            by[_name(each)].append(each)
    found = {name: step for name, its in by.items() if (step := _step(its)) is not None}
    proven = {name[:2]: step.day_ms for name, step in sorted(found.items()) if step.proven}
    for name, its in by.items():
        day_ms = proven.get(name[:2])
        known = found.get(name)
        if (
            (known is None or not known.proven)
            and day_ms is not None
            and (since := [each for each in its if each.at.day_ms >= day_ms])
        ):
            ratio = _common(since)
            if ratio is not None and not any(_fits(each.gap, ratio) for each in its if each.at.day_ms < day_ms):
                found[name] = _Step(day_ms, ratio, proven=True)
    usual = set(RATIOS)
    return {name: step for name, step in found.items() if step.proven or step.ratio not in usual}


def _step(its: list[Seen]) -> _Step | None:
    off = [each for each in its if not is_rounding(each.gap)]
    if not off:
        return None
    ratio = max(off, key=lambda each: (each.gap.at_ours, each.at)).gap.ratio
    new = [each for each in off if ratio is not None and _fits(each.gap, ratio)]
    first = min((each.at.day_ms for each in new), default=0)
    since = [each for each in its if each.at.day_ms >= first]
    old = [each for each in its if each.at.day_ms < first]
    if not new or not old or _common(since) is None or any(not is_rounding(each.gap) for each in old):
        return None
    both = {each.at.account for each in new} & {each.at.account for each in old}
    return _Step(first, _common(since) or Fraction(1), proven=bool(both))


def _common(its: list[Seen]) -> Fraction | None:
    """The ratio that nine tenths of their money have, by the largest of them."""
    ratio = max(its, key=lambda each: (each.gap.at_ours, each.at)).gap.ratio
    if ratio is None or ratio == 1:
        return None
    fit = sum((each.gap.at_ours for each in its if _fits(each.gap, ratio)), Fraction(0))
    return ratio if 10 * fit >= 9 * sum((each.gap.at_ours for each in its), Fraction(0)) else None


def _steady(seen: list[Seen]) -> dict[tuple[str, str, int], int]:
    """Of each model and class where all have one ratio, how often that was seen; without counts, of how many different amounts:
    one call more of ten alike each day has one ratio, too."""
    found: dict[tuple[str, str, int], int] = {}
    by: dict[tuple[str, str, int], list[Seen]] = defaultdict(list)
    for each in seen:
        if each.gap.ratio is not None:
            by[_name(each)].append(each)
    for name, its in by.items():
        ratio = max(its, key=lambda each: (each.gap.at_ours, each.at)).gap.ratio
        if ratio is not None and all(_fits(each.gap, ratio) for each in its):
            sized = all(each.gap.sized for each in its)
            found[name] = len(its if sized else {each.gap.at_ours for each in its if not is_rounding(each.gap)})
    return found


def _one(each: Seen, steps: dict[tuple[str, str, int], _Step], steady: dict[tuple[str, str, int], int]) -> Explained:
    gap, at = each.gap, each.at
    nanos = whole(gap.nanos)
    of = "" if gap.place == WHOLE else f" of {NAMES[gap.place]}"
    if is_rounding(gap):
        return Explained(at, nanos, Cause.FX_ROUNDING, "within what the last digits of the lines can round")
    often = steady.get(_name(each), 0)
    if gap.ratio is None or (not gap.sized and often < _OFTEN):
        return Explained(at, nanos, None)
    told = f"the price{of} is {float(gap.ratio):.4g} times the ledger's"
    axes = gap.price.told()
    if axes:
        return Explained(at, nanos, Cause.PRICE_MULTIPLIER, f"{told}; billed as {axes}, captured without it")
    step = steps.get(_name(each))
    if step is not None and at.day_ms >= step.day_ms and _fits(gap, step.ratio):
        return Explained(at, nanos, Cause.PRICE_CHANGE_MIDPERIOD, f"{told} since this model's price changed")
    for ratio, why in RATIOS.items():
        if (gap.place in WRITES or ratio not in _OF_WRITES) and _fits(gap, ratio):
            return Explained(at, nanos, Cause.PRICE_MULTIPLIER, f"{told}; {why}")
    if each.only_net and any(_fits(gap, ratio) for ratio in CONTRACTS):
        return Explained(at, nanos, Cause.DISCOUNT, f"{told}, as a contract's discount makes it")
    if each.same_counts:
        return Explained(at, nanos, Cause.PRICE_LIST, f"{told}; the counts are the same")
    if often >= (_OFTEN if gap.place == WHOLE else 2):
        return Explained(at, nanos, Cause.PRICE_LIST, f"{told}, as all {often} times that this was billed")
    if gap.place != WHOLE:
        return Explained(
            at, nanos, Cause.PRICE_LIST, f"{told}, by the bill's own count and amount", Confidence.RESIDUAL
        )
    return Explained(at, nanos, None)
