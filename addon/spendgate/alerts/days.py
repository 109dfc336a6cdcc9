"""Whose days a rule goes by: those of `Policy.zones`, as a budget's are."""

from __future__ import annotations

from datetime import date
from typing import Final

from msgspec import Struct

from spendgate.policy import Policy
from spendgate.selector import Facts, Selector
from spendgate.window import Bounds, Unit, Window, bounds

_DAY: Final = Window(Unit.DAY)


class When(Struct):
    """A charge's day in one zone, the number of that day, and the zone."""

    day: Bounds
    ordinal: int
    zone: str


class Zones:
    """Whose days a rule goes by: see `Policy.zones`."""

    def __init__(self, policy: Policy, per: tuple[str, ...], match: Selector) -> None:
        self._by_team, fixed = policy.zones(per, match)
        self._zone = fixed or policy.timezone
        self._calendars = {zone: policy.calendar(zone) for zone in {self._zone, *self._by_team.values()}}
        self._last: dict[str, When] = {}

    def zone_of(self, facts: Facts) -> str:
        """The zone of a call's days."""
        team = facts.values.get("team") if self._by_team else None
        return self._by_team.get(team[0], self._zone) if team else self._zone

    def at(self, facts: Facts, at_ms: int) -> When:
        """The day of this call that holds the instant."""
        zone = self.zone_of(facts)
        last = self._last.get(zone)
        if last is not None and last.day.starts_ms <= at_ms < (last.day.ends_ms or 0):
            return last
        day = bounds(_DAY, self._calendars[zone], at_ms)
        found = self._last[zone] = When(day, date.fromisoformat(day.key).toordinal(), zone)
        return found
