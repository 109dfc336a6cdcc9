"""The limit of one allowance at one moment: its own or the day's mean, raised by exceptions. Pure; amounts are nano-dollars.

What is spent under an exception counts in it first. A call that fits a running exception sees the budget's limit and all that
the exception adds; every other call, and every call after its end, sees only so much of it as was spent under it. So neither the
order of calls nor the end of an exception makes more of it than it adds: with `hold: ceiling` all calls together never pass
limit + additions, and those that fit no exception never pass the limit by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from spendgate import adaptive
from spendgate.adaptive import Settled
from spendgate.money import NANOS_MAX, short_dollars
from spendgate.standing import Credit, Limit, Scope

ClaimedAt = tuple[str, int]
"""The key of a window, and the instant of the call that first needed it."""


class Claim(StrEnum):
    """Whether an exception with `once: true` has found its one window."""

    NONE = "none"
    HERE = "here"
    ELSEWHERE = "elsewhere"


def limit(
    scope: Scope, settled: Settled | None, used_nanos: Callable[[Credit], int], claim: Callable[[Credit], Claim]
) -> Limit:
    """The limit now. `settled` is what the mean rests on, where the scope has one; `used_nanos` what an exception's tally has
    settled and holds; `claim` is asked of exceptions with `once` alone."""
    own = scope.limit_nanos
    if scope.mean is not None and settled is not None:
        own = adaptive.limit_of(scope.mean, settled)
    found, replaced, raised, unclaimed = own, 0, [], []
    for credit in scope.credits:
        claimed = claim(credit) if credit.once else Claim.HERE
        if claimed is Claim.ELSEWHERE or (claimed is Claim.NONE and not credit.usable):
            continue
        most = credit.add_nanos if credit.limit_nanos is None else max(0, credit.limit_nanos - own)
        extra = most if credit.usable else min(most, used_nanos(credit))
        if credit.limit_nanos is not None:
            # Of several that replace the highest holds; what one alone would add is not added twice.
            extra, replaced = max(0, extra - replaced), max(extra, replaced)
        if not extra:
            continue
        found += extra
        raised.append((credit, extra))
        if claimed is Claim.NONE:
            unclaimed.append((credit, extra))
    found = min(found, NANOS_MAX)
    return Limit(found, settled if scope.mean is not None else None, tuple(raised), tuple(unclaimed))


def claim_of(claimed: ClaimedAt | None, tally: Scope, now_ms: int) -> Claim:
    """Whether the window of an exception's tally is the one that it was claimed for; `claimed` None: for none yet."""
    if claimed is None:
        return Claim.NONE
    window, at_ms = claimed
    # A sliding window is one as long as it lasts from the call on that first needed more.
    here = window == tally.window and (tally.rolling_ms is None or now_ms < at_ms + tally.rolling_ms)
    return Claim.HERE if here else Claim.ELSEWHERE


def claimed_by(found: Limit, taken_nanos: int) -> tuple[Credit, ...]:
    """Of the exceptions with `once` and no window yet those that this admission has needed: `taken_nanos` is all that is settled
    and held after it."""
    within = found.nanos - sum(extra for _, extra in found.unclaimed)
    needed = []
    for credit, extra in found.unclaimed:
        if taken_nanos <= within:
            break
        within += extra
        needed.append(credit)
    return tuple(needed)


def told(scope: Scope, found: Limit) -> str:
    """Where a limit comes from, for a person; empty for one that stands in the policy as it is."""
    parts = []
    if scope.mean is not None and found.settled is not None:
        parts.append(adaptive.told(scope.mean, found.settled))
    parts += [_raise_told(credit, short_dollars(extra)) for credit, extra in found.raised]
    return "; ".join(parts)


def _raise_told(credit: Credit, extra: str) -> str:
    if credit.granted:
        return f"{extra} {'more' if credit.usable else 'of it is what was spent under a grant'} {credit.granted}"
    by = f"the exception {credit.reason!r}, approved by {credit.approved_by} (as claimed)"
    return f"{extra} of it {'by' if credit.usable else 'is what was spent under'} {by}"
