"""What a change says of people, in words: who is listed and how."""

from __future__ import annotations

from collections.abc import Iterator

from spendgate.policy import Policy
from spendgate.review.changes import Change, Effect, value_text
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
