"""Windows against an independent oracle, in every zone that the system knows and over seventy years.

The oracle labels an instant by its wall clock alone. Two instants are in one window exactly where their labels are the same;
that the windows' bounds say the same at every change of a clock is what these tests show.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spendgate.window import DAY_MS, HOUR_MS, Calendar, Unit, Window, bounds, known_zones

CALENDAR_UNITS = [unit for unit in Unit if unit is not Unit.ROLLING]
YEARS = (1990, 2060)
EDGES = [
    "Pacific/Kiritimati",
    "Pacific/Apia",
    "Etc/GMT-14",
    "Etc/GMT+12",
    "Pacific/Niue",
    "Asia/Kathmandu",
    "Africa/Casablanca",
]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Label = tuple[object, ...]


def ms(moment: datetime) -> int:
    """Epoch milliseconds."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def wall(zone: str, at_ms: int) -> datetime:
    """What the clock on the wall shows, with its offset."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(zone))


def day(zone: str, at_ms: int) -> date:
    """The date on the wall, or the later one that the wall has shown already: some clocks go back at one past midnight."""
    shown = wall(zone, at_ms)
    dates = [
        wall(zone, change - 1).date() for change in changes(zone, shown.year) if change <= at_ms < change + 3 * HOUR_MS
    ]
    return max([shown.date(), *dates])


def label(unit: Unit, calendar: Calendar, at_ms: int) -> Label:
    """What tells the window of an instant from all others, by days counted from the year 1 and months from the year 0."""
    if unit is Unit.HOUR:
        hour = wall(calendar.zone, at_ms)
        return hour.date(), hour.hour, hour.utcoffset()
    shown = day(calendar.zone, at_ms)
    months = shown.year * 12 + shown.month - 1 - (calendar.fiscal_month - 1)
    match unit:
        case Unit.DAY:
            return (shown,)
        case Unit.WEEK:
            # The first day of the year 1 was a Monday.
            return ((shown.toordinal() - 1 - calendar.week_starts) // 7,)
        case Unit.MONTH:
            return shown.year, shown.month
        case Unit.QUARTER:
            return (months // 3,)
    return (months // 12,)


@cache
def changes(zone: str, year: int) -> tuple[int, ...]:
    """The first instants of each UTC offset that a zone takes in a year, found by halving."""
    first = ms(datetime(year, 1, 1, tzinfo=UTC))
    days = range(first, first + 366 * DAY_MS, DAY_MS)
    offsets = [wall(zone, at_ms).utcoffset() for at_ms in (*days, days[-1] + DAY_MS)]
    return tuple(
        _change(zone, at_ms) for at_ms, (one, other) in zip(days, pairwise(offsets), strict=True) if one != other
    )


def _change(zone: str, low_ms: int) -> int:
    """The instant in the day after `low_ms` at which the offset is no longer that of `low_ms`."""
    before, high_ms = wall(zone, low_ms).utcoffset(), low_ms + DAY_MS
    while high_ms - low_ms > 1:
        middle = (low_ms + high_ms) // 2
        low_ms, high_ms = (middle, high_ms) if wall(zone, middle).utcoffset() == before else (low_ms, middle)
    return high_ms


def hold_true(unit: Unit, calendar: Calendar, at_ms: int) -> None:
    """The window of this instant begins and ends where its label does, and each touches its neighbours."""
    found = bounds(Window(unit), calendar, at_ms)
    assert found.ends_ms is not None
    assert found.starts_ms <= at_ms < found.ends_ms
    mine = label(unit, calendar, at_ms)
    assert label(unit, calendar, found.starts_ms) == mine == label(unit, calendar, found.ends_ms - 1)
    assert label(unit, calendar, found.starts_ms - 1) != mine != label(unit, calendar, found.ends_ms)
    before, after = bounds(Window(unit), calendar, found.starts_ms - 1), bounds(Window(unit), calendar, found.ends_ms)
    assert (before.ends_ms, after.starts_ms) == (found.starts_ms, found.ends_ms)
    assert len({before.key, found.key, after.key}) == 3


def at_changes(zone: str, year: int, units: list[Unit], week_starts: int = 0, fiscal_month: int = 1) -> None:
    """Around every change of a zone's clock in a year."""
    calendar = Calendar(zone, week_starts, fiscal_month)
    for at_ms in changes(zone, year):
        for unit in units:
            for near in (-DAY_MS, -HOUR_MS, -1, 0, 1, HOUR_MS - 1, HOUR_MS, DAY_MS):
                hold_true(unit, calendar, at_ms + near)


