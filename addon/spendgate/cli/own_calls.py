"""Which balances a person has: as the calls of theirs say, none in particular and those lately made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from spendgate.fitting import enforces, scopes
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.policy import Policy
from spendgate.roster import PersonMatch
from spendgate.selector import Facts
from spendgate.standing import Scope
from spendgate.window import zone_of

_RECENT_MS = 31 * 86_400_000
_RECENT_KINDS = 200
_KINDS = ("tool", "provider", "model", "session", "project", "api_key", "account", "billing")


def calls_of(
    policy: Policy,
    match: PersonMatch,
    machine: str,
    reader: Reader,
    now_ms: int,
    where: tuple[tuple[str, str], ...] = (),
    refused: Mapping[str, Any] | None = None,
) -> Iterable[Facts]:
    """Calls of this person: none in particular, then one of each kind lately made.

    `where`: only those with these attributes, too. `refused`: a row of `calls` that is meant as well, however old.
    A budget kept per session, project or model has a balance only where such a call was made.
    """
    groups = tuple(group.name for group in policy.roster.machine_groups(machine))
    own: dict[str, Any] = {
        "person": match.person, "team": match.team, "group": match.groups, "machine": machine, "machine_group": groups,
    }  # fmt: skip
    kinds = reader.spend(
        _KINDS, Span(since_ms=now_ms - _RECENT_MS, where=(("person", match.person), *where)), zone_of(policy.timezone)
    )
    yield Facts.of(model=None, **own)
    for kind in kinds[:_RECENT_KINDS]:
        yield _facts(own, dict(zip(_KINDS, kind.key, strict=True)))
    if refused is not None:
        yield _facts(own, {**refused, "model": refused["model_requested"]})


def scopes_of_calls(policy: Policy, calls: Iterable[Facts], now_ms: int) -> Iterable[Scope]:
    """The balances that these calls draw on."""
    seen: set[tuple[str, str, str]] = set()
    for facts in calls:
        for scope in scopes(policy, facts, now_ms, enforces(policy, facts)):
            if not scope.tally and (key := (scope.budget, scope.value, scope.window)) not in seen:
                seen.add(key)
                yield scope


def draws_on(policy: Policy, calls: Iterable[Facts], budget: str) -> bool:
    """Whether one of these calls draws on the budget."""
    draw = next(draw for draw, _ in policy.draws if draw.name == budget)
    return any(draw.fits(facts) for facts in calls)


def _facts(own: Mapping[str, Any], kind: Mapping[str, Any]) -> Facts:
    named = {name: kind[name] for name in _KINDS if name != "model"}
    return Facts.of(model=None, **own, **named).answered_by(kind["model"])
