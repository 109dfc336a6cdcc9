"""Calls that have room to spare wherever they draw: what `admission.decide` says of them, found with a part of its work.

Where nobody stands in line and even the bounds of all that runs leave room for this call's own bound, the decision has no other
outcome than to admit: a budget by ceiling then holds the bound, one by expectation what calls of its kind cost on average. Most
calls of a history are such. Whatever is not plainly so is decided as ever; that both say the same is tested.
"""

from __future__ import annotations

from spendgate.replay.books import Located
from spendgate.standing import Size


def holds(located: Located, size: Size) -> list[int] | None:
    """What the call holds in each of these balances, in nano-dollars; None: it does not plainly fit."""
    bound, mean = size.ceiling_nanos, size.learned_nanos
    if not located.plain or bound is None or mean is None:
        return None
    usual = 1 if size.usual_nanos is None else size.usual_nanos  # so much `decide` asks for at the least
    if mean > bound or (size.largest_nanos or 0) > bound or usual > bound:
        return None  # what was seen disproves the bound
    for at, limit in zip(located.balances, located.limits, strict=True):
        others = at.bound if at.bound > at.held else at.held
        if at.line or at.settled + others + bound > limit:
            return None
    return [bound if by_ceiling else mean for by_ceiling in located.ceilings]
