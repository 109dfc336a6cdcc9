"""What `status` says of rates: what is used of each limit at this moment, and how long until one more call fits."""

from __future__ import annotations

from collections.abc import Iterable

from spendgate.cli.output import Column
from spendgate.fitting import enforces
from spendgate.flow import Sliding, Tokens
from spendgate.gate.clock import Clock
from spendgate.ledger.interface import Flowing
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.rates import length, rate_scopes
from spendgate.selector import PERSONAL, Facts
from spendgate.standing import Scope, Standing

COLUMNS = (
    Column("rate", "rate", weight=0),
    Column("value", "for", weight=0),
    Column("what", "of", weight=0),
    Column("used", "used", right=True, weight=0),
    Column("limit", "limit", right=True, weight=0),
    Column("per", "per", weight=0),
    Column("room", "room for one more", weight=2),
    Column("mode", "mode", weight=4),
)


def rows(policy: Policy, facts: Iterable[Facts], reader: Reader, now_ms: int) -> tuple[dict[str, object], ...]:
    """One row for each limit of each rate that counts one of these calls."""
    scopes: dict[Scope, None] = {}
    personal = policy.billing.counts(PERSONAL)
    for each in facts:
        scopes.update(dict.fromkeys(rate_scopes(policy.rate_draws, (each,), enforces(policy, each), personal=personal)))
    clock = Clock()
    flowing = Flowing(clock.boot(), clock.boot_ms(), Tokens(1))
    return tuple(row for standing in reader.rates(tuple(scopes), flowing, now_ms) for row in _rows(standing))


def _rows(standing: Standing) -> Iterable[dict[str, object]]:
    limits, flow = standing.scope.rate, standing.flow
    if limits is None:
        return
    for what, sliding, used, wait_ms in (
        ("requests", limits.requests, flow.requests, flow.requests_wait_ms),
        ("tokens", limits.tokens, flow.tokens, flow.tokens_wait_ms),
    ):
        if sliding is not None:
            yield _row(standing, what, used, sliding, wait_ms)
    if limits.parallel is not None:
        yield _row(standing, "at once", standing.open_calls, Sliding(limits.parallel, 0), None)


def _row(standing: Standing, what: str, used: int, sliding: Sliding, wait_ms: int | None) -> dict[str, object]:
    scope = standing.scope
    return {
        "rate": scope.budget,
        "value": scope.value.replace("|", ", ") or "all",
        "what": what,
        "used": used,
        "limit": sliding.most,
        "per": length(sliding.length_ms) if sliding.length_ms else None,
        "per_ms": sliding.length_ms or None,
        "room": _room(used, sliding, wait_ms),
        "room_in_ms": wait_ms,
        "mode": "enforced" if scope.enforced else "observed",
    }


def _room(used: int, sliding: Sliding, wait_ms: int | None) -> str:
    """When one more call fits, for a person; of calls at once nobody knows when one ends."""
    if wait_ms is None:
        return "now" if used < sliding.most else "when one ends"
    return f"in {-(-wait_ms // 1000):,} s" if wait_ms else "now"
