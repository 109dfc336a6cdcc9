"""Representative calls: one for each way in which the selectors of two policies can tell calls apart, and words for them.

Of each attribute there is a call for every text that a selector has, for every two globs that one value can fit, one with any
other value and one without a value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, islice, product
from typing import Final

from spendgate.model_names import glob
from spendgate.review.inclusion import fits_both
from spendgate.review.reach import PERSONAL
from spendgate.selector import Facts, Selector, is_glob

OTHER: Final = "\N{REPLACEMENT CHARACTER}" * 3
"""A value that no selector names, and what stands for a star: of letters that no text of a policy has."""
_CALLS_MAX: Final = 600
_BETWEEN_MAX: Final = 100
"""So many values beside one for each text."""
_PAIRS_MAX: Final = 2_000
_ALWAYS: Final = frozenset({"machine", "provider", "model", "billing"})
"""What every call has."""


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of call. `labels` are attribute -> what is said of it: a selector's text, `any other tool`, `no tool`."""

    values: Mapping[str, str | None]
    labels: Mapping[str, str]

    def may_be_of(self, person: Facts) -> bool:
        """Whether this person makes such calls: who is known by the machine makes all of theirs there."""
        groups = person.values.get("machine_group")
        return groups is None or "machine_group" not in self.values or self.values["machine_group"] in groups

    def of(self, person: Facts) -> Facts:
        """Such a call by this person."""
        values = dict(person.values)
        for attribute, value in self.values.items():
            if attribute != "model" and value is not None:
                values[attribute] = (value,)
        facts = Facts(values)
        model = self.values.get("model")
        return facts.answered_by(model) if model is not None else facts


def calls_for(selectors: Iterable[Selector], *, models: bool) -> tuple[Call, ...]:
    """The calls that these selectors can tell apart, whoever makes them. `models`: by their model, too."""
    texts: dict[str, dict[str, None]] = {}
    for selector in selectors:
        for clause in selector.clauses:
            if clause.attribute not in PERSONAL and (models or clause.attribute != "model"):
                texts.setdefault(clause.attribute, {}).update(dict.fromkeys(clause.texts))
    axes = [[(attribute, *value) for value in _values(attribute, each)] for attribute, each in sorted(texts.items())]
    found = []
    for place, chosen in enumerate(product(*axes)):
        if place >= _CALLS_MAX:
            break
        found.append(_call(chosen))
    if len(found) == _CALLS_MAX:
        # Too many to try each with each: every value by itself, too, so that none is left out.
        rest = [axis[-1] for axis in axes]
        found += [_call((*rest[:at], value, *rest[at + 1 :])) for at, axis in enumerate(axes) for value in axis]
    return tuple(found)


def _call(chosen: tuple[tuple[str, str | None, str], ...]) -> Call:
    return Call({name: value for name, value, _ in chosen}, {name: label for name, _, label in chosen})


def _values(attribute: str, texts: Collection[str]) -> list[tuple[str | None, str]]:
    """Values of an attribute with what is said of each, the commonest last."""
    every = tuple(Selector.of({attribute: (text,)}) for text in texts)
    values: list[tuple[str | None, str]] = [(example(text), text) for text in texts]
    seen = {_answers(attribute, example(text), every) for text in texts}
    for value, label in _between(texts):
        if len(values) >= len(texts) + _BETWEEN_MAX:
            break
        answers = _answers(attribute, value, every)
        if answers not in seen:
            seen.add(answers)
            values.append((value, label))
    if attribute not in _ALWAYS:
        values.append((None, f"no {attribute}"))
    if any(not text.strip("*") for text in texts):
        return values
    return [*values, (OTHER, f"any other {attribute}")]


def _between(texts: Collection[str]) -> Iterator[tuple[str, str]]:
    """Values that globs fit beside their examples: without anything for the stars, and such as two of them fit."""
    globs = [text for text in texts if is_glob(text)]
    yield from ((_bare(text), _bare(text)) for text in globs)
    for one, other in islice(combinations(globs, 2), _PAIRS_MAX):
        both = fits_both(one.casefold(), other.casefold())
        for value in () if both is None else (both + OTHER, OTHER + both, both):
            if all(glob(text.casefold()).fullmatch(value) for text in (one, other)):
                yield value, f"{one} and {other}"


def _answers(attribute: str, value: str, every: tuple[Selector, ...]) -> object:
    """What these say of a value: of two that have the same answers one is enough."""
    facts = Facts({}).answered_by(value) if attribute == "model" else Facts({attribute: (value,)})
    return tuple((each.fits(facts), each.may_fit(facts)) for each in every)


def example(text: str) -> str:
    """A value that fits a text of a selector, and of other texts as few as can be."""
    return re.sub(r"\*+", OTHER, text).replace("?", "x")


def _bare(text: str) -> str:
    """The shortest value that fits it."""
    return text.replace("*", "").replace("?", "x") or "x"


def in_words(chosen: Iterable[Call], every: Iterable[Call]) -> str:
    """Which of all calls these are: ``, ` calls with tool codex`, or what one of them is where no list says it."""
    some, all_calls = list(chosen), list(every)
    if len(some) == len(all_calls):
        return ""
    parts: dict[str, list[str]] = {}
    size = 1
    for attribute in all_calls[0].labels:
        whole = list(dict.fromkeys(call.labels[attribute] for call in all_calls))
        mine = list(dict.fromkeys(call.labels[attribute] for call in some))
        size *= len(mine)
        if len(mine) < len(whole):
            parts[attribute] = [
                _without(label, [each for each in whole if each not in mine and not each.endswith(f" {attribute}")])
                for label in mine
            ]
    if size == len(some):
        return " calls with " + ", ".join(_said(name, labels) for name, labels in parts.items())
    one = min(some, key=lambda call: sum(label.startswith(("no ", "any other ")) for label in call.labels.values()))
    return " some calls, as with " + ", ".join(_said(name, [label]) for name, label in one.labels.items())


def _without(label: str, others: list[str]) -> str:
    """A glob, and which of the values that fit it are not meant."""
    inner = (
        [each for each in others if glob(label.casefold()).fullmatch(example(each).casefold())]
        if is_glob(label)
        else []
    )
    return f"{label} but not {' or '.join(inner)}" if inner else label


def _said(attribute: str, labels: list[str]) -> str:
    named = [label for label in labels if not label.endswith(f" {attribute}")]
    rest = [label for label in labels if label.endswith(f" {attribute}")]
    return " or ".join(([f"{attribute} {' or '.join(named)}"] if named else []) + rest)
