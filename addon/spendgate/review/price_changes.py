"""What a change of `pricing.adjust` does, in words: a lower price is a wider budget, more calls fit into the same limit.

The effect of an entry is that of the price that holds: of several that fit a call the last one does, alone. It is compared for
every kind of call that the two policies tell apart, on each side of every day on which a price begins or ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Final

from spendgate.contracts import Adjustment
from spendgate.model_names import ModelPattern, family, fold
from spendgate.policy import Policy
from spendgate.price_change import PriceChange
from spendgate.review.asked import maker
from spendgate.review.changes import Change, Effect
from spendgate.review.everybody import Pair
from spendgate.review.reach import PERSONAL, people_in_words
from spendgate.review.sample import calls_for
from spendgate.selector import Facts, Selector
from spendgate.window import day_starts_ms

Priced = Callable[[str, str, PriceChange | None], Mapping[str, Fraction] | None]
"""What each count of a provider's model costs under a change of its list price; None where no list has it."""
_Held = tuple[PriceChange | None, PriceChange | None]
_MODELS_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of call by people whom prices do not tell apart at one instant, and the prices that hold before and after."""

    names: tuple[str, ...]
    facts: tuple[Facts, Facts]
    held: _Held


def prices(
    old: Policy,
    new: Policy,
    everybody: tuple[Pair, ...],
    names: tuple[str, ...],
    priced: Priced | None,
    *,
    now_ms: int,
) -> Iterator[Change]:
    """From `now_ms` on every difference of the two policies' own prices; `names` are models, `priced` says their list prices."""
    if old.adjust == new.adjust and (not new.adjust or old.roster == new.roster):
        return
    kinds = _kinds(old, new, everybody, now_ms)
    pairs = _paired(old.adjust, new.adjust)
    for was, now in pairs:
        known = now or was
        if was == now or known is None:
            continue
        held = {kind.held for kind in kinds if _fits(known.match, kind)}
        effect = _effect(held, _lists(known.match, names, priced))
        text = f"{_calls(known)}: {_priced(was)} -> {_priced(now)}"
        if _over(was, old, now_ms) and _over(now, new, now_ms):
            tail = "that is over, and nothing costs otherwise from now on"
        else:
            tail = "another entry holds for all of them" if held and all(one == other for one, other in held) else _TAIL
        yield Change(effect, "pricing.adjust", f"{text}; {tail}")
    places = [new.adjust.index(now) for was, now in pairs if was is not None and now is not None]
    if places != sorted(places):
        yield Change(
            Effect.EITHER, "pricing.adjust", "the order of price adjustments: of several that fit, the last holds"
        )
    if old.adjust == new.adjust:
        yield from _repriced(kinds, names, priced)


_TAIL: Final = "what a budget holds of them changes with it"


def _repriced(kinds: list[_Kind], names: tuple[str, ...], priced: Priced | None) -> Iterator[Change]:
    """Whose calls have another price by what the roster says of them."""
    moved: dict[_Held, dict[str, None]] = {}
    for kind in kinds:
        if kind.held[0] != kind.held[1]:
            moved.setdefault(kind.held, {}).update(dict.fromkeys(kind.names))
    for held, whom in moved.items():
        was, now = ("list price" if each is None else each.words for each in held)
        effect = _effect({held}, _lists(Selector(), names, priced))
        yield Change(effect, "pricing.adjust", f"{people_in_words(whom)}: some calls: {was} -> {now}; {_TAIL}")


def _kinds(old: Policy, new: Policy, everybody: tuple[Pair, ...], now_ms: int) -> list[_Kind]:
    selectors = [entry.match for policy in (old, new) for entry in policy.adjust]
    calls = calls_for(selectors, models=True)
    instants = sorted({max(at_ms, now_ms) for policy in (old, new) for at_ms in _edges(policy)})
    alike: dict[object, list[Pair]] = {}
    for pair in everybody:
        alike.setdefault(_told_apart(pair, selectors), []).append(pair)
    found = []
    for each in alike.values():
        was, now = each[0].was, each[0].now
        if was is None or now is None:
            continue
        names = tuple(pair.name for pair in each)
        for call in calls:
            if not (call.may_be_of(was) and call.may_be_of(now)):
                continue
            facts = call.of(was), call.of(now)
            for at_ms in instants:
                held = old.adjustments.of(facts[0], at_ms).asked, new.adjustments.of(facts[1], at_ms).asked
                found.append(_Kind(names, facts, (_plain(held[0]), _plain(held[1]))))
    return found


def _told_apart(pair: Pair, selectors: list[Selector]) -> object:
    """Whoever answers alike has alike prices."""
    clauses = [clause for each in selectors for clause in each.clauses if clause.attribute in PERSONAL]
    return tuple(
        None if facts is None else (facts.values.get("machine_group"), tuple(clause.fits(facts) for clause in clauses))
        for facts in (pair.was, pair.now)
    )


def _plain(change: PriceChange | None) -> PriceChange | None:
    """Without the entry's number; a factor of 1 is the list price."""
    if change is None or change.factor_millionths == 1_000_000:
        return None
    return PriceChange("", change.factor_millionths, change.rates)


