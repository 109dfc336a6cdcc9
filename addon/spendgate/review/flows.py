"""What a change of rates does, in words. Every difference of theirs is told here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from spendgate.policy import Policy
from spendgate.rates import Quota, Rate, length
from spendgate.review.allowances import coarser
from spendgate.review.changes import KEYS, Change, Effect, selector_text, value_text, whom
from spendgate.review.everybody import Pair
from spendgate.review.members import moved
from spendgate.review.reach import SURE, Subject


def rates(
    old: Policy, new: Policy, before: tuple[Subject, ...], after: tuple[Subject, ...], everybody: tuple[Pair, ...]
) -> Iterator[Change]:
    """Each rate that comes, goes or changes, by its name."""
    was_by, now_by = ({each.name: each for each in policy.rates} for policy in (old, new))
    for name in dict.fromkeys((*was_by, *now_by)):
        was, now = was_by.get(name), now_by.get(name)
        where = f"rates.{name}"
        if was is None and now is not None:
            yield Change(Effect.LESS, where, f"{whom(now, after)}: newly held to {_rate(now)}{_more(now)}")
        elif was is not None and now is None:
            yield Change(Effect.MORE, where, f"{whom(was, before)}: no longer held to {_rate(was)}{_more(was)}")
        elif was is not None and now is not None:
            if was != now:
                yield from _changed(was, now, after, where)
            if was != now or old.roster != new.roster or before != after:
                yield from moved(where, was, now, everybody, (_rate(was), _rate(now)))


def _changed(was: Rate, now: Rate, after: tuple[Subject, ...], where: str) -> Iterator[Change]:
    people = whom(now, after)
    if (_allows(was), was.per) != (_allows(now), now.per):
        effect = _effect(was, now)
        change = f"{_rate(was)} -> {_rate(now)}"
        if effect is Effect.EITHER:
            change = f"not comparable: was {_rate(was)}, is {_rate(now)}"
        yield Change(effect, where, f"{people}: {change}")
    if was.missing != now.missing:
        stricter = _MISSING.index(now.missing) > _MISSING.index(was.missing)
        effect = Effect.OTHER if set(now.per) <= SURE else Effect.LESS if stricter else Effect.MORE
        text = f"{people}: {now.name}: missing: {was.missing} -> {now.missing}, what becomes of calls without a value for its per"
        yield Change(effect, where, text)
    if was.cache_reads != now.cache_reads:
        word = "counts" if now.cache_reads else "no longer counts"
        text = f"{people}: {now.name} {word} tokens that are read from a cache"
        yield Change(Effect.LESS if now.cache_reads else Effect.MORE, where, text)
    rest = [
        f"{KEYS.get(key, key)}: {value_text(one, key)} -> {value_text(other, key)}"
        for key, one, other in _pairs(was, now)
        if key not in {"requests", "tokens", "parallel", "per", "missing", "cache_reads", "order"}
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


_MISSING: Final = ("skip", "shared", "refuse")
"""What becomes of calls without a value, the strictest last."""


def _effect(was: Rate, now: Rate) -> Effect:
    """More or less where that can be shown."""
    less = coarser(now, was) and allows_no_more(now, was)
    more = coarser(was, now) and allows_no_more(was, now)
    if less and more:
        return Effect.OTHER
    return Effect.LESS if less else Effect.MORE if more else Effect.EITHER


def allows_no_more(now: Rate, was: Rate) -> bool:
    """Whether it allows nothing more than before, in any stretch of time that the other one counts."""
    at_once = was.parallel is None or (now.parallel is not None and now.parallel <= was.parallel)
    return at_once and _no_more(now.requests, was.requests) and _no_more(now.tokens, was.tokens)


def _no_more(now: Quota | None, was: Quota | None) -> bool:
    if was is None or now is None:
        return was is None
    return now.most * -(-was.length_ms // now.length_ms) <= was.most


def _more(rate: Rate) -> str:
    """What else a new or removed rate says."""
    excepted = f", except {selector_text(rate.excepted.as_data())}" if rate.excepted.clauses else ""
    return excepted + (f", missing: {rate.missing}" if rate.missing != "skip" else "")


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
