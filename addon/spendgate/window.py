"""Windows: the stretches of time over which a budget counts. Pure: the instant is always passed in.

A calendar window (hour, day, week, month, quarter, year) is cut by a `Calendar`: a zone, the day a week starts and the month
a fiscal year starts. A rolling window slides. A budget without a window counts for the life of its value.

Rules: instants are epoch milliseconds; windows of one kind touch and never overlap, on the days that clocks change too; an
hour that a clock repeats is two windows; `starts_ms` belongs to the window, `ends_ms` to the next one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from spendgate.wall_clock import day_of, day_starts, jump, local, repeats

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
ROLLING_MS_MAX = 366 * DAY_MS
_UNIT_MS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_ROLLING = re.compile(r"rolling\s+([1-9]\d{0,5})([mhd])", re.ASCII)
_SHOWN_MAX = 60

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip


class Unit(StrEnum):
    """Kinds of window, in the policy's words."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    ROLLING = "rolling"


CALENDAR_UNITS = tuple(unit.value for unit in Unit if unit is not Unit.ROLLING)


@dataclass(frozen=True, slots=True)
class Window:
    """One kind of window; `length_ms` is that of a rolling window, else 0."""

    unit: Unit
    length_ms: int = 0

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read `month` or `rolling 24h`. Raises ValueError with what is allowed."""
        words = " ".join(text.split()).lower()
        if words in CALENDAR_UNITS:
            return cls(Unit(words))
        rolling = _ROLLING.fullmatch(words)
        if rolling is None:
            raise ValueError(
                f"{text[:_SHOWN_MAX]!r} is not a window; allowed: {', '.join(CALENDAR_UNITS)}, rolling 30m, rolling 24h, …"
            )
        length = int(rolling[1]) * _UNIT_MS[rolling[2]]
        if length > ROLLING_MS_MAX:
            raise ValueError(f"{text!r} is longer than 366 days")
        return cls(Unit.ROLLING, length)

    @property
    def name(self) -> str:
        """The window's part in a budget's name: `month`, `rolling-24h`."""
        if self.unit is not Unit.ROLLING:
            return self.unit.value
        suffix = next(letter for letter in "dhm" if self.length_ms % _UNIT_MS[letter] == 0)
        # A day is written as 24h, as people write it; whole days from two on as days.
        if suffix == "d" and self.length_ms < 2 * DAY_MS:
            suffix = "h"
        return f"rolling-{self.length_ms // _UNIT_MS[suffix]}{suffix}"


@dataclass(frozen=True, slots=True)
class Calendar:
    """What cuts calendar windows. `zone` is an IANA name; `week_starts` 0 is Monday; `fiscal_month` 1 is January."""

    zone: str = "UTC"
    week_starts: int = 0
    fiscal_month: int = 1


@dataclass(frozen=True, slots=True)
class Bounds:
    """One window in time. `key` names it in a balance; `ends_ms` is when it resets, None for rolling and for life."""

    key: str
    starts_ms: int
    ends_ms: int | None


LIFE = Bounds("life", 0, None)


def bounds(window: Window | None, calendar: Calendar, now_ms: int) -> Bounds:
    """The window that holds `now_ms`. Keys: `2026-11-22T14`, `2026-11-22`, `week 2026-11-16`, `2026-11`, `quarter 2026-10`,
    `year 2026-01`, `rolling`, `life`; an hour that the clock repeats carries its offset, `2026-11-01T01-07:00`.

    Raises ValueError for a zone that this system does not know.
    """
    if window is None:
        return LIFE
    if window.unit is Unit.ROLLING:
        return Bounds("rolling", now_ms - window.length_ms, None)
    zone = zone_of(calendar.zone)
    if window.unit is Unit.HOUR:
        return _hour(zone, now_ms)
    first, after, key = _dates(window.unit, calendar, day_of(zone, now_ms))
    return Bounds(key, day_starts(zone, first), day_starts(zone, after))


class Clock:
    """`bounds` of one window in one calendar, remembered until they end: the hot path asks thousands of times an hour."""

    __slots__ = ("_calendar", "_last", "_window")

    def __init__(self, window: Window | None, calendar: Calendar) -> None:
        self._window, self._calendar = window, calendar
        self._last: Bounds | None = None

    def at(self, now_ms: int) -> Bounds:
        """As `bounds`."""
        if self._window is not None and self._window.unit is Unit.ROLLING:
            return Bounds("rolling", now_ms - self._window.length_ms, None)
        last = self._last
        if last is not None and last.ends_ms is not None and last.starts_ms <= now_ms < last.ends_ms:
            return last
        self._last = found = bounds(self._window, self._calendar, now_ms)
        return found


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    """The zone called `name`. Raises ValueError saying whether the name or the system's zone data is at fault.

    A bare system has neither /usr/share/zoneinfo nor the `tzdata` package; UTC works there all the same.
    """
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as fault:  # not found; not a zone's name at all; a folder such as `America`
        if not known_zones():
            raise ValueError(
                f"{name!r} cannot be read: this system has no time zone data; "
                "install the system's package tzdata, or `pip install tzdata`"
            ) from fault
        raise ValueError(f"{name[:_SHOWN_MAX]!r} is not a time zone") from fault


def shown_in(zone: str, at_ms: int) -> str:
    """An instant for a sentence: `Fri 27 Nov 2026 18:00 Europe/Berlin`."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone_of(zone))
    return f"{moment:%a} {moment.day} {moment:%b %Y %H:%M} {zone}"


