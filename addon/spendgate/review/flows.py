"""What a change of exceptions and rates does, in words. Every difference of theirs is told here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spendgate.exceptions import BudgetException
from spendgate.money import short_dollars
from spendgate.policy import Policy
from spendgate.rates import Quota, Rate, length
from spendgate.review.changes import KEYS, Change, Effect, value_text, whom, whom_of
from spendgate.review.reach import Subject, reaches
from spendgate.selector import EVERY
from spendgate.window import local_date


def exceptions(old: Policy, new: Policy, before: tuple[Subject, ...], after: tuple[Subject, ...]) -> Iterator[Change]:
    """Each exception that comes, goes or changes: one is the same where budget, match and reason are."""
    was_by, now_by = ({_key(each): each for each in policy.exceptions} for policy in (old, new))
    for key in dict.fromkeys((*was_by, *now_by)):
        was, now = was_by.get(key), now_by.get(key)
        if was is None and now is not None:
            yield _change(Effect.MORE, now, f"{_raised(now, after)}: {_words(now, new)}")
        elif was is not None and now is None:
            yield _change(Effect.LESS, was, f"{_raised(was, before)}: no longer {_words(was, old)}")
        elif was is not None and now is not None and was != now:
            same = now.model_copy(update={"approved_by": was.approved_by}) == was
            effect = Effect.OTHER if same else Effect.LESS if _narrower(now, was) else Effect.MORE
            yield _change(effect, now, f"{_raised(now, after)}: {_words(was, old)} -> {_words(now, new)}")


def _key(each: BudgetException) -> tuple[str, str, str]:
    return each.budget, each.reason, repr(sorted(each.match.as_data().items()))


def _change(effect: Effect, each: BudgetException, text: str) -> Change:
    return Change(effect, f"exceptions.{each.budget}", text)


def _raised(each: BudgetException, people: tuple[Subject, ...]) -> str:
    return whom_of(each.match, [one.name for one in people if reaches(each.match, EVERY, one.facts)], people)


def _words(each: BudgetException, policy: Policy) -> str:
    zone = policy.timezone
    if each.add_nanos is not None:
        more = f"{short_dollars(each.add_nanos)} more in {each.budget}"
    else:
        more = f"{short_dollars(each.limit_nanos or 0)} in {each.budget}"
    once = " for one window" if each.once else ""
    begins = f" from {local_date(zone, each.from_ms)}" if each.from_ms else ""
    ends = f" until {local_date(zone, each.until_ms - 1)}"
    return f"{more}{once}{begins}{ends} ({each.reason}; approved by {each.approved_by}, as claimed)"


def _narrower(now: BudgetException, was: BudgetException) -> bool:
    """Whether it allows nothing more than before: no more money, no longer."""
    return (
        (now.add_nanos is None) == (was.add_nanos is None)
        and (now.add_nanos or 0) <= (was.add_nanos or 0)
        and (now.limit_nanos or 0) <= (was.limit_nanos or 0)
        and (now.once or not was.once)
        and now.from_ms >= was.from_ms
        and now.until_ms <= was.until_ms
    )


def rates(old: Policy, new: Policy, before: tuple[Subject, ...], after: tuple[Subject, ...]) -> Iterator[Change]:
    """Each rate that comes, goes or changes, by its name."""
    was_by, now_by = ({each.name: each for each in policy.rates} for policy in (old, new))
    for name in dict.fromkeys((*was_by, *now_by)):
        was, now = was_by.get(name), now_by.get(name)
        where = f"rates.{name}"
        if was is None and now is not None:
            yield Change(Effect.LESS, where, f"{whom(now, after)}: held anew to {_rate(now)}")
        elif was is not None and now is None:
            yield Change(Effect.MORE, where, f"{whom(was, before)}: no longer held to {_rate(was)}")
        elif was is not None and now is not None:
            yield from _changed(was, now, after, where)


def _changed(was: Rate, now: Rate, after: tuple[Subject, ...], where: str) -> Iterator[Change]:
    if _allows(was) != _allows(now):
        effect = Effect.LESS if allows_no_more(now, was) else Effect.MORE
        yield Change(effect, where, f"{whom(now, after)}: {_rate(was)} -> {_rate(now)}")
    rest = [
        f"{KEYS.get(key, key)}: {value_text(one)} -> {value_text(other)}"
        for key, one, other in _pairs(was, now)
        if key not in {"requests", "tokens", "parallel", "order"}
    ]
    if rest:
        yield Change(Effect.OTHER, where, f"{now.name}: {'; '.join(rest)}")


def _pairs(was: Rate, now: Rate) -> Iterator[tuple[str, Any, Any]]:
    before, after = was.model_dump(mode="json"), now.model_dump(mode="json")
    for key, value in before.items():
        if value != after[key]:
            yield key, value, after[key]


def _allows(rate: Rate) -> tuple[Quota | None, Quota | None, int | None]:
    return rate.requests, rate.tokens, rate.parallel


def allows_no_more(now: Rate, was: Rate) -> bool:
    """Whether it allows nothing more than before: a quota over another length may allow more at some time."""
    quotas = ((now.requests, was.requests), (now.tokens, was.tokens))
    at_once = was.parallel is None or (now.parallel is not None and now.parallel <= was.parallel)
    return at_once and all(
        other is None or (one is not None and one.length_ms >= other.length_ms and one.most <= other.most)
        for one, other in quotas
    )


def _rate(rate: Rate) -> str:
    """`100 requests per minute, 8 calls at once for each person (loop)`."""
    parts = [
        f"{quota.most:,} {what} per {length(quota.length_ms)}"
        for what, quota in (("requests", rate.requests), ("tokens", rate.tokens))
        if quota is not None
    ]
    if rate.parallel is not None:
        parts.append(f"{rate.parallel:,} calls at once")
    each = f" for each {' and '.join(rate.per)}" if rate.per else " together"
    return f"{', '.join(parts)}{each} ({rate.name})"
