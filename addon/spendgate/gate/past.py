"""Past calls under a new policy: which budgets they count in, so that a new budget starts with what its window already holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from spendgate.draws import Draw
from spendgate.fitting import charged, enforces, scopes
from spendgate.ledger.counted import Counted, ScopesOf
from spendgate.ledger.day_sums import SUMMED
from spendgate.ledger.rows import PastCall
from spendgate.policy import Policy, person_then
from spendgate.selector import ATTRIBUTES, PLAN, Facts
from spendgate.standing import Scope
from spendgate.tallies import together

NAMED = "another model that it names"
"""Flag of a call that was answered by a model which the request names beside the one that it asks for."""

Also = Callable[[str], tuple[str, ...]]
"""A running call's other models, by its id; none of a call of another gate."""


def _nobody(_: str) -> tuple[str, ...]:
    return ()


def counted(policy: Policy, now_ms: int) -> tuple[Counted, ...]:
    """The policy's budgets by name and words, with the start of the window that runs now."""
    # Whoever moves to another team, or a machine to another group, brings along what past calls count in.
    reader = hashlib.sha256(f"{policy.roster!r}{policy.billing!r}".encode()).hexdigest()[:16]
    of_sums = _of_sums(policy)
    return tuple(
        Counted(name, words, since_ms, reader, of_sums if name == draw.name and _told_by_sums(draw) else None)
        for draw, _ in policy.draws
        for name, words, since_ms in draw.counted_since(now_ms)
    )


def _told_by_sums(draw: Draw) -> bool:
    """Whether the sums by day of purged calls say all that it goes by, where it looks back so far: over a life alone."""
    goes_by = {*draw.per, *(attribute for attribute in ATTRIBUTES if _goes_by(draw, attribute))}
    return draw.window is None and goes_by <= SUMMED


def _goes_by(draw: Draw, attribute: str) -> bool:
    return any(selector.texts(attribute) for selector in (draw.match, draw.excepted))


def _of_sums(policy: Policy) -> ScopesOf:
    """As `scopes_of`, for a sum: it stays with whom it was spent for."""

    def of(past: PastCall) -> tuple[Scope, ...]:
        on_plan = past.row.billing == PLAN
        if not (on_plan or policy.billing.counts(past.row.billing)):
            return ()
        found = _drawn(policy, past, facts_of(past, policy), (), on_plan=on_plan)
        return tuple(scope for scope in found if not scope.tally)

    return of


def scopes_of(policy: Policy, also: Also = _nobody) -> ScopesOf:
    """A function from a past call to its budgets under `policy`; `also` tells the other models that a running call names."""

    own = frozenset(tally for draw, _ in policy.draws if "person" in draw.per for tally, _, _ in draw.counted_since(0))

    def of(past: PastCall) -> tuple[Scope, ...]:
        on_plan = past.row.billing == PLAN
        if not (on_plan or policy.billing.counts(past.row.billing)):
            return ()
        then = facts_of(past, policy)
        now = _by_todays_roster(past, policy, then)
        others = also(past.row.id) if past.state == "open" else ()
        found = _drawn(policy, past, then, others, on_plan=on_plan)
        if now == then:
            return found
        anew = _drawn(policy, past, now, others, on_plan=on_plan)
        return (*found, *[each for each in anew if each.budget in own and each not in found])

    return of


def _drawn(
    policy: Policy, past: PastCall, asked: Facts, others: tuple[str, ...], *, on_plan: bool
) -> tuple[Scope, ...]:
    """What the call is charged by the model that answered; while that is not known, what it holds in."""
    each_asked = (asked, *[asked.answered_by(name) for name in others])
    enforced, booked_ms = enforces(policy, *each_asked), past.booked_ms
    if past.model:
        answered = asked.answered_by(past.model)
        every = (asked, answered) if NAMED in past.flags else (asked,)
        return charged(policy, every, answered, booked_ms, enforced, on_plan=on_plan)
    each = [scopes(policy, facts, booked_ms, enforced, on_plan=on_plan) for facts in each_asked]
    return each[0] if len(each) == 1 else together(each)


def _by_todays_roster(past: PastCall, policy: Policy, then: Facts) -> Facts:
    """The same call of whom the roster has it for now: whoever moves to another team or group, or whose account another person
    takes over, brings along what counts for that person alone. What teams and groups spent stays theirs."""
    made = past.row
    who = person_then(policy, made.person, made.account_os, made.machine, past.booked_ms)
    if who.refused:
        return then
    values = {**then.values, "person": (who.person,), "team": who.team, "group": who.groups}
    return Facts({name: each for name, each in values.items() if each}, then.names, then.stem)


def facts_of(past: PastCall, policy: Policy) -> Facts:
    """A past call as selectors see it, by the model that was asked for."""
    made = past.row
    team = policy.roster.team_by_name.get(made.team or "")
    return Facts.of(
        model=made.model_requested,
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
