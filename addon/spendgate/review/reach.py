"""Whom a rule reaches: the people of a policy as facts, and which of its budgets are theirs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from spendgate.budget import Budget, Missing
from spendgate.model_rules import ModelRule
from spendgate.policy import Policy
from spendgate.rates import Rate
from spendgate.roster import RESERVED_NAMES, SHARED, Person, UnknownPeople
from spendgate.selector import EVERY, Clause, Facts, Selector, is_glob

ANYBODY: Final = "anybody who is not listed"
NOBODY: Final = "nobody"
PERSONAL: Final = frozenset({"person", "team", "group"})
"""What a person brings to every call. All else a call may have or not."""
_LACKING: Final = frozenset({"machine_group", "project", "api_key", "account"})
"""What many calls have no value of."""
SURE: Final = frozenset({"person", "machine"})
"""What every call has a value of."""
FORGEABLE: Final = frozenset({"session", "tool", "project", "account"})
"""What a client can claim without administrator rights (policy.md, Words)."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One person, or anybody who is not listed."""

    name: str
    facts: Facts
    """Person, team and groups alone."""
    some: bool = False
    """Those beside them are not everybody."""


def subjects(policy: Policy, today: date) -> tuple[Subject, ...]:
    """Everybody the policy lists on this day, then whoever it does not list, unless those are refused."""
    roster = policy.roster
    listed = [subject_of(policy, person) for person in roster.people if person.until is None or today <= person.until]
    if roster.unknown is UnknownPeople.REFUSE:
        return tuple(listed)
    stranger = Facts.of() if roster.unknown is UnknownPeople.EACH else Facts.of(person=SHARED)
    return (*listed, Subject(ANYBODY if roster.people else "anybody", stranger))


def named(policy: Policy) -> tuple[str, ...]:
    """Everybody whom a limit, an exception, a model rule or the mode names, as it is written."""
    rules: list[Budget | Rate | ModelRule] = [*policy.budgets, *policy.rates, *policy.models]
    selectors = [each for rule in rules for each in (rule.match, rule.excepted)] + list(policy.mode.enforce)
    selectors += [each.match for each in policy.exceptions]
    texts = dict.fromkeys(text for each in selectors for text in each.texts("person"))
    return tuple(text for text in texts if text not in RESERVED_NAMES and not fits_all(text))


def fits_all(text: str) -> bool:
    """Whether it fits every name: `*`."""
    return not text.strip("*")


def subject_of(policy: Policy, person: Person) -> Subject:
    """A listed person."""
    team = policy.roster.team_by_name.get(person.team) if person.team else None
    facts = Facts.of(person=person.name, team=team.lineage if team else (), group=person.groups)
    return Subject(person.name, facts)


def reaches(match: Selector, excepted: Selector, facts: Facts) -> bool:
    """Whether the rule is about some call of this person: what a call may have besides is taken to fit.

    Somebody who is not listed and keeps the account's name may be called anything.
    """
    for clause in match.clauses:
        if clause.attribute in PERSONAL and not clause.fits(facts) and not _anybody(clause, facts):
            return False
    personal = [clause for clause in excepted.clauses if clause.attribute in PERSONAL]
    # An exception that asks for anything else beside the person leaves other calls of theirs under the rule.
    return not (
        personal and len(personal) == len(excepted.clauses) and all(_fits(clause, facts) for clause in personal)
    )


class ByPerson[R: (Budget, ModelRule, Rate)]:
    """Rules by the people whom they name: of very many about one person each, only these are worth asking about anybody."""

    def __init__(self, rules: Iterable[R]) -> None:
        self._every: tuple[R, ...] = tuple(rules)
        self._for_all: list[R] = []
        self._named: dict[str, list[R]] = {}
        for rule in self._every:
            if names := named_alone(rule):
                for name in names:
                    self._named.setdefault(name, []).append(rule)
            else:
                self._for_all.append(rule)

    def of(self, facts: Facts) -> tuple[R, ...]:
        """Those that may be about this person, in the order of the file."""
        people = facts.values.get("person")
        if not people:
            return self._every
        found = self._for_all.copy()
        for name in people:
            found += self._named.get(name.casefold(), [])
        return tuple(sorted(found, key=lambda rule: rule.order))


def named_alone(rule: Budget | ModelRule | Rate) -> frozenset[str]:
    """The people, without case, of whom alone the rule is; empty where a glob or anything else chooses them."""
    texts = rule.match.texts("person")
    return frozenset() if any(map(is_glob, texts)) else frozenset(text.casefold() for text in texts)


