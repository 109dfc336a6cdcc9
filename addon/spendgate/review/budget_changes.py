"""What a change of budgets does, in words: who may spend more or less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spendgate.budget import Budget
from spendgate.money import short_dollars
from spendgate.policy import Policy
from spendgate.review.changes import KEYS, Change, Effect, limit, value_text, whom
from spendgate.review.reach import Subject, people_in_words, reaches


def budgets(old: Policy, new: Policy, before: tuple[Subject, ...], after: tuple[Subject, ...]) -> Iterator[Change]:
    """Each limit that comes, goes or changes, by its name."""
    was_by, now_by = ({budget.name: budget for budget in policy.budgets} for policy in (old, new))
    for name in dict.fromkeys((*was_by, *now_by)):
        was, now = was_by.get(name), now_by.get(name)
        if was is None and now is not None:
            text = f"{whom(now, after)}: limited anew to {limit(now)}{_words(now)}"
            yield Change(Effect.LESS, f"budgets.{name}", text)
        elif was is not None and now is None:
            text = f"{whom(was, before)}: the limit of {limit(was)} is gone{_words(was)}"
            yield Change(Effect.MORE, f"budgets.{name}", text)
        elif was is not None and now is not None and _plain(was) != _plain(now):
            yield from _changed(was, now, before, after)


def _changed(was: Budget, now: Budget, before: tuple[Subject, ...], after: tuple[Subject, ...]) -> Iterator[Change]:
    where = f"budgets.{now.name}"
    if (was.limit_nanos, was.mean) != (now.limit_nanos, now.mean):
        effect = Effect.MORE if _room(now) > _room(was) else Effect.LESS
        yield Change(effect, where, f"{whom(now, after)}: {limit(was)} -> {limit(now)}")
    gone, come = _moved(was, now, before, after)
    if gone:
        yield Change(Effect.MORE, where, f"{people_in_words(gone)}: no longer under {limit(was)}")
    if come:
        yield Change(Effect.LESS, where, f"{people_in_words(come)}: now under {limit(now)}")
    if was.enforce_action != now.enforce_action:
        effect = Effect.LESS if now.enforce_action else Effect.MORE
        text = f"{whom(now, after)}: {limit(now)} {'refuses' if now.enforce_action else 'only warns'} from now on"
        yield Change(effect, where, text)
    yield from _counts(was, now, whom(now, after))
    told = {"limit_nanos", "mean", "counts", "per_machine_nanos", "enforce_action", "order", "alerts"}
    if (gone or come) and was.match.as_data() == now.match.as_data():
        told.add("excepted")
    rest = [
        f"{KEYS.get(key, key)}: {value_text(was_value, key)} -> {value_text(now_value, key)}"
        for key, was_value, now_value in _pairs(was, now)
        if key not in told
    ]
    if rest:
        yield Change(Effect.OTHER, where, f"{now.name}: {'; '.join(rest)}")


def _room(budget: Budget) -> tuple[int, bool, int, int]:
    """What a limit allows, for comparing two: the most that it can be, whether it is always that, and what moves it."""
    mean = budget.mean
    if mean is None:
        return budget.limit_nanos, True, 0, 0
    return budget.limit_nanos, False, mean.thousandths, mean.at_least_nanos


def _counts(was: Budget, now: Budget, people: str) -> Iterator[Change]:
    where = f"budgets.{now.name}"
    if was.counts != now.counts:
        effect = Effect.LESS if now.counts == "value" else Effect.MORE
        what = "counts" if now.counts == "value" else "no longer counts"
        yield Change(effect, where, f"{people}: {now.name} {what} subscription traffic at list price")
    before, after = was.per_machine_nanos, now.per_machine_nanos
    if before != after:
        effect = Effect.LESS if after is not None and (before is None or after < before) else Effect.MORE
        amounts = [short_dollars(each) if each is not None else "the whole limit" for each in (before, after)]
        text = (
            f"one machine without the fleet's ledger: {amounts[0]} -> {amounts[1]} of {now.name}, once there is a hub"
        )
        yield Change(effect, where, text)


def _moved(
    was: Budget, now: Budget, before: tuple[Subject, ...], after: tuple[Subject, ...]
) -> tuple[list[str], list[str]]:
    """Whom the budget no longer reaches, and whom it reaches now, of those who are there on both sides."""
    old_side = {subject.name for subject in before if reaches(was.match, was.excepted, subject.facts)}
    new_side = {subject.name for subject in after if reaches(now.match, now.excepted, subject.facts)}
    both = {subject.name for subject in before} & {subject.name for subject in after}
    return sorted((old_side - new_side) & both), sorted((new_side - old_side) & both)


def _plain(budget: Budget) -> dict[str, Any]:
    return budget.model_dump(mode="json", exclude={"order"})


def _pairs(was: Budget, now: Budget) -> Iterator[tuple[str, Any, Any]]:
    before, after = _plain(was), _plain(now)
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)


def _words(budget: Budget) -> str:
    return "" if budget.enforce_action else ", which only warned"
