"""What is refused of a whole connection, before any call on it asks: nothing is left, or nothing bounds what it costs."""

from __future__ import annotations

from spendgate.admission import RefusalKind, Refuse
from spendgate.standing import Scope, Standing


def unbounded(scope: Scope) -> Refuse:
    """A connection whose calls have no bound and cannot be held one by one."""
    why = "what such a connection costs has no bound"
    return Refuse(RefusalKind.UNBOUNDED, scope.budget, why, value=scope.value, limit_nanos=scope.limit_nanos)


def used_up(standing: Standing) -> Refuse | None:
    """The refusal by a budget that is spent; None: something is left."""
    scope = standing.scope
    if standing.settled_nanos < scope.limit_nanos:
        return None
    return Refuse(
        RefusalKind.SPENT,
        scope.budget,
        "the budget is spent",
        value=scope.value,
        settled_nanos=standing.settled_nanos,
        held_nanos=standing.held_nanos,
        hold_nanos=1,
        limit_nanos=scope.limit_nanos,
        resets_ms=scope.ends_ms,
    )