def counts(budget: Budget, facts: Facts) -> bool:
    """Whether the budget counts some call of this person: without a team one of `per: team` lets theirs go by."""
    lacks = {"team", "group"} & set(budget.per) - facts.values.keys() if budget.missing is Missing.SKIP else ()
    return not lacks and reaches(budget.match, budget.excepted, facts)


def _anybody(clause: Clause, facts: Facts) -> bool:
    return clause.attribute == "person" and "person" not in facts.values


def _fits(clause: Clause, facts: Facts) -> bool:
    """Whether it surely fits, whatever somebody who is not listed is called."""
    return clause.fits(facts) or (_anybody(clause, facts) and any(map(fits_all, clause.texts)))


def covering(budgets: Iterable[Budget], facts: Facts) -> tuple[Budget, ...]:
    """The budgets that count every call of this person: each by itself, or with one whose `match` is all that it excepts."""
    every = tuple(budgets)
    return tuple(budget for budget in every if _covers(budget, facts) and _excepts_nothing(budget, every, facts))


def holds_by(budget: Budget, every: Iterable[Budget], facts: Facts) -> frozenset[str]:
    """The forgeable attributes by which a call could leave what covers this person: this budget, or the one that counts what it
    excepts. Empty: none."""
    partners = _partners(budget, tuple(every), facts)
    beside = min((hangs_on(each) for each in partners), key=len, default=frozenset[str]())
    return hangs_on(budget) | (frozenset() if _excepts_people(budget) else beside)


def _covers(budget: Budget, facts: Facts) -> bool:
    """Whether it is about every call of this person but for those that it excepts."""
    others = {clause.attribute for clause in budget.match.clauses} - PERSONAL
    named = any(_anybody(clause, facts) and not _fits(clause, facts) for clause in budget.match.clauses)
    return not others and not named and not _goes_by(budget) and counts(budget, facts)


def _excepts_nothing(budget: Budget, every: tuple[Budget, ...], facts: Facts) -> bool:
    return _excepts_people(budget) or bool(_partners(budget, every, facts))


def _excepts_people(budget: Budget) -> bool:
    """Whether it excepts nothing but people, who are then not under it at all."""
    return {clause.attribute for clause in budget.excepted.clauses} <= PERSONAL


def _partners(budget: Budget, every: tuple[Budget, ...], facts: Facts) -> tuple[Budget, ...]:
    """The budgets that count all that this one excepts; not one kept per something that a call need not have."""
    excepted = budget.excepted.as_data()
    return tuple(
        other
        for other in every
        if other.match.as_data() == excepted
        and not other.excepted.clauses
        and not _goes_by(other)
        and reaches(other.match, EVERY, facts)
    )


def _goes_by(budget: Budget) -> bool:
    """Whether calls without a value of what it is kept per are not counted in it."""
    return budget.missing is Missing.SKIP and bool(_LACKING & set(budget.per))


def hangs_on(budget: Budget) -> frozenset[str]:
    """The forgeable attributes by which a call could leave this budget."""
    asked = {clause.attribute for selector in (budget.match, budget.excepted) for clause in selector.clauses}
    return frozenset(asked | set(budget.per)) & FORGEABLE


def people_in_words(names: Iterable[str], *, shown: int = 6) -> str:
    """`alice, bob and 3 more`. Whoever is not listed is never among those that are only counted: they are more than one."""
    every = _together(names)
    if len(every) > shown:
        every.sort(key=lambda name: not name.startswith(ANYBODY))
    head = ", ".join(every[:shown])
    return head if len(every) <= shown else f"{head} and {len(every) - shown} more"


ACCOUNT: Final = "account "
"""How the name of whoever is known by an account alone begins; it ends with whose that was and is: `(alice -> bob)`."""


def _together(names: Iterable[str]) -> list[str]:
    """Several accounts that one person has from another are one in a list, and are counted once."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        account, _, whose = name.removeprefix(ACCOUNT).rpartition(" (")
        known = name.startswith(ACCOUNT) and whose.endswith(")")
        found.setdefault(f" ({whose}" if known else name, []).append(account if known else "")
    return [
        whose if accounts == [""] else f"account{'s' if len(accounts) > 1 else ''} {' and '.join(accounts)}{whose}"
        for whose, accounts in found.items()
    ]
