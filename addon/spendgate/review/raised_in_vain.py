"""Exceptions that let nothing more through, since another budget counts the same calls and allows no more than before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spendgate.budget import Budget
from spendgate.exceptions import BudgetException
from spendgate.money import short_dollars
from spendgate.policy import Policy
from spendgate.review.doubt import Doubt
from spendgate.review.pairs import Pairs
from spendgate.review.shadows import allows, least, may_be_granted
from spendgate.selector import Facts, Selector


def raised_in_vain(
    policy: Policy, raising: Sequence[BudgetException], granted: Sequence[Facts] = ()
) -> Iterator[Doubt]:
    """Each exception beside which another budget stays as it is. `raising`: those that have not ended and are about somebody;
    `granted`: the people to whom an approver may grant more of that other budget. One that still lets a part through is none."""
    pairs = Pairs(policy.budgets)
    by_name = {each.name: each for each in policy.budgets}
    for each in raising:
        budget = by_name[each.budget]
        if not budget.enforce_action:
            continue
        for other, narrowed in _beside(policy, pairs, budget, each):
            if other.name == budget.name or may_be_granted(budget, other, granted):
                continue
            most = allows(policy, other, narrowed, raising)
            if most is not None and most <= least(budget):
                yield Doubt("exceptions", _text(each, other, most))
                break
    yield from pairs.left_out("exceptions")


def _text(each: BudgetException, other: Budget, most: int) -> str:
    why = f"{other.name} counts the same calls and allows {short_dollars(most)} at most in that time"
    return f"{each.budget}: the exception {each.reason!r} lets nothing more through: {why}; raise that, too"


def _beside(
    policy: Policy, pairs: Pairs[Budget], budget: Budget, each: BudgetException
) -> Iterator[tuple[Budget, Budget]]:
    """Budgets that may count all of the exception's calls, each with its own budget as far as that is about these calls: by what
    the exception says, and by each team and group that all of its people are in."""
    match = each.match.as_data()
    for more in ({}, *_theirs(policy, each.match.texts("person"))):
        # What both say of one attribute is left at the exception's word.
        narrowed = budget.model_copy(update={"match": Selector.of({**budget.match.as_data(), **more, **match})})
        for other in pairs.of(narrowed):
            yield other, narrowed


def _theirs(policy: Policy, names: Sequence[str]) -> list[dict[str, list[str]]]:
    """Each team, with those above it, and each group that the roster gives all of these people."""
    listed = {person.name.casefold(): person for person in policy.roster.people}
    people = [listed.get(name.casefold()) for name in names]
    found: list[set[tuple[str, str]]] = []
    for person in people:
        team = policy.roster.team_by_name.get(person.team or "") if person else None
        lineage = team.lineage if team else ()
        groups = person.groups if person else ()
        found.append({*(("team", name) for name in lineage), *(("group", name) for name in groups)})
    common = set.intersection(*found) if found else set()
    return [{attribute: [name]} for attribute, name in sorted(common)]
