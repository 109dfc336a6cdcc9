"""What a change says of people, in words: who is listed and how."""

from __future__ import annotations

from collections.abc import Iterator

from spendgate.policy import Policy
from spendgate.review.changes import Change, Effect, value_text
from spendgate.review.machine_changes import machines
from spendgate.review.reach import people_in_words


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
    yield from machines(old, new)


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
