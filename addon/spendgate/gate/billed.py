"""Budgets with `counts: billed`: which of a policy's balances usage counts in that a bill has and no call.

A selector must surely fit: of such usage no session, machine, project or account is known, and what is not known fits nothing
and has no allowance of its own (`missing` says what becomes of it, but nothing is refused).
"""

from __future__ import annotations

from collections.abc import Sequence

from spendgate.draws import Draw
from spendgate.ledger.counted import Counted
from spendgate.ledger.uncaptured import ScopesOf, Uncaptured
from spendgate.policy import Policy
from spendgate.selector import Facts
from spendgate.standing import Scope


def counted(policy: Policy, now_ms: int) -> tuple[Counted, ...]:
    """The policy's `counts: billed` budgets, with the start of the window that runs now."""
    return tuple(
        Counted(name, words, since_ms)
        for draw, _ in policy.draws
        if draw.by_bill
        for name, words, since_ms in draw.counted_since(now_ms)
    )


def scopes_of(policy: Policy) -> ScopesOf:
    """A function from such usage to its balances under `policy`. An exception's tally is none of them: it was for calls."""
    draws = [draw for draw, _ in policy.draws if draw.by_bill]

    def of(cell: Uncaptured) -> Sequence[Scope]:
        facts, found = facts_of(cell, policy), list[Scope]()
        for draw in draws:
            if _fits(draw, facts):
                draw.add_scopes(found, facts, cell.booked_ms, True)
        return [scope for scope in found if not scope.tally or scope.kept_ms]

    return of


def _fits(draw: Draw, facts: Facts) -> bool:
    if "model" in draw.per and not facts.names:
        return False
    return (not draw.match.clauses or draw.match.fits(facts)) and not draw.excepted.fits(facts)


def facts_of(cell: Uncaptured, policy: Policy) -> Facts:
    """Such usage as selectors see it: by the roster as it is now."""
    roster = policy.roster
    person = next((each for each in roster.people if each.name == cell.person), None)
    team = roster.team_by_name.get(person.team or "") if person is not None else None
    return Facts.of(
        model=cell.model or None,
        person=cell.person,
        team=team.lineage if team is not None else person.team if person is not None else None,
        group=person.groups if person is not None else None,
        tool=cell.tool,
        provider=cell.provider,
        api_key=cell.api_key,
        billing="metered",
    )
