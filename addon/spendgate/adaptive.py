"""Adaptive limits: `4x mean of 7d per day`, from what the days before have settled. Pure; amounts are nano-dollars.

Rules: the mean is over complete days of the budget's own calendar, idle days included, as they stand when the day's first call
is decided; from then on it is fixed for that day, whoever asks. With fewer than `SPENT_DAYS_LEAST` days of spend nothing can be
said, and `at_most` holds. A replay that feeds the same settled sums gets the same limit.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from spendgate.money import half_even, short_dollars

SPENT_DAYS_LEAST = 3
DAYS_MAX = 90
"""A mean reads one balance for each day, once a day."""
MINUTES_A_DAY = 24 * 60
MINUTES = {
    "hour": 60, "day": MINUTES_A_DAY, "week": 7 * MINUTES_A_DAY,
    "month": 365 * MINUTES_A_DAY // 12, "quarter": 365 * MINUTES_A_DAY // 4, "year": 365 * MINUTES_A_DAY,
}  # fmt: skip
"""How long a calendar window counts for the mean: always the same, whatever clocks and calendars do to a single one."""


class Mean(Struct, frozen=True):
    """`Nx mean of Dd`, and what the limit never falls below or passes."""

    thousandths: int
    """The factor: 4x is 4000."""
    days: int
    at_least_nanos: int
    at_most_nanos: int

    @property
    def words(self) -> str:
        """As the policy writes it: `4x mean of 7d`."""
        whole, part = divmod(self.thousandths, 1000)
        decimals = f".{part:03d}".rstrip("0") if part else ""
        return f"{whole}{decimals}x mean of {self.days}d"


class Settled(Struct, frozen=True):
    """What the complete days before had settled when a day's limit was fixed."""

    nanos: int
    days: int
    """How many of them had any spend."""


class MeanOf(Struct, frozen=True):
    """The mean of one allowance on one day: the rule, and where its daily sums are kept."""

    mean: Mean
    minutes: int
    """Length of the budget's window."""
    budget: str
    words: str
    """Budget and words of the balances that hold the daily sums."""
    day: str
    """The day for which it is fixed."""
    days: tuple[str, ...]
    """Window keys of the days before, the latest first."""


def settled_of(daily: Iterable[int]) -> Settled:
    """The sum of daily sums, and how many of them are above zero."""
    every = tuple(daily)
    return Settled(sum(every), sum(nanos > 0 for nanos in every))


def limit_of(of: MeanOf, settled: Settled) -> int:
    """The limit of the day, in nano-dollars: `at_most` where too few days had spend."""
    mean = of.mean
    if settled.days < SPENT_DAYS_LEAST:
        return mean.at_most_nanos
    found = half_even(mean.thousandths * settled.nanos * of.minutes, 1000 * mean.days * MINUTES_A_DAY)
    return min(mean.at_most_nanos, max(mean.at_least_nanos, found))


def told(of: MeanOf, settled: Settled) -> str:
    """Where the limit of the day comes from, for a person."""
    mean, limit = of.mean, limit_of(of, settled)
    if settled.days < SPENT_DAYS_LEAST:
        days = "1 day" if settled.days == 1 else f"{settled.days} days"
        return f"at_most, since {days} of the {mean.days} before had spend ({mean.words})"
    a_day = short_dollars(half_even(settled.nanos, mean.days))
    source = f"{mean.words}, which is {a_day} a day"
    free = half_even(mean.thousandths * settled.nanos * of.minutes, 1000 * mean.days * MINUTES_A_DAY)
    if free > limit:
        return f"at_most ({source})"
    return f"at_least ({source})" if free < limit else source
