"""What a change does to who may use which models, in words.

Who gains or loses what is asked of the model rules themselves, call by call (`sample`); budgets and rates have no say in it.
What a rule says differently is told besides, whether or not a call shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from spendgate.model_names import ModelPattern, alias_stem, family, fold
from spendgate.model_rules import ModelRule, refused_by
from spendgate.policy import Policy
from spendgate.review.changes import KEYS, Access, Change, Effect, value_text
from spendgate.review.everybody import Pair
from spendgate.review.reach import PERSONAL, people_in_words
from spendgate.review.sample import OTHER, Call, calls_for, example, in_words
from spendgate.selector import Facts, Selector

_UNKNOWN: Final[str] = "a model that is not known beforehand (auto)"
_ANY_OTHER: Final[str] = "any other model"
_ALIASES: Final = "routers and aliases"
_UNNAMED: Final = "models that no rule names"
_MODELS_SHOWN: Final = 8
_Moved = tuple[frozenset[int], frozenset[int]]
"""The classes of models that are gained, and that are lost."""


@dataclass(frozen=True, slots=True)
class _Models:
    """Models that no pattern of the two policies tells apart, class by class."""

    classes: tuple[tuple[str, ...], ...]
    """What is said of each, by class."""
    asked: tuple[str, ...]
    """One name of each."""
    patterns: tuple[ModelPattern, ...]


def models(old: Policy, new: Policy, everybody: tuple[Pair, ...], names: tuple[str, ...]) -> Iterator[Change]:
    """Who gains and who loses which of these models, people and calls with the same change together."""
    if _plain(old) == _plain(new) and old.roster == new.roster:
        return
    known = _classes(old, new, names)
    every = calls_for(_selectors((*old.models, *new.models)), models=False)
    groups: dict[tuple[tuple[_Moved, tuple[int, ...]], ...], list[str]] = {}
    done: dict[object, tuple[tuple[_Moved, tuple[int, ...]], ...]] = {}
    for pair in everybody:
        if pair.was is None or pair.now is None:
            continue
        machines = pair.was.values.get("machine_group"), pair.now.values.get("machine_group")
        key = (_personal(old, pair.was), _personal(new, pair.now), machines)
        if key not in done:
            done[key] = _moved((old, pair.was), (new, pair.now), every, known)
        if done[key]:
            groups.setdefault(done[key], []).append(pair.name)
    for moved, people in groups.items():
        for (gains, loses), places in moved:
            parts = [f"gain {_listed(gains, known)}"] if gains else []
            parts += [f"lose {_listed(loses, known)}"] if loses else []
            calls = in_words([every[place] for place in places], every)
            whom = people_in_words(people) + (f",{calls}" if calls else "")
            access = Access(tuple(people), _names(gains, known), _names(loses, known))
            yield Change(Effect.MODELS, "models", f"{whom}: {', '.join(parts)}", access)
    yield from _told(old, new)


def _moved(
    was: tuple[Policy, Facts], now: tuple[Policy, Facts], every: tuple[Call, ...], known: _Models
) -> tuple[tuple[_Moved, tuple[int, ...]], ...]:
    """What one person gains and loses, and with which calls."""
    found: dict[_Moved, list[int]] = {}
    for place, call in enumerate(every):
        if not (call.may_be_of(was[1]) and call.may_be_of(now[1])):
            continue
        before, after = (_refused(policy, call.of(facts), known) for policy, facts in (was, now))
        if before != after:
            found.setdefault((before - after, after - before), []).append(place)
    return tuple((moved, tuple(places)) for moved, places in found.items())


def _refused(policy: Policy, facts: Facts, known: _Models) -> frozenset[int]:
    """The classes that a model rule refuses to such a call."""
    asked = [facts.answered_by(name) for name in known.asked]
    return frozenset(
        place
        for place, each in enumerate(asked)
        if any(refused_by(rule, patterns, each) for rule, patterns in policy.model_patterns)
    )


def _personal(policy: Policy, facts: Facts) -> tuple[bool, ...]:
    """All that the model rules ask of a person: whoever answers alike is refused alike."""
    return tuple(
        clause.fits(facts)
        for selector in _selectors(policy.models)
        for clause in selector.clauses
        if clause.attribute in PERSONAL
    )


# -- models -----------------------------------------------------------------------------------------------------------


def _classes(old: Policy, new: Policy, names: tuple[str, ...]) -> _Models:
    texts = {text: None for rule in (*old.models, *new.models) for text in (*rule.deny, *rule.allow)}
    for selector in _selectors((*old.models, *new.models)):
        texts.update(dict.fromkeys(selector.texts("model")))
    patterns = tuple(ModelPattern.of(text) for text in texts)
    said = [(name, name) for name in sorted(names)]
    said += [
        (pattern.text, example(pattern.text))
        for pattern in patterns
        if not any(pattern.fits(fold(name)) or pattern.fits(family(name)) for name in names)
    ]
    said += [(_UNKNOWN, "auto"), (_ANY_OTHER, OTHER)]
    classes: dict[object, list[tuple[str, str]]] = {}
    for label, name in said:
        classes.setdefault(_signature(name, patterns), []).append((label, name))
    for pattern in patterns:
        # A model to come, where a pattern says more than the names of all that are known.
        to_come = example(pattern.text)
        classes.setdefault(_signature(to_come, patterns), [(f"any other {pattern.text}", to_come)])
    return _Models(
        tuple(tuple(label for label, _ in each) for each in classes.values()),
        tuple(each[0][1] for each in classes.values()),
        patterns,
    )


def _signature(name: str, patterns: tuple[ModelPattern, ...]) -> object:
    stem = alias_stem(name)
    asked, short = fold(name), family(name)
    fits = tuple((pattern.fits(asked), pattern.fits(short)) for pattern in patterns)
    return fits, stem is None, stem is not None and tuple(pattern.may_fit(stem) for pattern in patterns)


def _names(classes: frozenset[int], known: _Models) -> tuple[str, ...]:
    return tuple(sorted(label for place in classes for label in known.classes[place]))


def _listed(classes: frozenset[int], known: _Models) -> str:
    """The models by name, or of many by the pattern that they fit."""
    labels = [label for place in sorted(classes) for label in known.classes[place]]
    named = sorted(label for label in labels if label not in (_UNKNOWN, _ANY_OTHER))
    rest: list[str] = [label for label in (_ANY_OTHER, _UNKNOWN) if label in labels]
    if len(named) <= _MODELS_SHOWN:
        return ", ".join(named + rest)
    grouped: dict[str, list[str]] = {}
    for name in named:
        fitting = [pattern.text for pattern in known.patterns if pattern.fits(family(name)) or pattern.text == name]
        none = _ALIASES if alias_stem(name) is not None else _UNNAMED
        grouped.setdefault(max(fitting, key=len) if fitting else none, []).append(name)
    words = []
    for pattern, each in sorted(grouped.items()):
        if pattern == _UNNAMED and _ANY_OTHER in rest:
            words.append("every model that no rule names")
            rest.remove(_ANY_OTHER)
        elif len(each) <= 2:
            words += each
        elif pattern == _ALIASES and _UNKNOWN in rest:
            words.append(f"{len(each) + 1} {_ALIASES} (such as auto)")
            rest.remove(_UNKNOWN)
        else:
            words.append(f"{len(each)} {pattern if pattern in (_ALIASES, _UNNAMED) else f'models of {pattern}'}")
    return ", ".join(words + rest)


# -- rules ------------------------------------------------------------------------------------------------------------


def _told(old: Policy, new: Policy) -> Iterator[Change]:
    """Every rule that comes, goes or says something else."""
    was_by, now_by = ({rule.name: rule for rule in policy.models} for policy in (old, new))
    for name in dict.fromkeys((*was_by, *now_by)):
        was, now = was_by.get(name), now_by.get(name)
        if was is None and now is not None:
            text = f"model rule {name} is new: {_rule(now)}"
        elif was is not None and now is None:
            text = f"model rule {name} is gone: {_rule(was)}"
        elif was is not None and now is not None and (parts := _differs(was, now)):
            text = f"model rule {name}: {'; '.join(parts)}"
        else:
            continue
        yield Change(Effect.OTHER, f"models.{name}", text)


def _differs(was: ModelRule, now: ModelRule) -> list[str]:
    before, after = _data(was), _data(now)
    return [
        f"{KEYS.get(key, key)}: {value_text(value)} -> {value_text(after[key])}"
        for key, value in before.items()
        if value != after[key]
    ]


def _rule(rule: ModelRule) -> str:
    return "; ".join(
        f"{KEYS.get(key, key)}: {value_text(value)}"
        for key, value in _data(rule).items()
        if value and key != "name" and (key, value) != ("unresolved", "deny")
    )


def _data(rule: ModelRule) -> dict[str, Any]:
    return rule.model_dump(mode="json", exclude={"order"})


def _plain(policy: Policy) -> list[dict[str, Any]]:
    return sorted((_data(rule) for rule in policy.models), key=lambda data: str(data["name"]))


def _selectors(rules: Iterable[ModelRule]) -> list[Selector]:
    return [selector for rule in rules for selector in (rule.match, rule.excepted)]
