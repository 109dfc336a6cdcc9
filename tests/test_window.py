"""Windows: bounds, keys and resets, on ordinary days and on those that clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate import window
from spendgate.window import DAY_MS, HOUR_MS, MINUTE_MS, Calendar, Clock, Unit, Window, bounds, local_date, zone_of


def ms(text: str) -> int:
    """Epoch milliseconds of an ISO instant with its offset."""
    return int(datetime.fromisoformat(text).timestamp()) * 1000


@pytest.mark.parametrize(
    ("text", "unit", "length_ms", "name"),
    [
        pytest.param("hour", Unit.HOUR, 0, "hour", id="hour"),
        pytest.param("Month", Unit.MONTH, 0, "month", id="case"),
        pytest.param("rolling 30m", Unit.ROLLING, 30 * MINUTE_MS, "rolling-30m", id="30m"),
        pytest.param("rolling  24h", Unit.ROLLING, DAY_MS, "rolling-24h", id="24h"),
        pytest.param("rolling 1d", Unit.ROLLING, DAY_MS, "rolling-24h", id="one day is 24h"),
        pytest.param("rolling 168h", Unit.ROLLING, 7 * DAY_MS, "rolling-7d", id="7d"),
        pytest.param("rolling 90m", Unit.ROLLING, 90 * MINUTE_MS, "rolling-90m", id="90m"),
    ],
)
def test_words_become_windows(text: str, unit: Unit, length_ms: int, name: str) -> None:
    """A window's words give its kind, its length and its part of a budget's name."""
    found = Window.parse(text)
    assert (found.unit, found.length_ms, found.name) == (unit, length_ms, name)


@pytest.mark.parametrize(
    "text", ["", "fortnight", "rolling", "rolling 0h", "rolling 24", "rolling 367d", "24h", "rolling 1w"]
)
def test_other_words_are_refused(text: str) -> None:
    """What is not a window is refused with what was found."""
    with pytest.raises(ValueError, match=r"is not a window|is longer than"):
        Window.parse(text)


LOS_ANGELES = Calendar("America/Los_Angeles")
FISCAL = Calendar("UTC", week_starts=6, fiscal_month=2)


CALENDARS = {"utc": Calendar(), "la": LOS_ANGELES, "fiscal": FISCAL}

# unit, calendar | an instant in it | key | starts | ends
CASES = """
hour la        | 2026-11-22T14:30-08:00    | 2026-11-22T14   | 2026-11-22T14:00-08:00 | 2026-11-22T15:00-08:00
day la         | 2026-11-22T23:59-08:00    | 2026-11-22      | 2026-11-22T00:00-08:00 | 2026-11-23T00:00-08:00
day la         | 2026-11-01T12:00-08:00    | 2026-11-01      | 2026-11-01T00:00-07:00 | 2026-11-02T00:00-08:00
week utc       | 2026-11-22T12:00+00:00    | week 2026-11-16 | 2026-11-16T00:00+00:00 | 2026-11-23T00:00+00:00
week fiscal    | 2026-11-22T12:00+00:00    | week 2026-11-22 | 2026-11-22T00:00+00:00 | 2026-11-29T00:00+00:00
month la       | 2026-11-30T23:59:59-08:00 | 2026-11         | 2026-11-01T00:00-07:00 | 2026-12-01T00:00-08:00
month utc      | 2026-12-31T23:59:59+00:00 | 2026-12         | 2026-12-01T00:00+00:00 | 2027-01-01T00:00+00:00
month utc      | 2028-02-29T00:00+00:00    | 2028-02         | 2028-02-01T00:00+00:00 | 2028-03-01T00:00+00:00
quarter utc    | 2026-11-22T00:00+00:00    | quarter 2026-10 | 2026-10-01T00:00+00:00 | 2027-01-01T00:00+00:00
quarter fiscal | 2027-01-31T00:00+00:00    | quarter 2026-11 | 2026-11-01T00:00+00:00 | 2027-02-01T00:00+00:00
year fiscal    | 2027-01-31T00:00+00:00    | year 2026-02    | 2026-02-01T00:00+00:00 | 2027-02-01T00:00+00:00
year utc       | 2026-01-01T00:00+00:00    | year 2026-01    | 2026-01-01T00:00+00:00 | 2027-01-01T00:00+00:00
"""


@pytest.mark.parametrize("case", CASES.strip().splitlines(), ids=lambda case: " ".join(case.split("|")[0:3:2]))
def test_calendar_windows(case: str) -> None:
    """A calendar window starts and ends on the wall clock of its zone."""
    which, now, key, starts, ends = (part.strip() for part in case.split("|"))
    unit, calendar = which.split()
    found = bounds(Window.parse(unit), CALENDARS[calendar], ms(now))
    assert (found.key, found.starts_ms, found.ends_ms) == (key, ms(starts), ms(ends))


CHANGES = [
    pytest.param("America/Los_Angeles", "2026-03-08", 23, id="an hour is skipped"),
    pytest.param("America/Los_Angeles", "2026-11-01", 25, id="an hour is repeated"),
    pytest.param("Europe/Berlin", "2026-10-25", 25, id="Berlin"),
    pytest.param("Australia/Lord_Howe", "2026-04-05", 24.5, id="half an hour is repeated"),
    pytest.param("Australia/Lord_Howe", "2026-10-04", 23.5, id="half an hour is skipped"),
    pytest.param("America/Santiago", "2026-09-06", 23, id="midnight does not exist"),
    pytest.param("America/Havana", "2026-11-01", 25, id="midnight is repeated"),
    pytest.param("Asia/Kathmandu", "2026-11-22", 24, id="offset of 45 minutes"),
]


@pytest.mark.parametrize(("zone", "day", "hours"), CHANGES)
def test_every_minute_of_a_day_that_clocks_change(zone: str, day: str, hours: float) -> None:
    """Each minute is in exactly one hour and one day; windows touch; the wall never disagrees with the key."""
    calendar, there = Calendar(zone), ZoneInfo(zone)
    first = bounds(
        Window(Unit.DAY), calendar, int(datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=there).timestamp()) * 1000
    )
    assert first.ends_ms is not None
    assert first.ends_ms - first.starts_ms == hours * HOUR_MS
    end_of_last = first.starts_ms
    keys: list[str] = []
    for minute_ms in range(first.starts_ms, first.ends_ms, MINUTE_MS):
        wall = datetime.fromtimestamp(minute_ms / 1000, there)
        assert bounds(Window(Unit.DAY), calendar, minute_ms) == first
        assert wall.date().isoformat() == day
        found = bounds(Window(Unit.HOUR), calendar, minute_ms)
        assert found.ends_ms is not None
        assert found.starts_ms <= minute_ms < found.ends_ms
        assert found.key[:13] == f"{wall:%Y-%m-%dT%H}"
        if not keys or keys[-1] != found.key:
            assert found.starts_ms == end_of_last
            assert found.key not in keys
            keys.append(found.key)
        end_of_last = found.ends_ms
    assert end_of_last == first.ends_ms


def test_a_repeated_hour_is_two_windows() -> None:
    """The hour that the clock repeats has one window for each of its offsets."""
    before = bounds(Window(Unit.HOUR), LOS_ANGELES, ms("2026-11-01T01:30-07:00"))
    after = bounds(Window(Unit.HOUR), LOS_ANGELES, ms("2026-11-01T01:30-08:00"))
    assert (before.key, after.key) == ("2026-11-01T01-07:00", "2026-11-01T01-08:00")
    assert before.ends_ms == after.starts_ms


def test_rolling_and_life_never_reset() -> None:
    """A rolling window starts its length ago; a life starts with the epoch; neither resets."""
    rolling = bounds(Window.parse("rolling 24h"), LOS_ANGELES, 10 * DAY_MS)
    assert (rolling.key, rolling.starts_ms, rolling.ends_ms) == ("rolling", 9 * DAY_MS, None)
    life = bounds(None, LOS_ANGELES, 10 * DAY_MS)
    assert (life.key, life.starts_ms, life.ends_ms) == ("life", 0, None)


@given(
    st.sampled_from([unit for unit in Unit if unit is not Unit.ROLLING]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Africa/Casablanca", "Asia/Tehran"]),
    st.integers(min_value=ms("1990-01-01T00:00+00:00"), max_value=ms("2090-01-01T00:00+00:00")),
    st.integers(0, 6),
    st.integers(1, 12),
)
def test_windows_tile_time(unit: Unit, zone: str, now_ms: int, week_starts: int, fiscal_month: int) -> None:
    """The window of any instant holds it, and the next one starts where it ends with another key."""
    calendar = Calendar(zone, week_starts, fiscal_month)
    found = bounds(Window(unit), calendar, now_ms)
    assert found.ends_ms is not None
    assert found.starts_ms <= now_ms < found.ends_ms
    assert bounds(Window(unit), calendar, found.starts_ms) == found
    assert bounds(Window(unit), calendar, found.ends_ms - 1) == found
    after = bounds(Window(unit), calendar, found.ends_ms)
    assert after.starts_ms == found.ends_ms
    assert after.key != found.key


@given(st.lists(st.integers(0, 10 * DAY_MS), min_size=1, max_size=20))
def test_a_clock_remembers_nothing_wrong(moments: list[int]) -> None:
    """Remembered bounds are those that would be computed, forwards and backwards in time."""
    clock = Clock(Window(Unit.HOUR), LOS_ANGELES)
    assert [clock.at(moment) for moment in moments] == [
        bounds(Window(Unit.HOUR), LOS_ANGELES, moment) for moment in moments
    ]


def test_a_day_that_a_zone_left_out_has_no_length() -> None:
    """Samoa went from 29 to 31 December 2011: the windows on both sides touch."""
    calendar = Calendar("Pacific/Apia")
    last = bounds(Window(Unit.DAY), calendar, ms("2011-12-29T12:00-10:00"))
    first = bounds(Window(Unit.DAY), calendar, ms("2011-12-31T12:00+14:00"))
    assert (last.key, first.key) == ("2011-12-29", "2011-12-31")
    assert last.ends_ms == first.starts_ms


@pytest.mark.parametrize("name", ["Mars/Olympus", "America", "../etc/passwd", "", "/etc/localtime", "a\x00b"])
def test_a_wrong_zone_is_named(name: str) -> None:
    """A name that is no zone is a fault of the name."""
    with pytest.raises(ValueError, match="is not a time zone"):
        zone_of(name)


def test_a_system_without_zone_data_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no zones at all, that is the fault and tzdata the remedy; UTC works all the same."""

    def nothing(name: str) -> ZoneInfo:
        raise KeyError(name)

    zone_of.cache_clear()
    monkeypatch.setattr(window, "ZoneInfo", nothing)
    monkeypatch.setattr(window, "known_zones", tuple)
    try:
        with pytest.raises(ValueError, match="no time zone data; install the system's package tzdata"):
            zone_of("Europe/Berlin")
        assert zone_of("utc") is UTC
    finally:
        zone_of.cache_clear()


def test_until_is_a_date_on_the_spot() -> None:
    """The date is that of the zone, not of UTC."""
    assert local_date("Pacific/Auckland", ms("2026-11-22T20:00+00:00")).isoformat() == "2026-11-23"
    assert local_date("UTC", ms("2026-11-22T20:00+00:00")) + timedelta(days=1) == local_date(
        "UTC", ms("2026-11-23T20:00+00:00")
    )
