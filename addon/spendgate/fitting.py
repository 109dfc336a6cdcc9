"""What of a policy fits one call: its budgets and rules, and whether they refuse or only record.

Rules: every budget, model rule and rate that fits a call and does not except it must admit it. What fits is decided here;
whether the money is there is decided by `admission.decide`.
"""

from __future__ import annotations

from spendgate.admission import RefusalKind, Refuse, who_refuses
from spendgate.budget import Missing
from spendgate.draws import Draw
from spendgate.model_rules import refused_by
from spendgate.policy import Policy
from spendgate.selector import Facts
from spendgate.standing import Scope

Fitting = tuple[tuple[Draw, bool], ...]
"""Budgets compiled, each with whether it refuses."""


def scopes(policy: Policy, facts: Facts, now_ms: int, enforced: bool, *, on_plan: bool = False) -> tuple[Scope, ...]:
    """Every budget that fits the call, as the balance it draws on at `now_ms`. `enforced` is `enforces`'s word.

    For a hold give the facts of the request; for a charge see `charged`. A call
    `on_plan` (of a subscription) counts only where `counts: value` says so. The tallies of a budget follow its scope.
    """
    return scopes_of(fitting(policy, facts, on_plan=on_plan), facts, now_ms, enforced)


def charged(
    policy: Policy, asked: tuple[Facts, ...], answered: Facts, booked_ms: int, enforced: bool, *, on_plan: bool = False
) -> tuple[Scope, ...]:
    """Every budget that a charge counts in: those that the model fits which answered, each in the window of the hold.

    `asked` are the call's facts as of each model that the request names: of a budget per model the allowance is theirs.
    """
    found: list[Scope] = []
    for draw, refuses in fitting(policy, answered, on_plan=on_plan):
        draw.add_scopes(found, draw.held_as(asked, answered), booked_ms, enforced and refuses)
    return tuple(found)


def fitting(policy: Policy, facts: Facts, *, on_plan: bool = False) -> Fitting:
    """The budgets that calls of these facts draw on, whenever they ask: of hundreds mostly a few."""
    return tuple([each for each in policy.draws if (each[0].by_list or not on_plan) and each[0].fits(facts)])


def scopes_of(budgets: Fitting, facts: Facts, now_ms: int, enforced: bool) -> tuple[Scope, ...]:
    """As `scopes`, of the budgets that fit."""
    found: list[Scope] = []
    for draw, refuses in budgets:
        draw.add_scopes(found, facts, now_ms, enforced and refuses)
    return tuple(found)


def enforces(policy: Policy, *asked: Facts) -> bool:
    """Whether what does not fit is refused for this call, rather than recorded only.

    `asked` are its facts as of each model that may have a part in the answer: it is enough that one of them fits, or that an
    alias may become one that does.
    """
    if policy.mode.default == "enforce":
        return True
    return any(selector.clauses and selector.may_fit(each) for selector in policy.mode.enforce for each in asked)


def model_refusal(policy: Policy, facts: Facts) -> Refuse | None:
    """The refusal by a model rule, or a budget or rate with `missing: refuse`; None where none refuses. Under `observe` too."""
    refusals = [refuse for rule, patterns in policy.model_patterns if (refuse := refused_by(rule, patterns, facts))]
    for budget, (draw, _) in zip(policy.budgets, policy.draws, strict=True):
        if budget.missing is Missing.REFUSE and budget.enforce_action and (lacks := draw.lacks(facts)):
            reason = f"{budget.base_name} is kept per {lacks}, and this call has no {lacks}"
            refusals.append(Refuse(RefusalKind.RULE, budget.name, reason))
    for rate, draw in zip(policy.rates, policy.rate_draws, strict=True):
        if rate.missing == Missing.REFUSE and (lacks := draw.lacks(facts)):
            reason = f"{rate.name} is kept per {lacks}, and this call has no {lacks}"
            refusals.append(Refuse(RefusalKind.RULE, rate.name, reason))
    return who_refuses(refusals) if refusals else None
