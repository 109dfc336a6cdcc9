"""Who answers for a budget: the team that it is of, its owner, and the approvers who may give somebody more of it. Pure."""

from __future__ import annotations

from spendgate.approvers import Approver
from spendgate.budget import Budget
from spendgate.policy import Policy, today_in
from spendgate.selector import Facts


def still_listed(policy: Policy, person: str, now_ms: int) -> bool:
    """Whether the policy still has this person."""
    listed = policy.roster.listed(person)
    return listed is not None and (listed.until is None or today_in(policy, now_ms) <= listed.until)


def answering_team(policy: Policy, budget: Budget, team: tuple[str, ...]) -> tuple[str, ...]:
    """Whose budget it is, with the teams above: the one team that it is about, else the person's where it is theirs."""
    named = budget.match.texts("team")
    if len(named) == 1 and named[0] in policy.roster.team_by_name:
        return policy.roster.team_by_name[named[0]].lineage
    return team if {"person", "team"} & set(budget.per) else ()


def owner_of(policy: Policy, team: tuple[str, ...]) -> str:
    """Who answers for a team, given with those above it: the nearest owner, else the file's."""
    named = policy.roster.team_by_name
    return next((owner for name in team if name in named and (owner := named[name].owner)), policy.owner)


def may_approve(policy: Policy, person: str, machine: str, values: dict[str, str], now_ms: int) -> tuple[Approver, ...]:
    """The approvers whose grants to this person on this allowance could count, whatever the amount."""
    facts = facts_of(policy, person, machine, values, now_ms)
    return tuple(
        each
        for each in policy.approvers
        if each.person != person
        and still_listed(policy, each.person, now_ms)
        and (not each.reach.clauses or each.reach.fits(facts))
    )


def facts_of(policy: Policy, person: str, machine: str, values: dict[str, str], now_ms: int) -> Facts:
    """A call of this person's on this allowance, as far as it is known."""
    who = policy.roster.person_then(person, None, today=today_in(policy, now_ms), machine=machine)
    groups = tuple(group.name for group in policy.roster.machine_groups(machine))
    own = {"team": who.team, "group": who.groups, "machine": machine, "machine_group": groups, "person": who.person}
    model = values.get("model")
    more = {name: value for name, value in values.items() if name not in own and name != "model"}
    return Facts.of(model=model, **own, **more)
