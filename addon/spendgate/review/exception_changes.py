"""What a change of exceptions does, in words. Every difference of theirs is told here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from spendgate.budget import Budget
from spendgate.exceptions import BudgetException
from spendgate.money import short_dollars
from spendgate.policy import Policy
from spendgate.review.changes import Change, Effect, whom_of
from spendgate.review.everybody import Pair
from spendgate.review.reach import Subject, counts, people_in_words, reaches
from spendgate.selector import EVERY
from spendgate.window import Calendar, bounds, day_starts_ms, local_date, zone_of


def exceptions(
    old: Policy,
    new: Policy,
    before: tuple[Subject, ...],
    after: tuple[Subject, ...],
    everybody: tuple[Pair, ...],
    *,
    now_ms: int,
) -> Iterator[Change]:
    """Each exception that comes, goes or changes: one is the same where budget, match and reason are.

    One that ended before the budget's window began takes and gives nothing, on whichever side it stands; nor does one about
    people whom its budget does not count, which has a line only where its own words come, go or change."""
    was_by, now_by = ({_key(each): each for each in policy.exceptions} for policy in (old, new))
    reworded = _reworded(was_by, now_by)
    for key in dict.fromkeys((*was_by, *now_by)):
        was, now = was_by.get(key), now_by.get(reworded.get(key, key))
        if was is None and now is not None and key not in reworded.values():
            over = _over(now, new, now_ms)
            effect = over[0] or (Effect.MORE if _refuses(now, new) else Effect.RECORDS)
            yield _about(effect, now, _raised(now, after, new), f"{_words(now, new)}{over[1]}")
        elif was is not None and now is None:
            over = _over(was, old, now_ms)
            effect = over[0] or (Effect.LESS if _refuses(was, old) else Effect.RECORDS)
            yield _about(effect, was, _raised(was, before, old), f"no longer {_words(was, old)}{over[1]}")
        elif was is not None and now is not None and was != now:
            sides = [_over(was, old, now_ms), _over(now, new, now_ms)]
            begins = sides[0][0] and not sides[1][0]
            effect = Effect.MORE if begins else sides[0][0] or _grants(was, now, (old, new))
            if not (_refuses(was, old) or _refuses(now, new)):
                effect = Effect.RECORDS
            raised, zoned = _raised(now, after, new), _words(was, old) == _words(now, new)
            text = " -> ".join(
                f"{_words(each, policy, exact=zoned)}{over}"
                for each, policy, (_, over) in zip((was, now), (old, new), sides, strict=True)
            )
            if raised[1] or not zoned:  # the zone has lines of its own
                yield _about(effect, now, raised, text)
        if was is not None and now is not None and _over(now, new, now_ms)[0] is None and _refuses(now, new):
            yield from _entered(now, everybody, new)
    common = was_by.keys() & now_by.keys()
    if [key for key in was_by if key in common] != [key for key in now_by if key in common]:
        text = "the order of exceptions: a call that fits several is counted in the first"
        yield Change(Effect.EITHER, "exceptions", text)


def _over(each: BudgetException, policy: Policy, now_ms: int) -> tuple[Effect | None, str]:
    """What it does where it has ended: nothing, once nothing spent under it is in a window that runs; None: what it always does.

    And that it has ended, in words."""
    if each.until_ms > now_ms:
        return None, ""
    budget = _budget(each, policy)
    zones = {team.timezone or policy.timezone for team in policy.roster.teams} | {policy.timezone}
    starts = [
        bounds(budget.window, Calendar(zone, policy.week_starts, policy.fiscal_month), now_ms).starts_ms
        for zone in zones
    ]
    return (
        (Effect.OTHER, "; it has ended")
        if each.until_ms <= min(starts)
        else (None, "; it has ended, in a window that runs")
    )


def _budget(each: BudgetException, policy: Policy) -> Budget:
    return next(one for one in policy.budgets if one.name == each.budget)


def _refuses(each: BudgetException, policy: Policy) -> bool:
    """Whether its budget does; one that only warns refuses nobody with it or without."""
    return _budget(each, policy).enforce_action


def _entered(each: BudgetException, everybody: tuple[Pair, ...], policy: Policy) -> Iterator[Change]:
    """Who comes under an exception that stays, or leaves it, by what the roster says of them."""
    fits = [
        (
            pair.name,
            reaches(each.match, EVERY, pair.was),
            reaches(each.match, EVERY, pair.now),
        )
        for pair in everybody
        if pair.was is not None and pair.now is not None and counts(_budget(each, policy), pair.now)
    ]
    for effect, word, names in (
        (Effect.MORE, "from now on", [name for name, was, now in fits if now and not was]),
        (Effect.LESS, "no longer", [name for name, was, now in fits if was and not now]),
    ):
        if names:
            yield _change(effect, each, f"{people_in_words(names)}: {word} {_words(each, policy)}")


_Key = tuple[str, str, str]


def _key(each: BudgetException) -> _Key:
    return each.budget, each.reason, repr(sorted(each.match.as_data().items()))


def _reworded(was_by: dict[_Key, BudgetException], now_by: dict[_Key, BudgetException]) -> dict[_Key, _Key]:
    """The only one of its budget and match that goes, and the only one that comes: the same with another reason.

    Not where it is for one window: the ledger keeps by the reason which one that was, and gives another reason another window.
    """
    gone, come = ([key for key in one if key not in other] for one, other in ((was_by, now_by), (now_by, was_by)))
    found = {}
    for key in gone:
        alike = [[other for other in keys if (other[0], other[2]) == (key[0], key[2])] for keys in (gone, come)]
        if [len(each) for each in alike] == [1, 1] and not (was_by[key].once or now_by[alike[1][0]].once):
            found[key] = alike[1][0]
    return found


def _grants(was: BudgetException, now: BudgetException, policies: tuple[Policy, Policy]) -> Effect:
    """Whether it allows more or less than before, where that can be shown; `other` where only its words differ."""
    sums = [_sums(each, policy) for each, policy in zip((was, now), policies, strict=True)]
    less, more = _no_wider(now, was, sums[1], sums[0]), _no_wider(was, now, sums[0], sums[1])
    if less and more:
        return Effect.OTHER
    return Effect.LESS if less else Effect.MORE if more else Effect.EITHER


def _sums(each: BudgetException, policy: Policy) -> tuple[int, int] | None:
    """What it adds, and the limit that it makes; None where one of the two follows a mean."""
    budget = next((one for one in policy.budgets if one.name == each.budget), None)
    if budget is None or budget.mean is not None:
        return None
    if each.add_nanos is not None:
        return each.add_nanos, budget.limit_nanos + each.add_nanos
    limit_nanos = each.limit_nanos or 0
    return limit_nanos - budget.limit_nanos, limit_nanos


def _no_wider(
    now: BudgetException, was: BudgetException, sums: tuple[int, int] | None, others: tuple[int, int] | None
) -> bool:
    """Whether it allows nothing more than the other one: no more money, no longer. What the budget itself does is told there."""
    if (now.add_nanos is None) == (was.add_nanos is None):
        money = (now.add_nanos or 0) <= (was.add_nanos or 0) and (now.limit_nanos or 0) <= (was.limit_nanos or 0)
    else:
        money = (
            sums is not None
            and others is not None
            and all(one <= other for one, other in zip(sums, others, strict=True))
        )
    return money and (now.once or not was.once) and now.from_ms >= was.from_ms and now.until_ms <= was.until_ms


def _change(effect: Effect, each: BudgetException, text: str) -> Change:
    return Change(effect, f"exceptions.{each.budget}", text)


def _about(effect: Effect, each: BudgetException, raised: tuple[str, bool], text: str) -> Change:
    """What is about nobody gives and takes nothing."""
    people, somebody = raised
    return _change(effect if somebody else Effect.OTHER, each, f"{people}: {text}")


def _raised(each: BudgetException, people: tuple[Subject, ...], policy: Policy) -> tuple[str, bool]:
    """Whom it is about: of those whom it fits all whom its budget counts; and whether that is anybody."""
    budget = _budget(each, policy)
    reached = [one.name for one in people if reaches(each.match, EVERY, one.facts) and counts(budget, one.facts)]
    return whom_of(each.match, reached, people), bool(reached)


def _words(each: BudgetException, policy: Policy, *, exact: bool = False) -> str:
    """What it gives, and when: days as days, or `exact` as instants, where two zones have other ones of the same days."""
    zone = policy.timezone
    if each.add_nanos is not None:
        more = f"{short_dollars(each.add_nanos)} more in {each.budget}"
    else:
        more = f"{short_dollars(each.limit_nanos or 0)} in {each.budget}"
    once = " for one window" if each.once else ""
    begins = f" from {_instant(zone, each.from_ms, exact)}" if each.from_ms else ""
    last = local_date(zone, each.until_ms - 1)
    whole = day_starts_ms(zone, local_date(zone, each.until_ms)) == each.until_ms
    ends = f" until {last if whole and not exact else _instant(zone, each.until_ms, exact)}"
    return f"{more}{once}{begins}{ends} ({_quoted(each.reason)}; approved by {_quoted(each.approved_by)}, as claimed)"


def _instant(zone: str, at_ms: int, exact: bool = False) -> str:
    """A day's beginning as its date, but where it shall be exact; any other instant to the second, with its offset."""
    day = local_date(zone, at_ms)
    if day_starts_ms(zone, day) == at_ms and not exact:
        return str(day)
    return datetime.fromtimestamp(at_ms / 1000, zone_of(zone)).isoformat(timespec="seconds")


def _quoted(text: str) -> str:
    """What somebody wrote, so that it cannot pass for a part of the sentence."""
    return '"' + text.replace('"', "'") + '"'
