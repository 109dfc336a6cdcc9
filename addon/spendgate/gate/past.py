"""Past calls under a new policy: which budgets they count in, so that a new budget starts with what its window already holds."""

from __future__ import annotations

from spendgate.fitting import enforces, scopes
from spendgate.ledger.fill import Counted, ScopesOf
from spendgate.ledger.rows import PastCall
from spendgate.policy import Policy
from spendgate.selector import PLAN, Facts
from spendgate.standing import Scope


def counted(policy: Policy, now_ms: int) -> tuple[Counted, ...]:
    """The policy's budgets by name and words, with the start of the window that runs now."""
    return tuple(
        Counted(name, words, since_ms)
        for draw, _ in policy.draws
        for name, words, since_ms in draw.counted_since(now_ms)
    )


def scopes_of(policy: Policy) -> ScopesOf:
    """A function from a past call to its budgets under `policy`."""

    def of(past: PastCall) -> tuple[Scope, ...]:
        on_plan = past.row.billing == PLAN
        if not (on_plan or policy.billing.counts(past.row.billing)):
            return ()
        facts = facts_of(past, policy)
        return scopes(policy, facts, past.booked_ms, enforces(policy, facts), on_plan=on_plan)

    return of


def facts_of(past: PastCall, policy: Policy) -> Facts:
    """A past call as selectors see it, by the model that answered where that is known."""
    made = past.row
    team = policy.roster.team_by_name.get(made.team or "")
    return Facts.of(
        model=past.model or made.model_requested,
        person=made.person,
        team=team.lineage if team else made.team,
        group=made.groups,
        machine=made.machine,
        machine_group=tuple(group.name for group in policy.roster.machine_groups(made.machine)),
        tool=made.tool,
        provider=made.provider,
        session=made.session,
        api_key=made.api_key,
        account=made.account,
        project=made.project,
        billing=made.billing,
    )
