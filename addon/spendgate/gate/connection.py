"""What is refused of a whole connection, before any call on it asks: nothing is left, or nothing bounds what it costs."""

from __future__ import annotations

from spendgate import limits
from spendgate.admission import BILLED_TOO, RefusalKind, Refuse, by_rate
from spendgate.standing import Scope, Standing


def for_all(scope: Scope) -> bool:
    """Whether this budget leaves every call what it leaves one of no model: an exception may be for a model yet to be named."""
    return all(credit.usable for credit in scope.credits)


def unbounded(scope: Scope) -> Refuse:
    """A connection whose calls have no bound and cannot be held one by one."""
    why = "what such a connection costs has no bound"
    return Refuse(RefusalKind.UNBOUNDED, scope.budget, why, value=scope.value, limit_nanos=scope.limit_nanos)


def used_up(standing: Standing, now_ms: int) -> Refuse | None:
    """The refusal by a budget that is spent, or a rate without room; None: something is left."""
    scope = standing.scope
    if scope.rate is not None:
        return by_rate(standing, now_ms)
    if standing.settled_nanos < standing.limit_nanos:
        return None
    return Refuse(
        RefusalKind.SPENT,
        scope.budget,
        "the budget is spent" + (BILLED_TOO if standing.billed_nanos > 0 else ""),
        value=scope.value,
        settled_nanos=standing.settled_nanos,
        held_nanos=standing.held_nanos,
        hold_nanos=1,
        limit_nanos=standing.limit_nanos,
        resets_ms=scope.ends_ms,
        limit_from=limits.told(scope, standing.limit) if standing.limit is not None else "",
        billed_nanos=standing.billed_nanos,
    )
