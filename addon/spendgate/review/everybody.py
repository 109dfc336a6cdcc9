"""Everybody who may call, before and after a change: who is listed, who is not, and accounts that become somebody else's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from spendgate.policy import Policy
from spendgate.review.reach import ACCOUNT, ANYBODY, named, subject_of, subjects
from spendgate.review.sample import OTHER, example
from spendgate.roster import Person, UnknownPeople
from spendgate.selector import Facts

_NOBODY: Final = (ANYBODY, "anybody")


@dataclass(frozen=True, slots=True)
class Pair:
    """One person, or one account, before and after; None: refused as not listed."""

    name: str
    was: Facts | None
    now: Facts | None
    whole: bool = False
    """A person with all accounts, and no part of one's calls."""
    some: bool = False
    """Those beside them are not everybody."""


def everybody(old: Policy, new: Policy, today: date) -> tuple[Pair, ...]:
    """Everybody who is listed on either side, then others; who is not listed on one side is there what anybody else is."""
    then, now = ({each.name: each.facts for each in subjects(policy, today)} for policy in (old, new))
    strangers = _stranger(old, then), _stranger(new, now)
    renamed = _renamed(old, new, today) | _renamed(new, old, today)
    found = [
        Pair(
            name,
            then.get(name, _by_account(old, name, strangers[0])),
            now.get(name, _by_account(new, name, strangers[1])),
            whole=True,
        )
        for name in now | then
        if name not in _NOBODY and name not in renamed
    ]
    found += _accounts(old, new, today, renamed)
    known = now.keys() | then.keys()
    # There an account that is not listed keeps its name, and a selector may name one.
    if UnknownPeople.EACH in {old.roster.unknown, new.roster.unknown}:
        found += [
            Pair(text, _whose(old, example(text), today), _whose(new, example(text), today))
            for text in dict.fromkeys((*named(old), *named(new)))
            if text not in known
        ]
    found += _machines(old, new, today, strangers)
    listed = bool(old.roster.people or new.roster.people)
    return (*found, Pair(ANYBODY if listed else "anybody", strangers[0], strangers[1], whole=True))


def may_have_any_name(facts: Facts) -> Facts:
    """As a `Subject` has them: of somebody who is not listed and keeps the account's name no person is known."""
    if facts.values.get("person") != (OTHER,):
        return facts
    return Facts({name: values for name, values in facts.values.items() if name != "person"})


def _stranger(policy: Policy, side: Mapping[str, Facts]) -> Facts | None:
    """Who is not listed; None: refused. Who keeps the account's name has one that no text of a policy has but for `*`: those whom
    a text names have a pair of their own."""
    found = next((side[name] for name in _NOBODY if name in side), None)
    return found if policy.roster.unknown is not UnknownPeople.EACH else Facts.of(person=OTHER)


def _by_account(policy: Policy, name: str, stranger: Facts | None) -> Facts | None:
    """Whom this side does not list, by an account of that name."""
    return Facts.of(person=name) if policy.roster.unknown is UnknownPeople.EACH else stranger


def _held(policy: Policy, today: date) -> dict[str, Person]:
    return {
        account.casefold(): person
        for person in policy.roster.people
        if person.until is None or today <= person.until
        for account in person.accounts
    }


def _renamed(one: Policy, other: Policy, today: date) -> set[str]:
    """Whom only this one lists, while every account of theirs is somebody else's in the other one, or a person by itself."""
    mine, theirs = _held(one, today), _held(other, today)
    names = {person.name for person in theirs.values()}
    accounts: dict[str, list[str]] = {}
    for account, person in mine.items():
        accounts.setdefault(person.name, []).append(account)
    apart = other.roster.unknown is UnknownPeople.EACH
    return {
        name
        for name, each in accounts.items()
        if name not in names and (all(account in theirs for account in each) or (apart and each != [name.casefold()]))
    }


def _accounts(old: Policy, new: Policy, today: date, renamed: set[str]) -> Iterator[Pair]:
    """Accounts that another person has from now on, or somebody who stays listed gains or gives up."""
    then, now = _held(old, today), _held(new, today)
    staying = ({each.name for each in then.values()} & {each.name for each in now.values()}) | renamed
    for account in dict.fromkeys((*then, *now)):
        was, will = (_holder(side, account) for side in (then, now))
        if was != will and ((was and will) or {was, will} & staying):
            words = " -> ".join(name or "not listed" for name in (was, will))
            yield Pair(f"{ACCOUNT}{account} ({words})", _whose(old, account, today), _whose(new, account, today))


def _holder(held: dict[str, Person], account: str) -> str | None:
    """Who has this account; `ad@m1` is whoever has `ad` where nobody is given it by itself."""
    found = held.get(account) or held.get(account.rpartition("@")[0])
    return found.name if found else None


def _whose(policy: Policy, account: str, today: date) -> Facts | None:
    """Whom this account is; None: refused as not listed. Of `ad@m1` what the policy says of `ad`, too."""
    base, at, machine = account.rpartition("@")
    found = policy.roster.person_of(base if at else account, today=today, machine=machine if at else None)
    return None if found.refused else Facts.of(person=found.person, team=found.team, group=found.groups)


def _machines(old: Policy, new: Policy, today: date, strangers: tuple[Facts | None, Facts | None]) -> Iterator[Pair]:
    """Under `unknown_people: owner` whoever is not listed is the owner of the machine: by its groups, each taken by itself."""
    groups = dict.fromkeys(group.name for policy in (old, new) for group in policy.roster.machines)
    for name in groups:
        owners = [_owner(policy, name, today) for policy in (old, new)]
        if owners == [None, None]:
            continue
        was, now = (
            _on(stranger if owner is None else owner, name) for owner, stranger in zip(owners, strangers, strict=True)
        )
        yield Pair(f"{ANYBODY} (on machines of {name})", was, now)


def _owner(policy: Policy, group: str, today: date) -> Facts | None:
    if policy.roster.unknown is not UnknownPeople.OWNER:
        return None
    owner = next((each.owner for each in policy.roster.machines if each.name == group), None)
    person = policy.roster.listed(owner) if owner else None
    holds = person is not None and (person.until is None or today <= person.until)
    return subject_of(policy, person).facts if person is not None and holds else None


def _on(facts: Facts | None, group: str) -> Facts | None:
    return None if facts is None else Facts({**facts.values, "machine_group": (group,)})
