"""Model patterns that name one spelling where the model is meant: with the vendor before it, as routers write it, or with a date
in an `allow` list, of which the family decides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from spendgate.model_names import ModelPattern, family, fold
from spendgate.policy import Policy
from spendgate.review.doubt import Doubt
from spendgate.review.selectors import selectors
from spendgate.selector import Facts, Selector

_VENDOR: Final = re.compile(r"(?P<before>~?(?P<vendor>[a-z][a-z0-9-]*?)(?:/|\.|--|:))(?P<rest>.+)")
_CALLED: Final = {"mistralai": "mistral", "xai": "x-ai", "z-ai": "zai", "gemini": "google"}
"""Providers whom others call otherwise before a model."""
_GIVEN_AWAY: Final = "gpt-oss"
"""OpenAI's open weights, which price lists have under its name and others serve, with the vendor before it."""
_SHOWN_MAX: Final = 2

Models = Mapping[str, tuple[str, ...]]
"""The models of each provider's own list."""


class _Spelled(NamedTuple):
    """A pattern of one rule: `beside` are all of its list, `about` says which calls the rule is about."""

    subject: str
    name: str
    text: str
    beside: tuple[str, ...]
    about: tuple[Selector, ...]


def spelled(policy: Policy, models: Iterable[str], own: Models) -> Iterator[Doubt]:
    """Each pattern once for each rule. `models`: all that are known."""
    yield from _allowed(policy, {name: family(name) for name in models})
    names = _Names(own)
    for each in dict.fromkeys(_patterns(policy)):
        found = _VENDOR.fullmatch(each.text.strip().lower())
        if found is None:
            continue
        provider, rest = _CALLED.get(found["vendor"], found["vendor"]), found["rest"]
        if not _about(each.about, provider) or not names.lacks(provider, each, rest):
            continue
        meant = (
            f"write {rest}, which fits every spelling" if rest.strip("*?") else f"write match: {{provider: {provider}}}"
        )
        without = f"whose models are named without {found['before']!r}"
        yield Doubt(each.subject, f"{each.name}: {each.text} fits no call to {provider} itself, {without}; {meant}")


def _patterns(policy: Policy) -> Iterator[_Spelled]:
    for rule in policy.models:
        for text in rule.deny:
            yield _Spelled(f"models.{rule.name}", rule.name, text, rule.deny, (rule.match,))
    for placed in selectors(policy):
        texts = placed.selector.texts("model")
        for text in texts:
            yield _Spelled(placed.subject, placed.name, text, texts, placed.about)


def _about(every: Iterable[Selector], provider: str) -> bool:
    """Whether the rule is about calls to this provider, too."""
    facts = Facts.of(provider=provider)
    clauses = (clause for each in every for clause in each.clauses)
    return all(clause.fits(facts) for clause in clauses if clause.attribute == "provider")


class _Names:
    """The spellings of each provider's own models."""

    def __init__(self, own: Models) -> None:
        self._own = {
            name: tuple((fold(model), family(model)) for model in models if _GIVEN_AWAY not in model)
            for name, models in own.items()
        }

    def lacks(self, provider: str, each: _Spelled, rest: str) -> bool:
        """Whether the pattern fits none of this provider's models, without the vendor it fits some, and the rest of its list
        does not fit all of these."""
        every = self._own.get(provider, ())
        if _fitting(each.text, every):
            return False
        meant = _fitting(rest, every)
        others = {names for other in each.beside for names in _fitting(other, meant)}
        return not others.issuperset(meant)


def _fitting(text: str, models: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    pattern = ModelPattern.of(text)
    return tuple(names for names in models if any(pattern.fits(name) for name in names))


def _allowed(policy: Policy, families: Mapping[str, str]) -> Iterator[Doubt]:
    """Of an `allow` list: what fits a spelling and no family allows nothing."""
    known = set(families.values())
    for rule in policy.models:
        for text in rule.allow:
            pattern = ModelPattern.of(text)
            if any(pattern.fits(name) for name in known):
                continue
            meant = tuple(dict.fromkeys(short for name, short in families.items() if pattern.fits(fold(name))))
            if meant:
                near = ", ".join(meant[:_SHOWN_MAX]) + (", …" if len(meant) > _SHOWN_MAX else "")
                why = "the family decides, without vendor, date and version"
                yield Doubt(
                    f"models.{rule.name}", f"{rule.name}: {text} allows no model: of an allow list {why}: {near}"
                )
