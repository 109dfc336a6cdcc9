"""Working hours: the days and the time of day in which spending is expected, and the stretches outside them.

A working time starts and ends at a wall clock's time of one day; where the clock skips that time, as long after midnight as
it would have been, and where it shows it twice, at the first (RFC 5545). What lies between two working times is one stretch:
a night, a weekend.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from spendgate.roster import Values
from spendgate.window import Bounds, local_date, zone_of

DAY_MINUTES: Final = 24 * 60
_LOOK_DAYS: Final = 8
"""Some day of a week is a working one, so the working times next to an instant are no further away."""


class WeekHours(Values):
    """`days` 0 is Monday; minutes are counted from midnight, `until_minute` at most 24 hours and after `from_minute`."""

    days: tuple[int, ...]
    from_minute: int
    until_minute: int


class OutsideClock:
    """The stretch outside working hours that holds an instant, in one zone; remembered until it ends."""

    __slots__ = ("_hours", "_last", "_zone")

    def __init__(self, hours: WeekHours, zone: str) -> None:
        self._hours, self._zone = hours, zone
        self._last: tuple[int, int, Bounds | None] = (0, 0, None)

    def at(self, now_ms: int) -> Bounds | None:
        """None within working hours. A stretch's key is where it starts, `2026-11-20T20:00`."""
        starts_ms, ends_ms, found = self._last
        if not starts_ms <= now_ms < ends_ms:
            starts_ms, ends_ms, found = self._last = self._around(now_ms)
        return found

    def _around(self, now_ms: int) -> tuple[int, int, Bounds | None]:
        """The working time or the stretch around an instant: start, end, and the stretch."""
        today = local_date(self._zone, now_ms)
        opened: list[int] = []
        closed: list[int] = []
        for offset in range(-_LOOK_DAYS, _LOOK_DAYS + 1):
            day = today + timedelta(days=offset)
            if day.weekday() in self._hours.days:
                opens, closes = (
                    self._instant(day, self._hours.from_minute),
                    self._instant(day, self._hours.until_minute),
                )
                if opens <= now_ms < closes:
                    return opens, closes, None
                opened.append(opens)
                closed.append(closes)
        starts_ms, ends_ms = max(at for at in closed if at <= now_ms), min(at for at in opened if at > now_ms)
        wall = datetime.fromtimestamp(starts_ms / 1000, UTC).astimezone(zone_of(self._zone))
        return starts_ms, ends_ms, Bounds(f"{wall:%Y-%m-%dT%H:%M}", starts_ms, ends_ms)

    def _instant(self, day: date, minute: int) -> int:
        day += timedelta(days=minute // DAY_MINUTES)
        wall = datetime.combine(day, time(minute % DAY_MINUTES // 60, minute % 60), zone_of(self._zone))
        return int(wall.timestamp()) * 1000
