"""What a change of a policy is called, and the words that every sentence about one is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from spendgate.budget import Budget
from spendgate.money import short_dollars
from spendgate.rates import Rate, length
from spendgate.review.reach import ANYBODY, NOBODY, Subject, fits_all, people_in_words, reaches
from spendgate.selector import Selector

KEYS: Final = {"excepted": "except", "wait_ms": "wait"}
"""What a file calls a value that goes by another name here."""


_NOBODY: Final = (ANYBODY, "anybody")


class Effect(StrEnum):
    """What a change does, the gravest first."""

    DECRYPTS = "decrypts"
    KEEPS = "what is kept"
    POWER = "power"
    MORE = "may spend more"
    LESS = "may spend less"
    EITHER = "may spend more or less"
    """Neither can be shown: each of the two allows something that the other one refuses."""
    MODELS = "models"
    RECORDS = "only warned of or recorded"
    """Nobody is refused for it: the budget only warns, or the mode only observes."""
    PEOPLE = "people"
    TELLS = "who is told"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Access:
    """Who gains and who loses which models: all of them, where a sentence may have how many there are."""

    people: tuple[str, ...]
    gain: tuple[str, ...]
    lose: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `where` is the rule or key that makes it; `access` is there where it is about models."""

    effect: Effect
    where: str
    text: str
    access: Access | None = None


def selector_text(data: dict[str, list[str]]) -> str:
    """Whom or what a selector is about."""
    return ", ".join(f"{name} {' or '.join(texts)}" for name, texts in data.items()) or "everybody"


def whom(rule: Budget | Rate, people: tuple[Subject, ...]) -> str:
    """Whom a rule reaches, and which of their calls."""
    return whom_of(rule.match, [each.name for each in people if reaches(rule.match, rule.excepted, each.facts)], people)


def whom_of(match: Selector, reached: list[str], people: tuple[Subject, ...]) -> str:
    """These people, and which of their calls a selector is about."""
    texts = match.texts("person")
    # A text that fits every name is about all who are not listed.
    unlisted = () if any(map(fits_all, texts)) or not any(name in _NOBODY for name in reached) else texts
    if unlisted:
        # They keep their accounts' names; the selector is about those that it names.
        reached = [
            *(name for name in reached if name not in _NOBODY),
            *(text for text in unlisted if text not in reached),
        ]
    others = {name: texts for name, texts in match.as_data().items() if name not in {"person", "team", "group"}}
    calls = f", calls with {selector_text(others)}" if others else ""
    if len(reached) == len(people) and not unlisted and not any(each.some for each in people):
        return f"everybody{calls}"
    return (people_in_words(reached) or NOBODY) + calls


def limit(budget: Budget) -> str:
    """A limit in words: `$20 per day for each person (person)`."""
    window = budget.window.name.replace("-", " ") if budget.window else ""
    amount = short_dollars(budget.limit_nanos) + (f" per {window}" if window else "")
    if budget.mean is not None:
        least = budget.mean.at_least_nanos
        bounds = f"at least {short_dollars(least)}, at most" if least else "at most"
        amount = f"{budget.mean.words} per {window}, {bounds} {short_dollars(budget.limit_nanos)},"
    each = f" for each {' and '.join(budget.per)}" if budget.per else " together"
    return f"{amount}{each} ({budget.name})"


def value_text(value: object, path: str = "") -> str:
    """A value as a sentence has it."""
    if value is None or value in ((), [], {}, ""):
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return selector_text(value)
    if path.endswith("_nanos") and isinstance(value, int):
        return short_dollars(value)
    if path.endswith("_ms") and isinstance(value, int):
        return length(value) if value and value % 60_000 else f"{value // 60_000}m" if value else "0s"
    return str(value)
