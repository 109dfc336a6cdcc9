"""The measures behind alert rules: each takes one charge after the other and says when its mark is reached.

A measure keeps sums for each value of its rule's `per`, for as long as a charge may still count in them: a call's end is
expected within two days of its booking, and what comes later counts no more than in what is still kept. What a measure keeps
can be taken out as JSON and put back. Only charges that cost something are shown to those that sum money.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

from msgspec import json

from spendgate.alert_rules import HUNDRED, Burn, Outside, Share, Spike
from spendgate.alerts.interface import Charged, Figures, Reached
from spendgate.hours import OutsideClock
from spendgate.window import DAY_MS, Bounds

LATE_DAYS: Final = 2
LATE_MS: Final = LATE_DAYS * DAY_MS
KEEP_TOLD_MS: Final = 8 * DAY_MS
"""How long after a window's end it is remembered that it was told."""
ENTRIES_MAX: Final = 4096
"""A burn keeps so many charges of one value apart; of more, those within a 4,096th of its time are taken as one, at the last."""
FORGET_EVERY: Final = 10_000
"""New values after which those are dropped in which nothing can count any more."""


class Moment(Protocol):
    """What a charge's time is in the zone of its rule."""

    @property
    def day(self) -> Bounds: ...
    @property
    def ordinal(self) -> int: ...
    @property
    def zone(self) -> str: ...


class Spikes:
    """A day's spend at least so many times the mean of the days before it."""

    def __init__(self, form: Spike) -> None:
        self._form = form
        self._days: dict[str, dict[int, int]] = {}
        """By value, by the day's ordinal."""
        self._newest = self._new = 0

    def saw(self, value: str, charged: Charged, when: Moment) -> Reached | None:
        """Count one charge."""
        form, today = self._form, when.ordinal
        days = self._days.get(value)
        if days is None:
            days = self._days[value] = {}
            self._forget(today)
        if today not in days:
            self._newest = max(self._newest, today)
            edge = max([today, *days]) - form.days - LATE_DAYS
            for old in [day for day in days if day < edge]:
                del days[old]
            if today < edge:
                return None
        spent = days[today] = days.get(today, 0) + charged.cost_nanos
        if spent < form.minimum_nanos or today < max(days) - LATE_DAYS:
            return None
        before = sum(nanos for day, nanos in days.items() if today - form.days <= day < today)
        if spent * form.days * 100 < form.times_hundredths * before:
            return None
        mean = before // form.days
        figures = Figures(spent_nanos=spent, mark_nanos=mean)
        return Reached(when.day.key, when.day.starts_ms, _ended(when.day) + KEEP_TOLD_MS, figures)

    def _forget(self, today: int) -> None:
        self._new += 1
        if self._new >= FORGET_EVERY:
            self._new, edge = 0, max(self._newest, today) - self._form.days - LATE_DAYS
            self._days = {value: days for value, days in self._days.items() if not days or max(days) >= edge}

    def dump(self) -> bytes:
        """JSON that `load` takes."""
        return json.encode(self._days)

    def load(self, data: bytes) -> None:
        """Put back what `dump` gave. Raises msgspec.DecodeError for anything else."""
        self._days = json.decode(data, type=dict[str, dict[int, int]])
        self._newest = max([day for days in self._days.values() for day in days], default=0)


class Burns:
    """So much charged within any stretch of a length, by the instants at which calls were charged."""

    def __init__(self, form: Burn) -> None:
        self._form = form
        self._charges: dict[str, deque[tuple[int, int, int]]] = {}
        """By value: charged at, nano-dollars, booked at."""
        self._sums: dict[str, int] = {}
        self._new = 0

    def saw(self, value: str, charged: Charged, when: Moment) -> Reached | None:
        """Count one charge."""
        form, now_ms = self._form, charged.at_ms
        entries = self._charges.get(value)
        if entries is None:
            self._forget(now_ms)
            entries = self._charges[value] = deque()
        elif entries:
            now_ms = max(now_ms, entries[-1][0])  # a clock that is set back frees nothing
        total = self._sums.get(value, 0) + charged.cost_nanos
        while entries and entries[0][0] <= now_ms - form.within_ms:
            total -= entries.popleft()[1]
        entry = (now_ms, charged.cost_nanos, charged.booked_ms)
        if len(entries) >= ENTRIES_MAX and now_ms - entries[-1][0] <= form.within_ms // ENTRIES_MAX:
            _, nanos, booked_ms = entries.pop()
            entry = (now_ms, nanos + charged.cost_nanos, min(booked_ms, charged.booked_ms))
        entries.append(entry)
        self._sums[value] = total
        if total < form.nanos:
            return None
        since_ms = min(booked_ms for _, _, booked_ms in entries)
        figures = Figures(spent_nanos=total, mark_nanos=form.nanos)
        return Reached("", since_ms, now_ms + form.within_ms, figures)

    def _forget(self, now_ms: int) -> None:
        self._new += 1
        if self._new >= FORGET_EVERY:
            self._new, edge_ms = 0, now_ms - self._form.within_ms
            kept = [value for value, entries in self._charges.items() if entries[-1][0] > edge_ms]
            self._charges = {value: self._charges[value] for value in kept}
            self._sums = {value: self._sums[value] for value in kept}

    def dump(self) -> bytes:
        """JSON that `load` takes."""
        return json.encode({value: list(entries) for value, entries in self._charges.items()})

    def load(self, data: bytes) -> None:
        """Put back what `dump` gave. Raises msgspec.DecodeError for anything else."""
        found = json.decode(data, type=dict[str, list[tuple[int, int, int]]])
        self._charges = {value: deque(entries) for value, entries in found.items() if entries}
        self._sums = {value: sum([nanos for _, nanos, _ in entries]) for value, entries in self._charges.items()}


