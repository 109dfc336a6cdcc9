"""Who comes under a limit and who leaves it, with which calls: by the selectors' own answers on representative calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spendgate.budget import Budget
from spendgate.rates import Rate
from spendgate.review.changes import Change, Effect
from spendgate.review.reach import PERSONAL, Pair, people_in_words
from spendgate.review.sample import Call, calls_for, in_words
from spendgate.selector import Facts

_Limited = Budget | Rate
_Places = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Move:
    """The calls of one person that leave, and that come; and whether the rest draws on another allowance."""

    gone: _Places = ()
    come: _Places = ()
    other: bool = False


def moved(
    where: str, was: _Limited, now: _Limited, everybody: tuple[Pair, ...], words: tuple[str, str]
) -> Iterator[Change]:
    """Of everybody who may call before and after. `words` are the limit before and after."""
    calls = calls_for((was.match, was.excepted, now.match, now.excepted), models=True)
    groups: dict[_Move, list[str]] = {}
    done: dict[object, _Move] = {}
    for pair in everybody:
        if pair.was is None or pair.now is None:
            continue
        key = (_asked(was, pair.was), _asked(now, pair.now), _drawn(was, pair.was) != _drawn(now, pair.now))
        if key not in done:
            done[key] = _move(was, now, pair.was, pair.now, calls)
        if done[key] != _Move():
            groups.setdefault(done[key], []).append(pair.name)
    for move, names in groups.items():
        for effect, places, text in (
            (Effect.MORE, move.gone, f"no longer under {words[0]}"),
            (Effect.LESS, move.come, f"now under {words[1]}"),
        ):
            if places:
                said = in_words([calls[place] for place in places], calls)
                yield Change(effect, where, f"{people_in_words(sorted(names))}{f',{said}' if said else ''}: {text}")
        if move.other:
            yield Change(Effect.EITHER, where, f"{people_in_words(sorted(names))}: on another allowance of {words[1]}")


def _move(was: _Limited, now: _Limited, then: Facts, today: Facts, calls: tuple[Call, ...]) -> _Move:
    fits = [(_counts(was, call.of(then), call), _counts(now, call.of(today), call)) for call in calls]
    return _Move(
        tuple(place for place, each in enumerate(fits) if each == (True, False)),
        tuple(place for place, each in enumerate(fits) if each == (False, True)),
        any(each == (True, True) for each in fits) and was.per == now.per and _drawn(was, then) != _drawn(now, today),
    )


def _counts(rule: _Limited, facts: Facts, call: Call) -> bool:
    """Whether the limit is about this call. Whoever is not listed and keeps the account's name may be called anything."""
    for clause in rule.match.clauses:
        anybody = clause.attribute == "person" and "person" not in facts.values
        if not anybody and not clause.may_fit(facts):
            return False
    if rule.excepted.clauses and rule.excepted.fits(facts):
        return False
    asked = {"team", "group"} | call.values.keys()
    lacks = any(attribute in asked and not facts.values.get(attribute) for attribute in rule.per)
    return not (lacks and rule.missing == "skip")


def _asked(rule: _Limited, facts: Facts) -> tuple[object, ...]:
    """All that a rule asks of a person: whoever answers alike is limited alike."""
    clauses = (clause for selector in (rule.match, rule.excepted) for clause in selector.clauses)
    fits = tuple(clause.fits(facts) for clause in clauses if clause.attribute in PERSONAL)
    return fits, "person" in facts.values, tuple(facts.values.get(name, ()) == () for name in ("team", "group"))


def _drawn(rule: _Limited, facts: Facts) -> tuple[tuple[str, ...], ...]:
    """Whose allowance it is, as far as teams and groups say it."""
    return tuple(facts.values.get(name, ()) for name in rule.per if name in {"team", "group"})