_zones = st.sampled_from(known_zones()) | st.sampled_from(EDGES)
_years = st.integers(*YEARS)


@settings(max_examples=150, deadline=None)
@given(_zones, _years, st.integers(0, 6), st.integers(1, 12))
def test_around_every_change_of_a_clock(zone: str, year: int, week_starts: int, fiscal_month: int) -> None:
    """Forward, back, by half an hour, over midnight, to another zone: no instant is in two windows or in none."""
    at_changes(zone, year, CALENDAR_UNITS, week_starts, fiscal_month)


@settings(max_examples=300, deadline=None)
@given(
    _zones,
    st.integers(ms(datetime(YEARS[0], 1, 1, tzinfo=UTC)), ms(datetime(YEARS[1], 12, 31, tzinfo=UTC))),
    st.sampled_from(CALENDAR_UNITS),
    st.integers(0, 6),
    st.integers(1, 12),
)
def test_at_any_instant(zone: str, at_ms: int, unit: Unit, week_starts: int, fiscal_month: int) -> None:
    """Any zone, any start of a week and of a fiscal year."""
    hold_true(unit, Calendar(zone, week_starts, fiscal_month), at_ms)


@pytest.mark.parametrize("zone", EDGES)
@pytest.mark.parametrize("year", range(1990, 2061, 2))
def test_leap_days_and_the_turn_of_a_year(zone: str, year: int) -> None:
    """29 February where there is one, and the week that belongs to two years, in zones at both ends of the day."""
    there = ZoneInfo(zone)
    days = [date(year, 2, 28) + timedelta(days=1), date(year, 12, 31), date(year + 1, 1, 1), date(year, 12, 28)]
    for each in days:
        noon = ms(datetime(each.year, each.month, each.day, 12, tzinfo=there))
        for unit in CALENDAR_UNITS:
            for week_starts, fiscal_month in ((0, 1), (6, 2), (5, 3), (0, 12)):
                hold_true(unit, Calendar(zone, week_starts, fiscal_month), noon)


@pytest.mark.parametrize("year", range(1990, 2061))
def test_weeks_are_those_of_the_iso_calendar(year: int) -> None:
    """A week from Monday is one ISO week, the 53rd of long years too, and its key is that week's Monday."""
    for week in (1, 52, date(year, 12, 28).isocalendar().week):
        monday = date.fromisocalendar(year, week, 1)
        for weekday in range(7):
            late = monday + timedelta(days=weekday)
            found = bounds(
                Window(Unit.WEEK), Calendar(), ms(datetime(late.year, late.month, late.day, 23, 59, tzinfo=UTC))
            )
            assert found.key == f"week {monday}"
            assert found.ends_ms == found.starts_ms + 7 * DAY_MS


@pytest.mark.heavy
@pytest.mark.parametrize("part", range(20))
def test_every_change_of_every_zone(part: int) -> None:
    """All of them, from 1990 to 2060."""
    for zone in known_zones()[part::20]:
        for year in range(YEARS[0], YEARS[1] + 1):
            at_changes(zone, year, CALENDAR_UNITS)


def test_a_clock_that_goes_back_over_a_midnight_it_had_passed() -> None:
    """Newfoundland's went back at 00:01 until 2011: the day begins once, at its first midnight, and the hour is told apart."""
    calendar, first = Calendar("America/St_Johns"), ms(datetime(2010, 11, 7, 2, 30, tzinfo=UTC))
    found = [bounds(Window(Unit.DAY), calendar, first + minutes * 60_000).key for minutes in (-1, 0, 1, 30, 61)]
    assert found == ["2010-11-06", *["2010-11-07"] * 4]
    hours = [bounds(Window(Unit.HOUR), calendar, first + minutes * 60_000).key for minutes in (-1, 0, 1, 61)]
    assert hours == ["2010-11-06T23-02:30", "2010-11-07T00-02:30", "2010-11-06T23-03:30", "2010-11-07T00-03:30"]
