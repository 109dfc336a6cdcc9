"""What is allowed in a policy and is hardly meant: warnings, each with the rule it is about and a remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from spendgate.budget import Budget
from spendgate.exceptions import BudgetException
from spendgate.model_names import ModelPattern, family, fold
from spendgate.model_rules import ModelRule
from spendgate.policy import Policy
from spendgate.rates import Rate
from spendgate.review.agreed_doubts import agreed_doubts
from spendgate.review.alert_doubts import alert_doubts
from spendgate.review.doubt import Doubt
from spendgate.review.emptied import emptied
from spendgate.review.idle import idle
from spendgate.review.never_doubts import never_doubts
from spendgate.review.raised_in_vain import raised_in_vain
from spendgate.review.reach import (
    ByPerson,
    Subject,
    counts,
    covering,
    hangs_on,
    holds_by,
    named_alone,
    people_in_words,
    reaches,
    subjects,
)
from spendgate.review.shadows import shadows
from spendgate.review.slips import mistyped_tools, slips
from spendgate.review.spelled import spelled
from spendgate.review.unmatched import unmatched
from spendgate.selector import EVERY, Facts
from spendgate.window import day_starts_ms, local_date

__all__ = ["Doubt", "Known", "doubts"]


class Known(NamedTuple):
    """What this Spendgate knows by name, of what a policy may name freely."""

    models: tuple[str, ...] = ()
    tools: frozenset[str] = frozenset()
    hosts: Mapping[str, tuple[str, ...]] = {}
    """Of every provider."""
    stating: frozenset[str] = frozenset()
    """The providers that state what they bill."""
    own: Mapping[str, tuple[str, ...]] = {}
    """The models of each provider's own price list."""
    least: tuple[int, int] = (0, 0)
    """What input and output of the cheapest model cost: nano-dollars for a million tokens; 0 where nobody knows."""


