"""What a zone's clocks show: the day that has begun, where it starts, hours that are skipped or shown twice. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def local(zone: tzinfo, at_ms: int) -> datetime:
    """What the clocks of a zone show."""
    return (_EPOCH + at_ms * _MS).astimezone(zone)


def epoch_ms(moment: datetime) -> int:
    """The instant of an aware time."""
    return (moment - _EPOCH) // _MS


def day_of(zone: tzinfo, now_ms: int) -> date:
    """The day that has begun: where a clock goes back over a midnight that it had passed (Newfoundland at 00:01), the new one."""
    today = local(zone, now_ms).date()
    tomorrow = today + timedelta(days=1)
    return tomorrow if now_ms >= day_starts(zone, tomorrow) else today


def day_starts(zone: tzinfo, day: date) -> int:
    """The first instant of a local date, also where the clock skips or repeats midnight."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    starts = epoch_ms(midnight)
    if local(zone, starts).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return starts
    # Midnight does not exist that day: the day starts where the clock jumped.
    return jump(zone, epoch_ms(midnight.replace(fold=1)), starts)


def skipped(wall: datetime) -> bool:
    """Whether the clocks of its zone never show this time: they are set forward over it."""
    return wall.astimezone(UTC).astimezone(wall.tzinfo).replace(tzinfo=None) != wall.replace(tzinfo=None)


def repeats(wall: datetime) -> bool:
    """Whether the clock shows this twice: its earlier reading then has the greater offset. (In a gap it has the smaller.)"""
    first, second = wall.replace(fold=0).utcoffset(), wall.replace(fold=1).utcoffset()
    return first is not None and second is not None and first > second


def jump(zone: tzinfo, low_ms: int, high_ms: int) -> int:
    """The first instant in (low, high] whose UTC offset is that of `high`."""
    after = local(zone, high_ms).utcoffset()
    while high_ms - low_ms > 1:
        middle = (low_ms + high_ms) // 2
        if local(zone, middle).utcoffset() == after:
            high_ms = middle
        else:
            low_ms = middle
    return high_ms
