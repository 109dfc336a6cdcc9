"""Selectors: which calls a rule is about. Facts are what one call is known to be; a selector is compared with them.

Rules: every attribute of a selector must fit; of a list any one; text compares without case, `*` and `?` are globs. A
missing value fits nothing. An empty selector is no selector: it fits every call as `match` and none as `except`, and a file
that writes one down is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from pydantic import InstanceOf, PlainSerializer

from spendgate.attribution import BESIDE
from spendgate.model_names import ModelPattern, alias_stem, family, fold, glob, says_nothing
from spendgate.written import written

ATTRIBUTES = (
    "person", "team", "group", "machine", "machine_group", "tool", "provider", "model",
    "session", "api_key", "account", "project", "billing",
)  # fmt: skip
_KNOWN = frozenset(ATTRIBUTES)
PLAN, OVERAGE, PERSONAL = "subscription", "overage", "personal"
"""Billing words. A plan's calls cost nothing and draw on budgets with `counts: value` alone, at list price; of personal ones
`billing.personal` says it."""
BILLINGS = ("metered", "subscription", "overage", "gateway", "personal")
SEVERAL_KEYS = "several keys"
"""The allowance, by key, of calls that carry several: nobody knows which of them counts, and one more is easily made up."""
_VALUE_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Facts:
    """What one call is known to be: attribute -> values; an attribute that is not there is a missing value.

    `team` is the person's team first, then its ancestors; `group` and `machine_group` every group; `model` the name asked for,
    then its family; `api_key` `SEVERAL_KEYS` and each key, where a call carries more than one.
    """

    values: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...] = ()
    """The values of `model`, folded as patterns are."""
    stem: str | None = None
    """`model_names.alias_stem` of the model: not None where the model is not known beforehand."""

    @classmethod
    def of(cls, *, model: str | None = None, **values: str | Iterable[str] | None) -> Facts:
        """Facts from plain values: text, several texts, or None for a missing one.

        Raises TypeError for an attribute that policies do not know.
        """
        unknown = values.keys() - _KNOWN
        if unknown:
            raise TypeError(f"not an attribute of calls: {', '.join(sorted(unknown))}")
        kept = {name: texts for name, value in values.items() if (texts := _texts(value))}
        if kept.get("api_key", ("",))[0].find(BESIDE) > 0:
            kept["api_key"] = (SEVERAL_KEYS, *str(values["api_key"]).split(BESIDE))
        return cls(kept).answered_by(model)

    def answered_by(self, model: str | None) -> Facts:
        """The same call with another model: the one that answers, which is what a charge is counted by."""
        if not model:
            return Facts({name: texts for name, texts in self.values.items() if name != "model"}, (), alias_stem(None))
        spellings, names, stem = _spelled(model)
        if stem is None and any(says_nothing(provider, model) for provider in self.values.get("provider", ())):
            stem = ""
        return Facts({**self.values, "model": spellings}, names, stem)


@lru_cache(maxsize=1024)
def _spelled(model: str) -> tuple[tuple[str, ...], tuple[str, ...], str | None]:
    """What facts hold of a model's name: as it is written, as patterns are folded, its stem. Models in use are few."""
    short = family(model)
    return (written(model) or "", written(short) or ""), (fold(model), short), alias_stem(model)


def _texts(value: str | Iterable[str] | None) -> tuple[str, ...]:
    """The values that are there, each bounded: clients choose session ids, and a value is part of a balance's key."""
    if not value:
        return ()
    texts = (value,) if isinstance(value, str) else tuple(value)
    return tuple(text if len(text) <= _VALUE_LENGTH_MAX else _shortened(text) for text in texts if text)


def _shortened(text: str) -> str:
    return f"{text[: _VALUE_LENGTH_MAX - 17]}~{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Clause:
    """One attribute of a selector: exact values, and globs for the rest. All folded."""

    attribute: str
    texts: tuple[str, ...]
    """As the file has them."""
    exact: frozenset[str]
    globs: tuple[re.Pattern[str], ...]
    models: tuple[ModelPattern, ...] = ()

    def fits(self, facts: Facts) -> bool:
        """Whether a value of the call is one of these."""
        if self.models:
            return any(pattern.fits(name) for pattern in self.models for name in facts.names)
        for value in facts.values.get(self.attribute, ()):
            folded = value.casefold()
            if folded in self.exact or any(pattern.fullmatch(folded) for pattern in self.globs):
                return True
        return False

    def may_fit(self, facts: Facts) -> bool:
        """As `fits`, and for an alias whether a model that it may become is one of these."""
        if self.fits(facts):
            return True
        return facts.stem is not None and any(pattern.may_fit(facts.stem) for pattern in self.models)


@dataclass(frozen=True, slots=True)
class Selector:
    """Clauses that must all fit. No clauses: no selector."""

    clauses: tuple[Clause, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Iterable[str]]) -> Selector:
        """A selector from attribute -> texts. Raises ValueError for an unknown attribute or one without texts."""
        return cls(tuple(_clause(attribute, tuple(texts)) for attribute, texts in values.items()))

    def fits(self, facts: Facts) -> bool:
        """Whether the call is surely one of these. False without clauses."""
        return bool(self.clauses) and all(clause.fits(facts) for clause in self.clauses)

    def lets_off(self, facts: Facts) -> bool:
        """As `fits`, where that spares a call something: of several keys each must be one of these."""
        keys = facts.values.get("api_key", ())
        if len(keys) < 2 or not self.texts("api_key"):
            return self.fits(facts)
        each = [Facts({**facts.values, "api_key": (key,)}, facts.names, facts.stem) for key in keys[1:]]
        return all(self.fits(one) for one in each)

    def may_fit(self, facts: Facts) -> bool:
        """Whether the call is, or by its alias may become, one of these. True without clauses."""
        return all(clause.may_fit(facts) for clause in self.clauses)

    def texts(self, attribute: str) -> tuple[str, ...]:
        """What the file says of one attribute; empty where it says nothing."""
        return next((clause.texts for clause in self.clauses if clause.attribute == attribute), ())

    def as_data(self) -> dict[str, list[str]]:
        """Canonical data for the policy's hash."""
        return {clause.attribute: sorted(clause.texts) for clause in sorted(self.clauses, key=lambda c: c.attribute)}


EVERY = Selector()
Chosen = Annotated[InstanceOf[Selector], PlainSerializer(Selector.as_data)]
"""A selector as a field of the policy, which its hash covers."""


def exactly(values: Mapping[str, str]) -> Selector:
    """A selector of just these values: `*` and `?` in them, which a client may have chosen, stand for themselves."""
    return Selector(
        tuple([
            Clause("model", (value,), frozenset(), (), (ModelPattern.exactly(value),))
            if attribute == "model"
            else Clause(attribute, (value,), frozenset({value.casefold()}), ())
            for attribute, value in values.items()
        ])
    )  # fmt: skip


def _clause(attribute: str, texts: tuple[str, ...]) -> Clause:
    if attribute not in ATTRIBUTES:
        raise ValueError(f"{attribute!r} is not an attribute")
    if not texts:
        raise ValueError(f"{attribute} has no value to compare with")
    if attribute == "model":
        return Clause(attribute, texts, frozenset(), (), tuple(ModelPattern.of(text) for text in texts))
    folded = [text.casefold() for text in texts]
    globs = tuple(glob(text) for text in folded if is_glob(text))
    return Clause(attribute, texts, frozenset(text for text in folded if not is_glob(text)), globs)


def is_glob(text: str) -> bool:
    """Whether the text has a glob character."""
    return "*" in text or "?" in text
