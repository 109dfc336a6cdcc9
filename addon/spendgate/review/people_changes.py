"""What a change says of people, in words: who is listed and how."""

from __future__ import annotations

from collections.abc import Iterator

from spendgate.alert_rules import AlertRule
from spendgate.budget import Budget
from spendgate.model_rules import ModelRule
from spendgate.policy import Policy
from spendgate.rates import Rate
from spendgate.review.changes import Change, Effect, value_text
from spendgate.review.reach import people_in_words
from spendgate.roster import UnknownPeople
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
    yield from _teams(old, new)
    yield from _machines(old, new)


def _teams(old: Policy, new: Policy) -> Iterator[Change]:
    """Who is told of them is told elsewhere."""
    was, now = ({team.name: team for team in policy.roster.teams} for policy in (old, new))
    for name in dict.fromkeys((*was, *now)):
        one, other = was.get(name), now.get(name)
        parts = [
            f"{key}: {value_text(before)} -> {value_text(after)}"
            for key in ("owner", "parent", "cost_center", "timezone")
            if (before := getattr(one, key, None)) != (after := getattr(other, key, None))
        ]
        if one is None or other is None:
            parts.insert(0, "is new" if one is None else "is gone")
        if parts:
            yield Change(Effect.PEOPLE, f"teams.{name}", f"team {name}: {'; '.join(parts)}")


def _machines(old: Policy, new: Policy) -> Iterator[Change]:
    """Machines that come into a group or leave it come under its rules or leave them; nobody's calls fall to their owner."""
    was, now = ({group.name: group for group in policy.roster.machines} for policy in (old, new))
    for name in dict.fromkeys((*was, *now)):
        before, after = (side[name].match if name in side else None for side in (was, now))
        asked = list(dict.fromkeys((*_asking(old, name), *_asking(new, name))))
        if before != after:
            text = f"machines of {name}: were {value_text(before)}, are {value_text(after)}"
            said = f": asked for by {', '.join(asked)}" if asked else ""
            yield Change(Effect.EITHER if asked else Effect.PEOPLE, f"machines.{name}", text + said)
        owners = [side[name].owner if name in side else None for side in (was, now)]
        if owners[0] != owners[1]:
            yield Change(
                Effect.PEOPLE,
                f"machines.{name}",
                f"machines of {name} belong to: {value_text(owners[0])} -> {value_text(owners[1])}",
            )
    common = was.keys() & now.keys()
    if [name for name in was if name in common] != [name for name in now if name in common]:
        effect = Effect.EITHER if UnknownPeople.OWNER in {old.roster.unknown, new.roster.unknown} else Effect.PEOPLE
        text = "the order of machine groups: whoever is not listed may be the owner of the first that has one"
        yield Change(effect, "machines", text)


def _asking(policy: Policy, group: str) -> Iterator[str]:
    """All that tells calls of these machines from others, by name."""
    facts = Facts.of(machine_group=group)
    rules: list[Budget | Rate | ModelRule | AlertRule] = [
        *policy.budgets,
        *policy.rates,
        *policy.models,
        *policy.alerts,
    ]
    chosen: list[tuple[str, tuple[Selector, ...]]] = [(each.name, (each.match, each.excepted)) for each in rules]
    chosen += [("mode", policy.mode.enforce)] if policy.mode.default == "observe" else []
    chosen += [(f"the exception of {each.budget}", (each.match,)) for each in policy.exceptions]
    chosen += [("pricing.adjust", tuple(each.match for each in policy.adjust))]
    chosen += [(f"seat {each.name}", (each.match,)) for each in policy.billing.seats]
    for name, selectors in chosen:
        clauses = [clause for one in selectors for clause in one.clauses if clause.attribute == "machine_group"]
        if any(clause.fits(facts) for clause in clauses):
            yield name
    limited: list[Budget | Rate] = [*policy.budgets, *policy.rates]
    yield from (each.name for each in limited if "machine_group" in each.per)
