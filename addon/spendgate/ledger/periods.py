"""Calendar periods for reports: the hour, day, week or month of an instant, as text, in a zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

PERIODS: Final = ("hour", "day", "week", "month")


def period_of(word: str, ms: int, zone: tzinfo, week_starts: int) -> str:
    """`2026-11-22T02-08:00` (its offset tells the two hours of an autumn night apart), `2026-11-22`, a first day, `2026-11`."""
    moment = datetime.fromtimestamp(ms // 1000, UTC).astimezone(zone)
    if word == "hour":
        return moment.strftime("%Y-%m-%dT%H") + moment.strftime("%:z")
    if word == "week":
        return (moment - timedelta(days=(moment.weekday() - week_starts) % 7)).strftime("%Y-%m-%d")
    return moment.strftime("%Y-%m-%d" if word == "day" else "%Y-%m")
