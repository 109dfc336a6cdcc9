"""What a change of budgets does, in words: who may spend more or less."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from spendgate.budget import Budget, Missing
from spendgate.money import short_dollars
from spendgate.policy import Policy
from spendgate.review.changes import KEYS, Change, Effect, limit, selector_text, value_text, whom
from spendgate.review.everybody import Pair
from spendgate.review.members import moved
from spendgate.review.reach import SURE, Subject
from spendgate.review.room import effect_of, other_mean
from spendgate.standing import Hold


def budgets(
    old: Policy, new: Policy, before: tuple[Subject, ...], after: tuple[Subject, ...], everybody: tuple[Pair, ...]
) -> Iterator[Change]:
    """Each limit that comes, goes or changes, by its name; and who comes under one or leaves it, whatever brings that about."""
    was_by, now_by = ({budget.name: budget for budget in policy.budgets} for policy in (old, new))
    recut = _recut(old, new)
    for was_all, now_all in recut.values():
        yield from told_of(was_all[0], now_all[0], _recut_changes(was_all, now_all, new, after, everybody))
        if was_all[0].enforce_action != now_all[0].enforce_action:
            yield _acts(was_all, now_all, before, after)
    for name in dict.fromkeys((*was_by, *now_by)):
        was, now = was_by.get(name), now_by.get(name)
        if was is None and now is not None and now.base_name not in recut:
            verb = "newly limited to" if now.enforce_action else "newly warned beyond"
            effect = Effect.LESS if now.enforce_action else Effect.RECORDS
            yield Change(effect, f"budgets.{name}", f"{whom(now, after)}: {verb} {limit(now)}{_words(now)}")
        elif was is not None and now is None and was.base_name not in recut:
            text = f"{whom(was, before)}: the limit of {limit(was)} is gone{_words(was, warned='which only warned')}"
            yield Change(Effect.MORE if was.enforce_action else Effect.RECORDS, f"budgets.{name}", text)
        elif was is not None and now is not None:
            stays = _plain(was) == _plain(now) and old.roster == new.roster and before == after
            if was.enforce_action != now.enforce_action:
                yield _acts([was], [now], before, after)
            elif not stays:
                yield from told_of(was, now, _changed(was, now, new, after, everybody))


def told_of(was: Budget | None, now: Budget | None, found: Iterable[Change]) -> Iterator[Change]:
    """The changes of a budget that is on both sides: of one that only warns they give and take no room.

    Nothing where one side alone refuses: that is told as a whole (`_acts`)."""
    refuses = {each.enforce_action for each in (was, now) if each is not None}
    if len(refuses) < 2:
        yield from (found if True in refuses else (replace(each, effect=Effect.RECORDS) for each in found))


def _acts(was: list[Budget], now: list[Budget], before: tuple[Subject, ...], after: tuple[Subject, ...]) -> Change:
    """A budget that refuses from now on, or only warns: whatever else differs, that gives or takes all of its room."""
    refuses = now[0].enforce_action
    people = whom(now[0], after) if refuses else whom(was[0], before)
    text = f"{people}: {_limits(now)} {'refuses' if refuses else 'only warns'} from now on{_words(now[0], warned='')}"
    pairs = [({**_plain(each), "enforce_action": None} for each in side) for side in (was, now)]
    if list(pairs[0]) != list(pairs[1]):
        text += f"; was {_limits(was)}{_words(was[0], warned='')}"
        if was[0].match.as_data() != now[0].match.as_data():
            # Who comes and who goes has no line of its own here (`told_of`).
            others = f"warned of until now: {whom(was[0], before)}" if refuses else f"warned of: {whom(now[0], after)}"
            text += (
                f", match {selector_text(was[0].match.as_data())} -> {selector_text(now[0].match.as_data())}; {others}"
            )
    return Change(Effect.LESS if refuses else Effect.MORE, f"budgets.{now[0].name}", text)


def _changed(
    was: Budget, now: Budget, new: Policy, after: tuple[Subject, ...], everybody: tuple[Pair, ...]
) -> Iterator[Change]:
    where = f"budgets.{now.name}"
    if _room(was) != _room(now):
        yield from _compared(where, [was], [now], new, whom(now, after))
    elif other_mean(now, was):
        text = (
            f"{whom(now, after)}: {limit(now)}: that is the mean of other calls from now on, which may be more or less"
        )
        yield Change(Effect.EITHER, where, text)
    if _plain(was) != _plain(now):
        yield from _other_keys(was, now, whom(now, after))
    yield from moved(where, was, now, everybody, (limit(was), limit(now)))


def _recut_changes(
    was: list[Budget], now: list[Budget], new: Policy, after: tuple[Subject, ...], everybody: tuple[Pair, ...]
) -> Iterator[Change]:
    where, people = f"budgets.{now[0].base_name}", whom(now[0], after)
    yield from _compared(where, was, now, new, people)
    if not {each.name for each in was} & {each.name for each in now}:
        yield from _other_keys(was[0], now[0], people)
        yield from moved(where, was[0], now[0], everybody, (_limits(was), _limits(now)))


def _recut(old: Policy, new: Policy) -> dict[str, tuple[list[Budget], list[Budget]]]:
    """Budgets of the file with a limit that goes and another one that comes: all their limits before, and all after."""
    found = {}
    for base in dict.fromkeys(budget.base_name for budget in old.budgets):
        was, now = ([each for each in policy.budgets if each.base_name == base] for policy in (old, new))
        names = {each.name for each in was}, {each.name for each in now}
        if names[0] - names[1] and names[1] - names[0]:
            found[base] = (was, now)
    return found


def _compared(where: str, was: list[Budget], now: list[Budget], new: Policy, people: str) -> Iterator[Change]:
    effect = effect_of(was, now, new)
    before, after = _limits(was), _limits(now)
    if effect is Effect.EITHER:
        yield Change(effect, where, f"{people}: not comparable: was {before}, is {after}")
    else:
        note = "; it allows the same" if effect is Effect.OTHER else ""
        if len(was) == len(now) == 1 and _room(was[0])[1:] == _room(now[0])[1:] and now[0].mean is None:
            before = short_dollars(was[0].limit_nanos)
        yield Change(effect, where, f"{people}: {before} -> {after}{note}")


def _limits(budgets: list[Budget]) -> str:
    return " and ".join(limit(each) for each in budgets)


def _room(budget: Budget) -> tuple[object, ...]:
    return budget.limit_nanos, budget.mean, budget.window, budget.per


def _other_keys(was: Budget, now: Budget, people: str) -> Iterator[Change]:
    """All that two limits say differently beside the amount, its window and whose it is."""
    where = f"budgets.{now.name}"
    yield from _counts(was, now, people)
    for key, stricter in (("hold", was.hold is Hold.EXPECTED), ("cut", now.cut), ("missing", _stricter(was, now))):
        before, after = getattr(was, key), getattr(now, key)
        if before != after:
            effect = Effect.LESS if stricter else Effect.MORE
            if key == "missing" and set(now.per) <= SURE:
                effect = Effect.OTHER
            texts = [value_text(value).lower() for value in (before, after)]
            yield Change(effect, where, f"{people}: {now.name}: {key}: {texts[0]} -> {texts[1]}, {_MEANS[key]}")
    told = {
        "name",
        "base_name",
        "limit_nanos",
        "mean",
        "window",
        "per",
        "counts",
        "per_machine_nanos",
        "enforce_action",
    }
    told |= {"order", "alerts", "hold", "cut", "missing"}
    rest = [
        f"{KEYS.get(key, key)}: {value_text(was_value, key)} -> {value_text(now_value, key)}"
        for key, was_value, now_value in _pairs(was, now)
        if key not in told
    ]
    if rest:
        yield Change(Effect.OTHER, where, f"{now.name}: {'; '.join(rest)}")


_MEANS: Final = {
    "hold": "the size of a hold: by ceiling it is the most that a call can cost, and what has no bound is refused",
    "cut": "whether an answer is cut off where the budget ends",
    "missing": "what becomes of calls without a value for its per",
}


def _stricter(was: Budget, now: Budget) -> bool:
    order = (Missing.SKIP, Missing.SHARED, Missing.REFUSE)
    return order.index(now.missing) > order.index(was.missing)


_COUNTED = {
    "value": "subscription traffic at list price",
    "billed": "what imported statements have and no call",
}
"""What `counts` adds to metered spend."""


def _counts(was: Budget, now: Budget, people: str) -> Iterator[Change]:
    where = f"budgets.{now.name}"
    if was.counts != now.counts:
        for word, what in _COUNTED.items():
            if word in (was.counts, now.counts):
                effect, verb = (Effect.LESS, "counts") if word == now.counts else (Effect.MORE, "no longer counts")
                # The mean that such a limit follows is of the same.
                effect = Effect.EITHER if other_mean(now, was) else effect
                yield Change(effect, where, f"{people}: {now.name} {verb} {what}")
    before, after = was.per_machine_nanos, now.per_machine_nanos
    if before != after:
        effect = Effect.LESS if after is not None and (before is None or after < before) else Effect.MORE
        amounts = [short_dollars(each) if each is not None else "the whole limit" for each in (before, after)]
        text = (
            f"one machine without the fleet's ledger: {amounts[0]} -> {amounts[1]} of {now.name}, once there is a hub"
        )
        yield Change(effect, where, text)


def _plain(budget: Budget) -> dict[str, Any]:
    return budget.model_dump(mode="json", exclude={"order"})


def _pairs(was: Budget, now: Budget) -> Iterator[tuple[str, Any, Any]]:
    before, after = _plain(was), _plain(now)
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)


def _words(budget: Budget, *, warned: str = "which only warns") -> str:
    """What else a new or removed limit says."""
    parts = [] if budget.enforce_action or not warned else [warned]
    if budget.excepted.clauses:
        parts.append(f"except {selector_text(budget.excepted.as_data())}")
    if budget.missing is not Missing.SKIP:
        parts.append(f"missing: {budget.missing.value}")
    if budget.hold is Hold.CEILING:
        parts.append("hold: ceiling")
    if budget.cut:
        parts.append("cut: true")
    if budget.counts != "captured":
        parts.append(f"counts: {budget.counts}")
    return "".join(f", {part}" for part in parts)
