"""What is allowed in a policy and is hardly meant: warnings, each with the rule it is about and a remedy."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from typing import Final

from spendgate.budget import Budget
from spendgate.model_names import ModelPattern, family, fold
from spendgate.model_rules import ModelRule
from spendgate.policy import Policy
from spendgate.rates import Rate
from spendgate.review.agreed_doubts import agreed_doubts
from spendgate.review.alert_doubts import alert_doubts
from spendgate.review.doubt import Doubt
from spendgate.review.reach import Subject, covering, hangs_on, people_in_words, reaches, subjects
from spendgate.selector import EVERY
from spendgate.window import Unit, Window, day_starts_ms, local_date

__all__ = ["Doubt", "doubts", "secrets_in"]


def doubts(policy: Policy, today: date, known_models: Iterable[str]) -> tuple[Doubt, ...]:
    """Every warning, in the order in which a reviewer reads a file."""
    everybody = subjects(policy, today)
    return (
        *_mode(policy),
        *_ended(policy, today),
        *_unlimited(policy, everybody),
        *_unreached(policy, everybody),
        *_shadowed_budgets(policy),
        *_shadowed_models(policy),
        *_patterns(policy, tuple(known_models)),
        *agreed_doubts(policy, today),
        *alert_doubts(policy, everybody),
    )


def _mode(policy: Policy) -> Iterator[Doubt]:
    if policy.mode.default == "observe" and not policy.mode.enforce and policy.budgets:
        yield Doubt("mode", "observe: no budget of this policy refuses anything")


def _ended(policy: Policy, today: date) -> Iterator[Doubt]:
    for person in policy.roster.people:
        if person.until is not None and person.until < today:
            text = f"{person.name} ended on {person.until}; their accounts are taken for people who are not listed"
            yield Doubt(f"people.{person.name}", text)
    starts_ms = day_starts_ms(policy.timezone, today)
    for each in policy.exceptions:
        if each.until_ms <= starts_ms:
            on = local_date(policy.timezone, each.until_ms - 1)
            yield Doubt("exceptions", f"{each.budget}: the exception {each.reason!r} ended on {on}; take it out")


# -- nobody's, and everybody's --------------------------------------------------------------------------------------


def _unlimited(policy: Policy, everybody: tuple[Subject, ...]) -> Iterator[Doubt]:
    """People whose calls no budget counts altogether; and those whom only what a client claims holds."""
    refusing = [budget for budget in policy.budgets if budget.enforce_action]
    free, partly, forgeable = [], [], []
    for subject in everybody:
        sure = covering(refusing, subject.facts)
        some = [budget for budget in refusing if reaches(budget.match, budget.excepted, subject.facts)]
        if not some:
            free.append(subject.name)
        elif sure and all(hangs_on(budget) for budget in sure):
            forgeable.append(subject.name)
        elif not sure:
            partly.append(subject.name)
    if free:
        yield Doubt("budgets", f"nothing limits {people_in_words(free)}")
    if partly:
        text = f"{people_in_words(partly)}: every limit is about some calls only (a tool, a model, …); the others are not limited"
        yield Doubt("budgets", text)
    if forgeable:
        names = sorted({name for budget in refusing for name in hangs_on(budget)})
        hang = f"every limit hangs on {', '.join(names)}, which a client can forge; add one per person"
        text = f"{people_in_words(forgeable)}: {hang}"
        yield Doubt("budgets", text)


def _unreached(policy: Policy, everybody: tuple[Subject, ...]) -> Iterator[Doubt]:
    """Rules about people who are not there: a team without members, a group nobody of that team is in."""
    for budget in policy.budgets:
        if not any(reaches(budget.match, budget.excepted, subject.facts) for subject in everybody):
            yield Doubt(
                f"budgets.{budget.base_name}", f"{budget.name} is about nobody: no listed person fits its match"
            )
    for rule in policy.models:
        if not any(reaches(rule.match, rule.excepted, subject.facts) for subject in everybody):
            yield Doubt(f"models.{rule.name}", f"{rule.name} is about nobody: no listed person fits its match")
    for rate in policy.rates:
        if not any(reaches(rate.match, rate.excepted, subject.facts) for subject in everybody):
            yield Doubt(f"rates.{rate.name}", f"{rate.name} is about nobody: no listed person fits its match")
    for each in policy.exceptions:
        if not any(reaches(each.match, EVERY, subject.facts) for subject in everybody):
            text = f"{each.budget}: the exception {each.reason!r} is about nobody: no listed person fits its match"
            yield Doubt("exceptions", text)


# -- rules in others' shadow ----------------------------------------------------------------------------------------


def _shadowed_budgets(policy: Policy) -> Iterator[Doubt]:
    """A budget that another one, over at least as long and with no more money, always ends before."""
    raised = {each.budget for each in policy.exceptions}
    for budget in policy.budgets:
        for other in policy.budgets:
            if other is not budget and _ends_before(other, budget, raised):
                text = f"{budget.name} can never be reached: {other.name} counts the same calls and is spent before"
                yield Doubt(f"budgets.{budget.base_name}", text)
                break


def _ends_before(other: Budget, budget: Budget, raised: Collection[str]) -> bool:
    same = (other.per, other.match.as_data(), other.excepted.as_data()) == (
        budget.per,
        budget.match.as_data(),
        budget.excepted.as_data(),
    )
    if not same or not other.enforce_action or other.limit_nanos > budget.limit_nanos:
        return False
    # What moves may stand anywhere below or above what its file says.
    if budget.mean is not None or other.counts != budget.counts or other.name in raised:
        return False
    if other.limit_nanos == budget.limit_nanos and other.order > budget.order and _within(other.window, budget.window):
        return False
    return _within(budget.window, other.window)


def _within(inner: Window | None, outer: Window | None) -> bool:
    """Whether every window of `inner` lies in one of `outer`: what is spent in it counts there, too."""
    if outer is None:
        return True
    if inner is None:
        return False
    if inner == outer:
        return True
    if outer.unit is Unit.ROLLING:
        return inner.unit is Unit.ROLLING and inner.length_ms <= outer.length_ms
    nested = (Unit.HOUR, Unit.DAY, Unit.MONTH, Unit.QUARTER, Unit.YEAR)
    return inner.unit in nested and outer.unit in nested and nested.index(inner.unit) < nested.index(outer.unit)


def _shadowed_models(policy: Policy) -> Iterator[Doubt]:
    """A rule that denies only what another one denies to at least as many."""
    for rule in policy.models:
        for other in policy.models:
            if (
                other is not rule
                and _denies_all_of(other, rule)
                and not (other.order > rule.order and _denies_all_of(rule, other))
            ):
                yield Doubt(f"models.{rule.name}", f"{rule.name} changes nothing: {other.name} denies the same already")
                break


def _denies_all_of(other: ModelRule, rule: ModelRule) -> bool:
    wider = not other.match.clauses or other.match.as_data() == rule.match.as_data()
    no_exceptions = not other.excepted.clauses or other.excepted.as_data() == rule.excepted.as_data()
    if not (other.deny and rule.deny and wider and no_exceptions):
        return False
    patterns = [ModelPattern.of(text) for text in other.deny]
    return all(any(_includes(pattern, text) for pattern in patterns) for text in rule.deny)


def _includes(pattern: ModelPattern, text: str) -> bool:
    """Whether every name that fits `text` fits the pattern. A star of `text` may be anything but one letter."""
    return pattern.fits(fold(text).replace("*", "\0\0").replace("?", "\0"))


# -- models ---------------------------------------------------------------------------------------------------------


def _patterns(policy: Policy, known: tuple[str, ...]) -> Iterator[Doubt]:
    names = {spelling for model in known for spelling in (fold(model), family(model))}
    if not names:
        return
    for rule in policy.models:
        for text in rule.deny or rule.allow:
            if not _fits_some(text, names):
                yield Doubt(f"models.{rule.name}", f"{rule.name}: {text} fits no model that is known")
    for number, entry in enumerate(policy.adjust, 1):
        # What a contract prices whole may be a model of the company's own, which no list has.
        for text in () if entry.change(number).whole else entry.match.texts("model"):
            if not _fits_some(text, names):
                yield Doubt("pricing", f"pricing.adjust[{number}]: {text} fits no model that is known")
    rules: list[tuple[str, Budget | Rate]] = [(f"budgets.{each.base_name}", each) for each in policy.budgets]
    rules += [(f"rates.{each.name}", each) for each in policy.rates]
    chosen = [(where, rule.name, selector) for where, rule in rules for selector in (rule.match, rule.excepted)]
    chosen += [("exceptions", each.budget, each.match) for each in policy.exceptions]
    for subject, name, selector in chosen:
        for text in selector.texts("model"):
            if not _fits_some(text, names):
                yield Doubt(subject, f"{name}: {text} fits no model that is known")


def _fits_some(text: str, names: set[str]) -> bool:
    pattern = ModelPattern.of(text)
    return any(pattern.fits(name) for name in names)


# -- secrets --------------------------------------------------------------------------------------------------------

_SECRETS: Final = re.compile(
    r"sk-[A-Za-z0-9_-]{16,}|gsk_[A-Za-z0-9]{16,}|xai-[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|(?:hooks\.slack\.com/services|discord(?:app)?\.com/api/webhooks)/[A-Za-z0-9/_-]{10,}"
)
"""Shapes of credentials that people paste: providers' keys, forges' and chats' tokens, web hooks, private keys."""


def secrets_in(text: str) -> tuple[tuple[int, int], ...]:
    """Line and column of everything that looks like a credential; a file that is reviewed and copied is no place for one."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        found += [(number, match.start() + 1) for match in _SECRETS.finditer(line)]
    return tuple(found)
