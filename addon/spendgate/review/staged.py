"""What a change of limits does where a mode enforces for some: of those who are refused and of those who are only observed,
before and after, it is told apart, since the same sum gives room to the one and nothing to the other."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from spendgate.policy import Policy
from spendgate.review.changes import Change, Effect
from spendgate.review.everybody import Pair, may_have_any_name
from spendgate.review.reach import NOBODY, Subject, reaches
from spendgate.selector import EVERY, Facts, Selector


@dataclass(frozen=True, slots=True)
class People:
    """Everybody whom a change may be about."""

    before: tuple[Subject, ...]
    after: tuple[Subject, ...]
    pairs: tuple[Pair, ...]
    """Each on both sides."""

    def of(self, names: Container[str]) -> People:
        """These alone, who are not everybody."""
        before, after = (
            tuple(replace(each, some=True) for each in side if each.name in names) for side in (self.before, self.after)
        )
        return People(before, after, tuple(replace(each, some=True) for each in self.pairs if each.name in names))


Told = Callable[[People], Iterable[Change]]
"""The changes as they are for these people."""
_Kind = tuple[bool, bool]
"""Whether somebody is only observed, before and after."""
_EFFECTS: Final = {
    (True, True): dict.fromkeys((Effect.MORE, Effect.LESS, Effect.EITHER, Effect.MODELS), Effect.RECORDS),
    (True, False): {Effect.MORE: Effect.RECORDS, Effect.EITHER: Effect.LESS},
    (False, True): {Effect.LESS: Effect.RECORDS, Effect.EITHER: Effect.MORE},
}
"""What is only observed takes and gives no room."""


def observes(policy: Policy) -> bool:
    """Whether nobody is refused: the mode enforces nothing."""
    return policy.mode.default == "observe" and not policy.mode.enforce


def as_enforced(old: Policy, new: Policy, found: Iterable[Change]) -> Iterator[Change]:
    """The changes by what they do under two modes of which one may enforce nothing."""
    kind = observes(old), observes(new)
    return (each if each.where == "mode" else _as(kind, each) for each in found)


def by_force(old: Policy, new: Policy, people: People, told: Told) -> Iterator[Change]:
    """What `told` says of the people of each kind by themselves, and once what it says of all alike."""
    kinds = {pair.name: _kind(old, new, pair.was, pair.now) for pair in people.pairs}
    kinds |= {each.name: _kind(old, new, None, each.facts) for each in people.after if each.name not in kinds}
    kinds |= {each.name: _kind(old, new, each.facts, None) for each in people.before if each.name not in kinds}
    several = dict.fromkeys(kinds.values())
    alike = [*told(people)]
    if len(several) < 2:
        yield from (_as(kind, each) for kind in several for each in alike)
        return
    about_nobody = {(each.where, each.text) for each in alike if each.text.startswith(_NOBODY)}
    found: dict[tuple[str, str], Change] = {}
    for kind in several:
        for each in told(people.of({name for name, its in kinds.items() if its == kind})):
            key = each.where, each.text
            if key in about_nobody or not each.text.startswith((*_NOBODY, *_EVERYBODY)):
                change = _as(kind, each)
                found[key] = min(change, found.get(key, change), key=lambda one: _ORDER.index(one.effect))
    yield from found.values()


_NOBODY: Final = (f"{NOBODY}:", f"{NOBODY},")
_EVERYBODY: Final = ("everybody:", "everybody,")
"""How a line begins that is about nobody of one kind: as much is said where nobody of it is listed on that side."""
_ORDER: Final = list(Effect)


def _as(kind: _Kind, change: Change) -> Change:
    return replace(change, effect=_EFFECTS.get(kind, {}).get(change.effect, change.effect))


def _kind(old: Policy, new: Policy, was: Facts | None, now: Facts | None) -> _Kind:
    """Of whom one side refuses as not listed only the other one tells it."""
    return _observed(old, was or now), _observed(new, now or was)


def _observed(policy: Policy, facts: Facts | None) -> bool:
    """Whether the mode enforces for no call of this person."""
    if policy.mode.default == "enforce":
        return False
    known = facts or Facts({})
    return not any(reaches(each, EVERY, _as_meant(policy, each, known)) for each in policy.mode.enforce)


def _as_meant(policy: Policy, selector: Selector, facts: Facts) -> Facts:
    """Whoever is not listed is nobody whom a listed person's name means; a name of nobody listed is one of theirs."""
    listed = all(policy.roster.listed(text) for text in selector.texts("person"))
    return facts if listed else may_have_any_name(facts)