@lru_cache(maxsize=1)
def known_zones() -> tuple[str, ...]:
    """The names of all zones that this system knows; asking takes a walk through its zone data, so it is asked once."""
    return tuple(sorted(available_timezones()))


def local_date(zone: str, now_ms: int) -> date:
    """The date in `zone` at `now_ms`: what `until` is compared with."""
    return local(zone_of(zone), now_ms).date()


def day_starts_ms(zone: str, day: date) -> int:
    """The first instant of a date in `zone`. Raises ValueError for a zone that this system does not know; OverflowError."""
    return day_starts(zone_of(zone), day)


@lru_cache(maxsize=64)
def days_before(key: str, count: int) -> tuple[str, ...]:
    """Keys of the `count` day windows before the one with this key, the latest first."""
    today = date.fromisoformat(key)
    return tuple((today - timedelta(days=back)).isoformat() for back in range(1, count + 1))


def _dates(unit: Unit, calendar: Calendar, today: date) -> tuple[date, date, str]:
    """First day, first day after, and key."""
    if unit is Unit.DAY:
        return today, today + timedelta(days=1), today.isoformat()
    if unit is Unit.WEEK:
        first = today - timedelta(days=(today.weekday() - calendar.week_starts) % 7)
        return first, first + timedelta(days=7), f"week {first}"
    months = {Unit.MONTH: 1, Unit.QUARTER: 3, Unit.YEAR: 12}[unit]
    count = today.year * 12 + today.month - 1
    count -= (count - (calendar.fiscal_month - 1)) % months
    first, after = _month(count), _month(count + months)
    key = f"{first:%Y-%m}"
    return first, after, key if unit is Unit.MONTH else f"{unit.value} {key}"


def _month(count: int) -> date:
    return date(count // 12, count % 12 + 1, 1)


def _hour(zone: tzinfo, now_ms: int) -> Bounds:
    """The hour on the wall, as far as one UTC offset reaches."""
    here = local(zone, now_ms)
    starts = now_ms - (here.minute * MINUTE_MS + here.second * 1000 + now_ms % 1000)
    ends = starts + HOUR_MS
    offset = here.utcoffset()
    if local(zone, starts).utcoffset() != offset:
        starts = jump(zone, starts, now_ms)
    if local(zone, ends - 1).utcoffset() != offset:
        ends = jump(zone, now_ms, ends - 1)
    key = f"{here:%Y-%m-%dT%H}"
    repeated = repeats(here.replace(minute=0)) or repeats(here.replace(minute=59))
    return Bounds(f"{key}{here:%:z}" if repeated else key, starts, ends)