class Shares:
    """Of a day's calls at least so large a part that fits."""

    def __init__(self, form: Share) -> None:
        self._form = form
        self._days: dict[str, dict[int, list[int]]] = {}
        """By value, by the day's ordinal: calls that fit, and all."""
        self._newest = self._new = 0

    def saw(self, value: str, charged: Charged, when: Moment, *, fits: bool) -> Reached | None:
        """Count one call."""
        form, today = self._form, when.ordinal
        days = self._days.get(value)
        if days is None:
            days = self._days[value] = {}
            self._forget(today)
        if today not in days:
            self._newest = max(self._newest, today)
            edge = max([today, *days]) - LATE_DAYS
            for old in [day for day in days if day < edge]:
                del days[old]
            if today < edge:
                return None
            days[today] = [0, 0]
        counts = days[today]
        counts[0] += fits
        counts[1] += 1
        if counts[1] < form.minimum_calls or counts[0] * HUNDRED < form.percent * counts[1]:
            return None
        figures = Figures(calls=counts[0], of_calls=counts[1])
        return Reached(when.day.key, when.day.starts_ms, _ended(when.day) + KEEP_TOLD_MS, figures)

    def _forget(self, today: int) -> None:
        self._new += 1
        if self._new >= FORGET_EVERY:
            self._new, edge = 0, max(self._newest, today) - LATE_DAYS
            self._days = {value: days for value, days in self._days.items() if not days or max(days) >= edge}

    def dump(self) -> bytes:
        """JSON that `load` takes."""
        return json.encode(self._days)

    def load(self, data: bytes) -> None:
        """Put back what `dump` gave. Raises msgspec.DecodeError for anything else."""
        self._days = json.decode(data, type=dict[str, dict[int, list[int]]])
        self._newest = max([day for days in self._days.values() for day in days], default=0)


class Outsides:
    """So much spent in one stretch outside working hours."""

    def __init__(self, form: Outside) -> None:
        self._form = form
        self._clocks: dict[str, OutsideClock] = {}
        self._sums: dict[str, dict[int, int]] = {}
        """By value, by where the stretch starts."""
        self._new = 0

    def saw(self, value: str, charged: Charged, when: Moment) -> Reached | None:
        """Count one charge."""
        clock = self._clocks.get(when.zone)
        if clock is None:
            clock = self._clocks[when.zone] = OutsideClock(self._form.hours, when.zone)
        stretch = clock.at(charged.booked_ms)
        if stretch is None:
            return None
        sums = self._sums.get(value)
        if sums is None:
            self._forget(charged.booked_ms)
            sums = self._sums[value] = {}
        if stretch.starts_ms not in sums and len(sums) > LATE_DAYS:
            oldest = min(sums)
            if stretch.starts_ms < oldest:
                return None
            del sums[oldest]
        spent = sums[stretch.starts_ms] = sums.get(stretch.starts_ms, 0) + charged.cost_nanos
        if spent < self._form.nanos:
            return None
        figures = Figures(spent_nanos=spent, mark_nanos=self._form.nanos)
        return Reached(stretch.key, stretch.starts_ms, _ended(stretch) + KEEP_TOLD_MS, figures)

    def _forget(self, now_ms: int) -> None:
        self._new += 1
        if self._new >= FORGET_EVERY:
            # The longest stretch is a week but for a minute.
            self._new, edge_ms = 0, now_ms - 7 * DAY_MS - LATE_MS
            self._sums = {value: sums for value, sums in self._sums.items() if not sums or max(sums) >= edge_ms}

    def dump(self) -> bytes:
        """JSON that `load` takes."""
        return json.encode(self._sums)

    def load(self, data: bytes) -> None:
        """Put back what `dump` gave. Raises msgspec.DecodeError for anything else."""
        self._sums = json.decode(data, type=dict[str, dict[int, int]])


def _ended(bounds: Bounds) -> int:
    return bounds.ends_ms if bounds.ends_ms is not None else bounds.starts_ms
