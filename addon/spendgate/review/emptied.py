"""What a policy leaves nothing of: models that one rule allows and others deny, every model there is, a provider
none of whose calls has a bound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from spendgate.contracts import GATEWAY
from spendgate.model_names import ModelPattern
from spendgate.model_rules import ModelRule, refused_by
from spendgate.policy import Policy
from spendgate.review.doubt import Doubt
from spendgate.review.reach import PERSONAL, Subject, people_in_words
from spendgate.selector import PLAN, Facts, Selector
from spendgate.standing import Hold

_Rules = tuple[tuple[ModelRule, tuple[ModelPattern, ...]], ...]
_TRIED_MAX: Final = 50
"""So many of the models that a rule allows are tried."""
_NOBODYS: Final = "zz-9-plural"


def emptied(
    policy: Policy,
    everybody: tuple[Subject, ...],
    models: Iterable[str],
    hosts: Mapping[str, Iterable[str]],
    stating: frozenset[str] = frozenset(),
) -> Iterator[Doubt]:
    """Each of them. `hosts`: those of every provider that is known; `stating`: the providers whose own word on a call's cost
    counts."""
    known = tuple(models)
    yield from _unbounded(policy, hosts, stating)
    yield from _denied(policy, everybody, known)
    yield from _all_denied(policy, everybody, known)


def _denied(policy: Policy, everybody: tuple[Subject, ...], models: tuple[str, ...]) -> Iterator[Doubt]:
    """An `allow` list of which other rules about the same people leave nothing."""
    plain = _about_people(policy)
    for rule, patterns in plain:
        others = tuple(each for each in plain if each[0] is not rule)
        if not (rule.allow and others):
            continue
        tried = [name for name in models if any(pattern.fits(name) for pattern in patterns)] or list(rule.allow)
        none_left = _lacking(rule, others, everybody, tried[:_TRIED_MAX])
        if none_left:
            who = people_in_words(none_left)
            text = f"{rule.name} allows {', '.join(rule.allow[:3])}, and other rules refuse that: no model is left to {who}"
            yield Doubt(f"models.{rule.name}", text)


def _unbounded(policy: Policy, hosts: Iterable[str], stating: frozenset[str]) -> Iterator[Doubt]:
    """Ceilings over calls none of which has a bound: their providers state what they bill."""
    for budget in policy.budgets:
        named = [each for each in sorted(hosts) if _names(budget.match, each)]
        if budget.hold is Hold.CEILING and budget.enforce_action and named and stating.issuperset(named):
            states = "states what it bills" if len(named) == 1 else "state what they bill"
            text = f"{budget.base_name}: {', '.join(named)} {states}, which no list bounds: hold: ceiling refuses every call"
            yield Doubt(f"budgets.{budget.name}", text)


def _names(match: Selector, provider: str) -> bool:
    """Whether it is said to be about this provider, and about calls that cost something there."""
    facts = Facts.of(provider=provider)
    billings = match.texts("billing")
    said = any(clause.attribute == "provider" and clause.fits(facts) for clause in match.clauses)
    return said and not (billings and set(billings) <= {PLAN, GATEWAY})


def _about_people(policy: Policy) -> _Rules:
    """The rules that go by who calls, and by nothing else."""
    return tuple(
        (rule, patterns)
        for rule, patterns in policy.model_patterns
        if {clause.attribute for selector in (rule.match, rule.excepted) for clause in selector.clauses} <= PERSONAL
    )


def _all_denied(policy: Policy, everybody: tuple[Subject, ...], models: tuple[str, ...]) -> Iterator[Doubt]:
    """Rules that deny everybody all there is. A name of no vendor shows that theirs is no list of known models.

    One that denies it to some is a ban, and may be meant.
    """
    rules = [
        (rule, patterns)
        for rule, patterns in _about_people(policy)
        if rule.deny and all(any(pattern.fits(name) for pattern in patterns) for name in (*models, _NOBODYS))
    ]
    calls = [subject.facts.answered_by(_NOBODYS) for subject in everybody]
    by = [next((rule.name for rule, patterns in rules if refused_by(rule, patterns, facts)), None) for facts in calls]
    names = list(dict.fromkeys(name for name in by if name is not None))
    if names and None not in by:
        text = f"every call of everybody is refused: {', '.join(names[:3])} denies every model that there is"
        yield Doubt(f"models.{names[0]}", text)


def _lacking(rule: ModelRule, others: _Rules, everybody: tuple[Subject, ...], models: list[str]) -> list[str]:
    """Who comes under the rule and is refused each of these models by another."""
    known: dict[tuple[bool, ...], bool] = {}
    found = []
    for subject in everybody:
        # People whom the same rules are about have the same models.
        key = tuple(_about(each, subject.facts) for each in (rule, *[other for other, _ in others]))
        if key not in known:
            calls = [subject.facts.answered_by(name) for name in models]
            known[key] = key[0] and all(any(refused_by(*each, facts) for each in others) for facts in calls)
        if known[key]:
            found.append(subject.name)
    return found


def _about(rule: ModelRule, facts: Facts) -> bool:
    return rule.match.may_fit(facts) and not rule.excepted.lets_off(facts)