def _over(entry: Adjustment | None, policy: Policy, now_ms: int) -> bool:
    """Whether it holds for no call any more."""
    if entry is None:
        return True
    return entry.ends is not None and day_starts_ms(policy.timezone, entry.ends + timedelta(days=1)) <= now_ms


def _edges(policy: Policy) -> Iterator[int]:
    yield 0
    for entry in policy.adjust:
        if entry.starts is not None:
            yield day_starts_ms(policy.timezone, entry.starts)
        if entry.ends is not None:
            yield day_starts_ms(policy.timezone, entry.ends + timedelta(days=1))


def _fits(match: Selector, kind: _Kind) -> bool:
    return not match.clauses or any(match.fits(each) for each in kind.facts)


# -- which is lower ---------------------------------------------------------------------------------------------------


def _effect(held: set[_Held], lists: list[tuple[str, str, Priced]]) -> Effect:
    """Whether calls become cheaper, so that more of them fit, or dearer; `either` where that depends on the call or the day."""
    moves = [move for one, other in held if one != other for move in _moves(one, other, lists)]
    if not moves:
        return Effect.OTHER
    if None in moves or {-1, 1} <= set(moves):
        return Effect.EITHER
    return Effect.MORE if -1 in moves else Effect.LESS if 1 in moves else Effect.OTHER


def _moves(was: PriceChange | None, now: PriceChange | None, lists: list[tuple[str, str, Priced]]) -> list[int | None]:
    """-1: cheaper, 1: dearer, 0: the same, None: neither; of each model that it may be about."""
    factors = [1_000_000 if each is None else each.factor_millionths for each in (was, now)]
    if factors[0] is not None and factors[1] is not None:
        return [(factors[1] > factors[0]) - (factors[1] < factors[0])]
    if was is not None and now is not None and [name for name, _ in was.rates] == [name for name, _ in now.rates]:
        return [_compared([(one, other) for (_, one), (_, other) in zip(was.rates, now.rates, strict=True)])]
    found: list[int | None] = []
    for provider, model, priced in lists:
        one, other = priced(provider, model, was), priced(provider, model, now)
        if one is not None and other is not None:
            found.append(_compared([(one.get(name, 0), other.get(name, 0)) for name in one.keys() | other.keys()]))
    return found or [None]


def _compared(each: list[tuple[Fraction | int, Fraction | int]]) -> int | None:
    signs = {(after > before) - (after < before) for before, after in each} - {0}
    return None if len(signs) > 1 else next(iter(signs), 0)


def _lists(match: Selector, names: tuple[str, ...], priced: Priced | None) -> list[tuple[str, str, Priced]]:
    """The models with a list price that calls of this selector may be of."""
    if priced is None:
        return []
    patterns = [ModelPattern.of(text) for text in match.texts("model")]
    fitting = [
        name
        for name in names
        if not patterns or any(pattern.fits(fold(name)) or pattern.fits(family(name)) for pattern in patterns)
    ]
    chosen = [
        (provider, name) for name in fitting[:_MODELS_MAX] for provider in match.texts("provider") or (maker(name),)
    ]
    return [(provider, name, priced) for provider, name in chosen]


# -- words ------------------------------------------------------------------------------------------------------------


def _paired(
    before: tuple[Adjustment, ...], after: tuple[Adjustment, ...]
) -> list[tuple[Adjustment | None, Adjustment | None]]:
    """Each entry with what it becomes: the same one first, then one about the same calls and days, from the same day, and at last
    any about the same calls. Those that stay or go in the order of the old file, then those that come."""
    found: dict[int, int] = {}
    for alike in (lambda each: each, lambda each: (each.starts, each.ends), lambda each: each.starts, lambda _: None):
        left: dict[object, list[int]] = {}
        taken = set(found.values())
        for place, entry in enumerate(after):
            if place not in taken:
                left.setdefault((_matched(entry), alike(entry)), []).append(place)
        for place, entry in enumerate(before):
            if place not in found and (twins := left.get((_matched(entry), alike(entry)))):
                found[place] = twins.pop(0)
    taken = set(found.values())
    stay = [(entry, after[found[place]] if place in found else None) for place, entry in enumerate(before)]
    return [*stay, *((None, entry) for place, entry in enumerate(after) if place not in taken)]


def _matched(entry: Adjustment) -> str:
    return ", ".join(f"{name} {' or '.join(texts)}" for name, texts in entry.match.as_data().items())


def _calls(entry: Adjustment) -> str:
    matched = _matched(entry)
    return f"calls with {matched}" if matched else "all calls"


def _priced(entry: Adjustment | None) -> str:
    if entry is None:
        return "list price"
    change = entry.change(0)
    price = f"list price {change.words}" if change.factor_millionths is not None else f"{change.words} per million"
    days = [f"from {entry.starts}"] if entry.starts else []
    days += [f"until {entry.ends}"] if entry.ends else []
    return " ".join((price, *days))
