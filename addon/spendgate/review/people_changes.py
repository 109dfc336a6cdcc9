"""What a change does to people, in words: who gains or loses which models, who is listed and how."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from spendgate.policy import Policy
from spendgate.review.changes import Change, Effect, value_text
from spendgate.review.reach import Subject, people_in_words, refused_models

_MODELS_SHOWN: Final = 8


def models(
    old: Policy, new: Policy, before: tuple[Subject, ...], after: tuple[Subject, ...], names: tuple[str, ...]
) -> Iterator[Change]:
    """Who gains and who loses which of these models, people with the same change together."""
    if _rules(old) == _rules(new) and old.roster == new.roster:
        return
    then = {subject.name: subject for subject in before}
    groups: dict[tuple[frozenset[str], frozenset[str]], list[str]] = {}
    was_known: dict[object, frozenset[str]] = {}
    now_known: dict[object, frozenset[str]] = {}
    for subject in after:
        if subject.name not in then:
            continue
        was = _refused(old, then[subject.name], names, was_known)
        now = _refused(new, subject, names, now_known)
        if was != now:
            groups.setdefault((was - now, now - was), []).append(subject.name)
    for (gains, loses), changed in groups.items():
        parts = [f"gain {_listed(gains)}"] if gains else []
        parts += [f"lose {_listed(loses)}"] if loses else []
        yield Change(Effect.MODELS, "models", f"{people_in_words(changed)}: {', '.join(parts)}")


def _refused(
    policy: Policy, subject: Subject, models: tuple[str, ...], known: dict[object, frozenset[str]]
) -> frozenset[str]:
    """As `refused_models`; once for all who differ in nothing that a model rule asks for."""
    values = subject.facts.values
    by_name = any(selector.texts("person") for rule in policy.models for selector in (rule.match, rule.excepted))
    key = (values.get("team"), values.get("group"), values.get("person") if by_name else None)
    if key not in known:
        known[key] = refused_models(policy, subject.facts, models)
    return known[key]


def _rules(policy: Policy) -> list[dict[str, Any]]:
    return [rule.model_dump(mode="json") for rule in policy.models]


def _listed(models: frozenset[str]) -> str:
    every = sorted(models)
    more = f" and {len(every) - _MODELS_SHOWN} more" if len(every) > _MODELS_SHOWN else ""
    return ", ".join(every[:_MODELS_SHOWN]) + more


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
