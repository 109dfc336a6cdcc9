"""One sum of several days: where it is all that tells a provider's use of them, the calls of all of them are compared with it.

A person who has an invoice and no export has one amount for a month. No day's calls can be compared with that, the month's can;
that is right only where the report has every call that the sum is about, and nothing else tells a part of the same money.
Otherwise the sum stays unexplained, and a note says why and what to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from msgspec import Struct

from spendgate.money import short_dollars
from spendgate.reconcile.choosing import COMPARED, At, of_a_period
from spendgate.reconcile.finality import state
from spendgate.reconcile.result import State
from spendgate.statement import DAY_MS, Billed, Charge, Line

_UNBILLED: Final = ", and no part of what is billed here: "
_AMOUNTS: Final = 6
"""A note names as many; of more, their number."""


class Period(NamedTuple):
    """Days of a provider, epoch milliseconds at 00:00 UTC; `until_ms` is none of them."""

    provider: str
    from_ms: int
    until_ms: int

    def __str__(self) -> str:
        return f"{_day(self.from_ms)} through {_day(self.until_ms - 1)}"

    @property
    def asked_for(self) -> str:
        """What a report must be asked for to have all of it."""
        return f"`--from {_day(self.from_ms)} --until {_day(self.until_ms)}`"

    @property
    def days(self) -> Iterator[At]:
        """Each of them."""
        return ((self.provider, day_ms) for day_ms in range(self.from_ms, self.until_ms, DAY_MS))


class Told(NamedTuple):
    """A statement's line with such a sum."""

    line: Line
    reaches_ms: int
    """Up to when its statement can know of anything."""
    whole: bool
    """Whether its statement is in force on each of these days that the report has."""
    why: str = ""
    """Why it is no part of the bill, and what to do; "": it is one."""


class OneSum(Struct, frozen=True):
    """What is compared at once: all sums of one period together, with all calls of it."""

    period: Period
    state: State
    """Of its last day, which is the least final one."""


class Seen(NamedTuple):
    """What the report has, beside the sums."""

    from_ms: int
    until_ms: int
    now_ms: int
    by_day: frozenset[At]
    """Days whose use is told by day."""
    opened: frozenset[At]
    """Days that are not closed: nothing that begins on them is billed here."""
    purged_ms: int = 0
    """Before this, calls may be sums by now."""


def is_sum(line: Line) -> bool:
    """Whether it is money for what calls cost, in one sum of several days."""
    metered = line.billed is Billed.METERED and line.billed_nanos is not None
    return metered and line.charge in COMPARED and of_a_period(line)


def is_search_sum(line: Line) -> bool:
    """Whether it is money for web searches of several days: beside such a sum a part of it, where its calls have searches, since
    what they cost is in what the calls cost."""
    return line.charge is Charge.WEB_SEARCH and line.billed_nanos is not None and of_a_period(line)


class Weighed(NamedTuple):
    """What became of the sums that imports tell."""

    compared: tuple[OneSum, ...]
    notes: tuple[str, ...]
    """On those that are billed: compared, or why not."""
    left_out: tuple[str, ...]
    """On those that are no part of the bill, and why."""


def weighed(told: Iterable[Told], seen: Seen) -> Weighed:
    """Those that calls are compared with, and a note on each, also on those that none is."""
    by_period: dict[Period, list[Told]] = defaultdict(list)
    unbilled: dict[tuple[Period, str], list[Told]] = defaultdict(list)
    for one in told:
        period = Period(one.line.provider, one.line.starts_ms, one.line.ends_ms)
        (unbilled[period, one.why] if one.why else by_period[period]).append(one)
    sums, notes = [], []
    left_out = [f"{_named(period, its)}{_UNBILLED}{why}" for (period, why), its in sorted(unbilled.items())]
    for period, its in sorted(by_period.items()):
        why = _why_not(period, its, by_period, seen)
        name = _named(period, its)
        if not why:
            last = state(period.provider, period.until_ms - DAY_MS, min(each.reaches_ms for each in its), seen.now_ms)
            sums.append(OneSum(period, last))
            notes.append(
                f"{name}, compared with the calls of all these days at once; it"
                " tells no cause: neither quantity and price nor which day can be told apart"
            )
        elif (period.provider, period.from_ms) in seen.opened:
            continue
        elif period.from_ms >= seen.from_ms:
            notes.append(f"{name}, compared with no call, and stays unexplained: {why}")
        else:
            left_out.append(f"{name}{_UNBILLED}{why}")
    return Weighed(tuple(sums), tuple(notes), tuple(left_out))


def _named(period: Period, its: Iterable[Told]) -> str:
    """With the amounts that were typed, so that each can be found in its invoice."""
    amounts = [each.line.billed_nanos or 0 for each in its]
    typed = " + ".join(map(short_dollars, amounts)) if len(amounts) <= _AMOUNTS else f"{len(amounts)} charges"
    several = f" ({typed})" if len(amounts) > 1 else ""
    return f"{period.provider}: {short_dollars(sum(amounts))}{several} is one sum of {period}"


def _why_not(period: Period, its: Iterable[Told], every: Iterable[Period], seen: Seen) -> str:
    """Why its calls cannot be compared with it, and what to do; "": they can."""
    reaches_ms = min(each.reaches_ms for each in its)
    if period.from_ms < seen.purged_ms:
        return "calls of its days are sums by now (privacy.keep); `spendgate spend` has what these cost"
    if not seen.by_day.isdisjoint(period.days):
        return "some of its days are told by day as well; in an invoice name `day` of each charge, or of none"
    other = next((each for each in every if each != period and _overlap(each, period)), None)
    if other is not None:
        return f"the one of {other} has some of the same days; import the provider's own export, or name `day` of each charge"
    if not all(each.whole for each in its):
        return "a newer import is in force on some of its days; write statements whose days do not overlap"
    if seen.now_ms < period.until_ms:
        return "its last day is not over"
    if reaches_ms < period.until_ms:
        return "it was imported before its last day was over; import it again"
    if period.from_ms < seen.from_ms:
        return f"this report begins within it; {period.asked_for} has all of it"
    if period.until_ms > seen.until_ms:
        return f"this report ends within it; {period.asked_for} has all of it"
    return ""


def _overlap(one: Period, other: Period) -> bool:
    return one.provider == other.provider and one.from_ms < other.until_ms and other.from_ms < one.until_ms


def _day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"
