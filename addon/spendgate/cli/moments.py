"""Times that a person types, read in the policy's zone: `today`, `yesterday`, `7d`, `90m`, `2026-11-22`, an ISO instant."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

from spendgate.errors import UsageError
from spendgate.wall_clock import skipped

_AGO = re.compile(r"(?P<count>\d{1,6})(?P<unit>[mhdw])", re.ASCII)
_ALLOWED = "write today, yesterday, 7d, 90m, 2026-11-22 or an ISO instant"
_YEARS = range(1971, 3000)
"""Far enough from the ends of the calendar for every window around."""
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, zone: tzinfo, now: datetime) -> int:
    """Epoch milliseconds. A date is its first instant in `zone`; a time without an offset is a time there.

    Raises UsageError that shows what can be written.
    """
    here = now.astimezone(zone)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": here, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    if text in named:
        return _ms(named[text])
    ago = _AGO.fullmatch(text)
    if ago:
        try:
            return _ms(now - timedelta(**{_UNITS[ago["unit"]]: int(ago["count"])}))
        except OverflowError:
            raise UsageError(f"{text!r} is before the first year of the calendar; {_ALLOWED}") from None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a time; {_ALLOWED}") from None
    if read.year not in _YEARS:
        raise UsageError(f"{text!r} is too far away, allowed are {_YEARS.start} to {_YEARS.stop - 1}; {_ALLOWED}")
    return _ms(read if read.tzinfo else _there(read, text, zone))


def _there(read: datetime, text: str, zone: tzinfo) -> datetime:
    """A time on the clocks of `zone`. Raises UsageError where they skip it."""
    at = read.replace(tzinfo=zone)
    if skipped(at):
        raise UsageError(f"{text!r} is a time that the clocks of {zone} skip on that day; {_ALLOWED}")
    return at


def shown(ms: int | None, zone: tzinfo) -> str:
    """An instant for a table: `2026-11-22 14:05 PST`; empty where there is none."""
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")


def to_the_second(instant: str, zone: tzinfo, today: date | None = None) -> str:
    """An instant of the view `calls` for a table, without its year: `11-22 14:05:09 PST`; of `today`, `14:05:09`."""
    here = datetime.fromisoformat(instant).astimezone(zone)
    return here.strftime("%H:%M:%S" if here.date() == today else "%m-%d %H:%M:%S %Z")


def iso(ms: int) -> str:
    """An instant for programs: `2026-11-22T14:05:09.042Z`."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)
