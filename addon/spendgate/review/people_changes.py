"""What a change says of people, in words: who is listed and how."""

from __future__ import annotations

from collections.abc import Iterator

from spendgate.budget import Budget
from spendgate.model_rules import ModelRule
from spendgate.policy import Policy
from spendgate.rates import Rate
from spendgate.review.changes import Change, Effect, value_text
from spendgate.review.reach import people_in_words
from spendgate.selector import Facts, Selector


def people(old: Policy, new: Policy) -> Iterator[Change]:
    """Who is listed, and what is said of each."""
    was, now = ({person.name: person for person in policy.roster.people} for policy in (old, new))
    if come := sorted(now.keys() - was.keys()):
        yield Change(Effect.PEOPLE, "people", f"listed from now on: {people_in_words(come)}")
    if gone := sorted(was.keys() - now.keys()):
        yield Change(Effect.PEOPLE, "people", f"no longer listed: {people_in_words(gone)}")
    for name in sorted(was.keys() & now.keys()):
        parts = [
            f"{key}: {value_text(getattr(was[name], key))} -> {value_text(getattr(now[name], key))}"
            for key in ("team", "groups", "accounts", "email", "until")
            if getattr(was[name], key) != getattr(now[name], key)
        ]
        if parts:
            yield Change(Effect.PEOPLE, f"people.{name}", f"{name}: {'; '.join(parts)}")
    if old.roster.unknown is not new.roster.unknown:
        text = f"accounts that are not listed: {old.roster.unknown} -> {new.roster.unknown}"
        yield Change(Effect.PEOPLE, "unknown_people", text)
    yield from _machines(old, new)


def _machines(old: Policy, new: Policy) -> Iterator[Change]:
    """Machines that come into a group or leave it come under its rules or leave them."""
    was, now = ({group.name: group.match for group in policy.roster.machines} for policy in (old, new))
    rules: list[Budget | Rate | ModelRule] = [*new.budgets, *new.rates, *new.models]
    for name in dict.fromkeys((*was, *now)):
        asked = [each.name for each in rules if _asks(each.match, name) or _asks(each.excepted, name)]
        if was.get(name) != now.get(name) and asked:
            words = f"were {value_text(was.get(name))}, are {value_text(now.get(name))}"
            text = f"machines of {name}: {words}: asked for by {', '.join(asked)}"
            yield Change(Effect.EITHER, f"machines.{name}", text)


def _asks(selector: Selector, group: str) -> bool:
    facts = Facts.of(machine_group=group)
    return any(clause.attribute == "machine_group" and clause.fits(facts) for clause in selector.clauses)
