"""How much a call holds under `hold: expected`, from what its kind was seen to cost and what is in flight: one pure function.

`hold: ceiling` needs no rule: there a call holds its bound.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from spendgate.standing import KindStanding, Size, Standing

PROVEN_SHARE = Fraction(2, 5)
"""Slow start: of a kind, at most this share of the calls that have settled may be in flight on what was learned from them;
more must hold their bound. At least one may."""
DEVIATIONS = 3
"""How many standard deviations of the sum of all calls in flight must have room beside their mean. Both figures are chosen by
`scripts/simulate`: the least overshoot that still uses nine tenths of a budget within ten call durations."""

SURPRISE = 6
"""One call in flight may lie so many times as far above the mean as the dearest seen: a dozen calls show little of a long tail,
and nothing is added where all cost the same. By `scripts/simulate`: with fewer more goes over, with more waits end in vain."""

UNKNOWN_AT_ONCE = 12
"""A call of which nothing is known holds at least this part of what is left, whatever its bound says: a provider may bill input
that the request does not show, and a wrong bound must not let a hundred calls through before the first one has settled."""


def wanted(standing: Standing, kind: KindStanding, size: Size) -> int:
    """What a call would hold under `expected` beside the calls in flight, in nano-dollars, whether there is room or not.

    Nothing learned: its guessed bound, and at least a share of what is left. Ample room for the bounds of all: what calls of
    its kind cost on average. Else so much that all holds together cover the mean of all calls in flight and one SURPRISE, or
    their `_risk` if that is more. In slow start the kind counts as unknown.
    """
    limit, mean = standing.limit_nanos, size.learned_nanos
    if mean is not None and _ample(standing, size, limit):
        return mean
    bound = size.guess_nanos if size.guess_nanos is not None else limit
    unproven = max(bound, size.largest_nanos or 0, (limit - standing.settled_nanos) // UNKNOWN_AT_ONCE)
    if mean is None:
        return unproven
    seen = max(1, size.seen, kind.settled)
    same = min(kind.open_calls, standing.open_calls)
    if same and same * PROVEN_SHARE.denominator >= seen * PROVEN_SHARE.numerator:
        return unproven
    strangers = standing.held_nanos * (standing.open_calls - same) // max(1, standing.open_calls)
    surprise = mean + SURPRISE * max(0, (size.largest_nanos or 0) - mean)
    needed = max(_risk(mean, size.spread_nanos, same + 1, seen), same * mean + min(unproven, surprise))
    return max(mean, strangers + needed - standing.held_nanos)


def _risk(mean: int, spread: int, calls: int, seen: int) -> int:
    """Mean plus deviations of what `calls` calls cost together, after `seen` samples; rounded up.

    The variance of a sum of `calls` whose mean is known from `seen` samples is spread² (calls + calls²/seen). One spread of the
    mean's own size is added for what so few samples cannot have shown; it fades with their number.
    """
    variance = (DEVIATIONS * spread) ** 2 * seen + mean**2
    return calls * mean + isqrt(variance * (calls * seen + calls**2)) // seen + 1 if variance else calls * mean


def _ample(standing: Standing, size: Size, limit_nanos: int) -> bool:
    """Whether even the bounds of all in flight leave room for this call's bound, and nothing seen disproves that bound."""
    bound = size.ceiling_nanos
    if bound is None or (size.largest_nanos or 0) > bound:
        return False
    others = max(standing.ceiling_nanos, standing.held_nanos)
    return standing.settled_nanos + others + bound <= limit_nanos