def doubts(policy: Policy, today: date, known: Known) -> tuple[Doubt, ...]:
    """Every warning, in the order in which a reviewer reads a file."""
    everybody = subjects(policy, today)
    raising, granted = _raising(policy, today, everybody), _granted(policy, everybody)
    return (
        *_mode(policy),
        *_ended(policy, today),
        *_nobody(policy, everybody),
        *_unlimited(policy, everybody),
        *_unreached(policy, everybody),
        *shadows(policy, raising, granted),
        *raised_in_vain(policy, raising, granted),
        *slips(policy, known.least),
        *unmatched(policy),
        *idle(policy, known.hosts),
        *mistyped_tools(policy, known.tools),
        *_patterns(policy, known.models),
        *spelled(policy, known.models, known.own),
        *emptied(policy, everybody, known.models, known.hosts, known.stating),
        *never_doubts(policy, known.hosts),
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


def _nobody(policy: Policy, everybody: tuple[Subject, ...]) -> Iterator[Doubt]:
    """That nobody is left whom the policy would let through: `unknown_people: refuse` without anybody who is listed."""
    if not everybody and (policy.mode.default == "enforce" or policy.mode.enforce):
        why = "every listing has ended" if policy.roster.people else "nobody is listed"
        text = f"refuse: every call that the mode enforces is refused, as {why}; list people, or say shared or each"
        yield Doubt("unknown_people", text)


def _raising(policy: Policy, today: date, everybody: tuple[Subject, ...]) -> tuple[BudgetException, ...]:
    """The exceptions that have not ended and are about somebody."""
    starts_ms = day_starts_ms(policy.timezone, today)
    return tuple(
        each
        for each in policy.exceptions
        if each.until_ms > starts_ms and any(reaches(each.match, EVERY, subject.facts) for subject in everybody)
    )


def _granted(policy: Policy, everybody: tuple[Subject, ...]) -> tuple[Facts, ...]:
    """The people to whom some approver may grant more."""
    return tuple(
        subject.facts
        for subject in everybody
        if any(reaches(approver.reach, EVERY, subject.facts) for approver in policy.approvers)
    )


# -- nobody's, and everybody's --------------------------------------------------------------------------------------


def _unlimited(policy: Policy, everybody: tuple[Subject, ...]) -> Iterator[Doubt]:
    """People whose calls no budget counts altogether; and those whom only what a client claims holds."""
    refusing = [budget for budget in policy.budgets if budget.enforce_action]
    free, partly, forgeable = [], [], []
    by_person = ByPerson(refusing)
    for subject in everybody:
        theirs = by_person.of(subject.facts)
        sure = covering(theirs, subject.facts)
        some = any(counts(budget, subject.facts) for budget in theirs)
        if not some:
            free.append(subject.name)
        elif sure and all(holds_by(budget, theirs, subject.facts) for budget in sure):
            forgeable.append(subject.name)
        elif not sure:
            partly.append(subject.name)
    if free:
        yield Doubt("budgets", f"nothing limits {people_in_words(free)}")
    if partly:
        why = "every limit is about some calls only (a tool, a project, …); the others are not limited"
        yield Doubt("budgets", f"{people_in_words(partly)}: {why}")
    if forgeable:
        names = sorted({name for budget in refusing for name in hangs_on(budget)})
        hang = f"every limit hangs on {', '.join(names)}, which a client can forge; add one per person"
        text = f"{people_in_words(forgeable)}: {hang}"
        yield Doubt("budgets", text)


class _Whom:
    """The people whom a rule may be about: of one that names people, these and whoever is not known by name."""

    def __init__(self, everybody: tuple[Subject, ...]) -> None:
        self._every = everybody
        self._by_name: dict[str, list[Subject]] = {}
        self._others: list[Subject] = []
        for subject in everybody:
            names = subject.facts.values.get("person", ())
            for name in names:
                self._by_name.setdefault(name.casefold(), []).append(subject)
            if not names:
                self._others.append(subject)

    def of(self, rule: Budget | ModelRule | Rate) -> Sequence[Subject]:
        """In no order."""
        names = named_alone(rule)
        if not names:
            return self._every
        return [*self._others, *(subject for name in names for subject in self._by_name.get(name, ()))]


def _unreached(policy: Policy, everybody: tuple[Subject, ...]) -> Iterator[Doubt]:
    """Rules about people who are not there: a team without members, a group nobody of that team is in."""
    whom = _Whom(everybody)
    for budget in policy.budgets:
        if not any(counts(budget, subject.facts) for subject in whom.of(budget)):
            fits = any(reaches(budget.match, budget.excepted, subject.facts) for subject in whom.of(budget))
            why = f"no listed person has a {' and a '.join(budget.per)}" if fits else "no listed person fits its match"
            yield Doubt(f"budgets.{budget.base_name}", f"{budget.name} is about nobody: {why}")
    for rule in policy.models:
        if not any(reaches(rule.match, rule.excepted, subject.facts) for subject in whom.of(rule)):
            yield Doubt(f"models.{rule.name}", f"{rule.name} is about nobody: no listed person fits its match")
    for rate in policy.rates:
        if not any(reaches(rate.match, rate.excepted, subject.facts) for subject in whom.of(rate)):
            yield Doubt(f"rates.{rate.name}", f"{rate.name} is about nobody: no listed person fits its match")
    raised = {budget.name: budget for budget in policy.budgets}
    for each in policy.exceptions:
        reached = [subject for subject in everybody if reaches(each.match, EVERY, subject.facts)]
        if not any(counts(raised[each.budget], subject.facts) for subject in reached):
            why = f"{each.budget} counts nobody whom it fits" if reached else "no listed person fits its match"
            yield Doubt("exceptions", f"{each.budget}: the exception {each.reason!r} is about nobody: {why}")
    for selector in policy.mode.enforce:
        if not any(reaches(selector, EVERY, subject.facts) for subject in everybody):
            about = ", ".join(f"{name} {' or '.join(texts)}" for name, texts in selector.as_data().items())
            yield Doubt("mode", f"enforce for {about} is about nobody: no listed person fits it")


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
