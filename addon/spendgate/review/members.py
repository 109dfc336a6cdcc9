"""Who comes under a limit and who leaves it, with which calls: by the selectors' own answers on representative calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spendgate.budget import Budget
from spendgate.rates import Rate
from spendgate.review.changes import Change, Effect
from spendgate.review.everybody import Pair, may_have_any_name
from spendgate.review.reach import PERSONAL, people_in_words
from spendgate.review.sample import Call, calls_for, in_words
from spendgate.roster import SHARED
from spendgate.selector import Facts

_Limited = Budget | Rate
_Places = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Move:
    """The calls of one person that leave, and that come; and on whose allowance the rest draws from now on: `{}` is the limit."""

    gone: _Places = ()
    come: _Places = ()
    drawn: tuple[Effect, str] | None = None


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
        drawn = _drawn(was, now, pair)
        key = (_asked(was, pair.was), _asked(now, pair.now), drawn, *_groups(pair))
        if key not in done:
            done[key] = _move(was, now, (pair.was, pair.now), calls, drawn)
        if done[key] != _Move():
            groups.setdefault(done[key], []).append(pair.name)
    for move, names in groups.items():
        every = len(names) == len(everybody) and not any(pair.some for pair in everybody)
        who = "everybody" if every else people_in_words(sorted(names))
        for effect, places, text in (
            (Effect.MORE, move.gone, f"no longer under {words[0]}"),
            (Effect.LESS, move.come, f"now under {words[1]}"),
        ):
            if places:
                said = in_words([calls[place] for place in places], calls)
                yield Change(effect, where, f"{who}{f',{said}' if said else ''}: {text}")
        if move.drawn is not None:
            effect, text = move.drawn
            yield Change(effect, where, f"{who}: {text.format(words[1])}")


def _move(
    was: _Limited, now: _Limited, who: tuple[Facts, Facts], calls: tuple[Call, ...], drawn: tuple[Effect, str] | None
) -> _Move:
    then, today = who
    fits = [
        (_counts(was, call.of(then), call), _counts(now, call.of(today), call))
        if call.may_be_of(then) and call.may_be_of(today)
        else (False, False)
        for call in calls
    ]
    return _Move(
        tuple(place for place, each in enumerate(fits) if each == (True, False)),
        tuple(place for place, each in enumerate(fits) if each == (False, True)),
        drawn if any(each == (True, True) for each in fits) else None,
    )


def _drawn(was: _Limited, now: _Limited, pair: Pair) -> tuple[Effect, str] | None:
    """Whose allowance it is from now on, where that changes."""
    if was.per != now.per or pair.was is None or pair.now is None:
        return None
    if "person" in now.per and (found := _person(pair, pair.was, pair.now, past=isinstance(now, Budget))) is not None:
        return found
    then, today = (_shared(now.per, facts) for facts in (pair.was, pair.now))
    return None if then == today else (Effect.EITHER, "on another allowance of {}")


def _shared(per: tuple[str, ...], facts: Facts) -> list[tuple[str, ...]]:
    """The allowances of teams and groups that somebody draws on: of teams the person's own alone."""
    found = [facts.values.get("team", ())[:1]] if "team" in per else []
    return [*found, tuple(sorted(facts.values.get("group", ())))] if "group" in per else found


def _person(pair: Pair, then: Facts, today: Facts, *, past: bool) -> tuple[Effect, str] | None:
    """Who is not listed and keeps the account's name has an allowance of their own, as whoever is listed."""
    was, now = (next(iter(facts.values.get("person", ())), None) for facts in map(may_have_any_name, (then, today)))
    if was == now:
        return None
    if was is None or now is None or (pair.whole and SHARED in {was, now}):
        if SHARED not in {was, now}:
            return None
        if was == SHARED:
            return Effect.MORE, "an allowance each of {}, was one for all who are not listed"
        return Effect.LESS, "one allowance for all who are not listed of {}, was one each"
    whose = ["the shared one" if name == SHARED else f"{name}'s" for name in (was, now)]
    on = "the shared allowance" if now == SHARED else f"{whose[1]} allowance"
    spent = "; what they spent in the window that runs counts there, too" if past else ""
    return Effect.EITHER, f"on {_braced(on)} of {{}}, was {_braced(whose[0])}{spent}"


def _braced(text: str) -> str:
    """A name as a template has it."""
    return text.replace("{", "{{").replace("}", "}}")


def _groups(pair: Pair) -> tuple[object, ...]:
    """Of what is known of a machine: which group's."""
    return tuple(facts.values.get("machine_group") for facts in (pair.was, pair.now) if facts is not None)


def _counts(rule: _Limited, facts: Facts, call: Call) -> bool:
    """Whether the limit is about this call."""
    if not rule.match.may_fit(facts) or (rule.excepted.clauses and rule.excepted.lets_off(facts)):
        return False
    asked = {"team", "group"} | call.values.keys()
    lacks = any(attribute in asked and not facts.values.get(attribute) for attribute in rule.per)
    return not (lacks and rule.missing == "skip")


def _asked(rule: _Limited, facts: Facts) -> tuple[object, ...]:
    """All that a rule asks of a person: whoever answers alike is limited alike."""
    clauses = (clause for selector in (rule.match, rule.excepted) for clause in selector.clauses)
    fits = tuple(clause.fits(facts) for clause in clauses if clause.attribute in PERSONAL)
    return fits, tuple(facts.values.get(name, ()) == () for name in ("team", "group"))
