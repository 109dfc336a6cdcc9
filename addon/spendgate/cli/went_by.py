"""Calls that went by a budget because they lack what it is kept per (`missing: skip`): how many, and what they cost."""

from __future__ import annotations

from collections import Counter
from typing import Any

from spendgate.budget import Budget, Missing
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.ledger.spending import Spend
from spendgate.policy import Policy
from spendgate.selector import PLAN, Facts
from spendgate.window import bounds, zone_of

RECENT_MS = 31 * 86_400_000
"""A budget for life is looked at for so long."""
ALWAYS_KNOWN = ("person", "machine")
_COLUMNS = (
    "person", "team", "machine", "tool", "provider", "model", "session", "project", "api_key", "account", "billing",
)  # fmt: skip


def went_by(
    policy: Policy, reader: Reader, now_ms: int, where: tuple[tuple[str, str], ...] = ()
) -> tuple[dict[str, Any], ...]:
    """A row for each budget and attribute that calls of its current window lacked; amounts in nano-dollars. `where`: only calls
    with these attributes."""
    spends: dict[int, tuple[Spend, ...]] = {}
    found: list[dict[str, Any]] = []
    for budget, (draw, _) in zip(policy.budgets, policy.draws, strict=True):
        if budget.missing is not Missing.SKIP or not set(budget.per) - set(ALWAYS_KNOWN):
            continue
        since_ms = _since(policy, budget, now_ms)
        if since_ms not in spends:
            span = Span(since_ms=since_ms, free=False, where=where)
            spends[since_ms] = reader.spend(_COLUMNS, span, zone_of(policy.timezone))
        calls: Counter[str] = Counter()
        nanos: Counter[str] = Counter()
        for spend in spends[since_ms]:
            facts = _facts(policy, spend)
            counted = all(_counts(policy, budget, word) for word in facts.values.get("billing", ()))
            # A call that does not say its model counts as an alias does.
            lacks = next((each for each in draw.lacking(facts) if each != "model"), None) if counted else None
            if lacks is not None and spend.calls:
                calls[lacks] += spend.calls
                nanos[lacks] += spend.cost_nanos if spend.cost_nanos or budget.counts != "value" else spend.value_nanos
        found += [
            {"budget": budget.name, "lacks": lacks, "since_ms": since_ms, "calls": count, "spent_nanos": nanos[lacks]}
            for lacks, count in calls.items()
        ]
    return tuple(found)


def _since(policy: Policy, budget: Budget, now_ms: int) -> int:
    starts_ms = bounds(budget.window, policy.calendar(), now_ms).starts_ms
    return starts_ms if budget.window is not None else now_ms - RECENT_MS


def _facts(policy: Policy, spend: Spend) -> Facts:
    named: dict[str, Any] = dict(zip(_COLUMNS, spend.key, strict=True))
    model = named.pop("model")
    team = policy.roster.team_by_name.get(named["team"] or "")
    named["team"] = team.lineage if team else named["team"]
    groups = next((person.groups for person in policy.roster.people if person.name == named["person"]), ())
    machines = tuple(group.name for group in policy.roster.machine_groups(named["machine"] or ""))
    return Facts.of(model=model, group=groups, machine_group=machines, **named)


def _counts(policy: Policy, budget: Budget, billing: str) -> bool:
    """Whether a budget counts calls that are billed so at all."""
    return policy.billing.counts(billing) or (billing == PLAN and budget.counts == "value")
