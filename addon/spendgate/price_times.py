"""When prices of the list change: between two such instants, no price of it does."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import ModelInfo, TimeOfDateConstraint


class PriceTimes:
    """The instants of one snapshot; what was found for the instant last asked for is kept."""

    def __init__(self, snapshot: DataSnapshot) -> None:
        self._hours = _hours(snapshot)
        self._stretch = (datetime.max.replace(tzinfo=UTC),) * 2
        """The time since which, and until which, prices held at the instant last asked for."""

    def since(self, at: datetime) -> datetime:
        """When the prices of the instant `at` began to hold: between two such instants no price of the list changes.

        genai-prices changes prices at UTC midnights (`StartDateConstraint`) and at hours of the day (`TimeOfDateConstraint`).
        """
        since, until = self._stretch
        if not since <= at < until:
            self._stretch = since, until = self._stretch_of(at.astimezone(UTC))
        return since

    def _stretch_of(self, at: datetime) -> tuple[datetime, datetime]:
        """The last and the next instant at which some price may change, seen from `at` in UTC."""
        place, midnight = bisect_right(self._hours, at.time()), datetime.combine(at, time.min, UTC)
        last = place == len(self._hours)
        until = midnight + timedelta(days=1) if last else datetime.combine(at, self._hours[place], UTC)
        return datetime.combine(at, self._hours[place - 1], UTC), until


def _hours(snapshot: DataSnapshot) -> tuple[time, ...]:
    """The times of day (UTC) at which some price of the list may change, ascending, midnight first."""
    models = [model for provider in snapshot.providers for model in provider.models]
    return tuple(sorted({time.min, *[hour for model in models for hour in _hours_of(model)]}))


def _hours_of(model: ModelInfo) -> Iterator[time]:
    dated = model.prices if isinstance(model.prices, list) else []
    for constraint in [each.constraint for each in (*dated, *(model.price_variants or ()))]:
        if isinstance(constraint, TimeOfDateConstraint):
            yield from (_in_utc(constraint.start_time), _in_utc(constraint.end_time))


def _in_utc(hour: time) -> time:
    """A time of day in UTC, as genai-prices reads it: one without a zone is UTC."""
    return hour if hour.tzinfo is None else datetime.combine(date(1970, 1, 1), hour).astimezone(UTC).time()
