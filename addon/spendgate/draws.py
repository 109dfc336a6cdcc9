"""Draws: a budget compiled for the hot path. Which allowances a call draws on, and the scope of each at one instant.

A scope of a calendar window is the same until the window ends, so it is made once for each value and kept; only rolling
windows are made anew. The memory is bounded and holds nothing that a second computation would not give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

from spendgate.admission import Hold, Scope
from spendgate.selector import Facts, Selector
from spendgate.window import Bounds, Calendar, Clock, Unit, Window

_SCOPES_KEPT_MAX = 4096


@dataclass(slots=True)
class Draw:
    """One budget, ready to be compared with calls. Fields as in `policy.Budget`."""

    name: str
    per: tuple[str, ...]
    match: Selector
    excepted: Selector
    window: Window | None
    calendar: Calendar
    team_calendars: Mapping[str, Calendar]
    """By the call's own team, where the allowance belongs to one person or team."""
    limit_nanos: int
    hold: Hold
    wait_ms: int
    cut: bool
    order: int
    shared_missing: bool
    _clock: Clock = field(init=False)
    _team_clocks: dict[str, Clock] = field(init=False)
    _kept: dict[tuple[str, str, int, bool], Scope] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._clock = Clock(self.window, self.calendar)
        shared: dict[Calendar, Clock] = {}
        self._team_clocks = {
            team: shared.setdefault(calendar, Clock(self.window, calendar))
            for team, calendar in self.team_calendars.items()
        }

    def fits(self, facts: Facts) -> bool:
        """Whether the budget is about this call; an alias that may become a model of it counts."""
        return self.match.may_fit(facts) and not self.excepted.fits(facts)

    def lacks(self, facts: Facts) -> str | None:
        """The attribute of `per` that a fitting call has no value for; None where the budget does not fit or all are there."""
        if not self.fits(facts):
            return None
        return next((attribute for attribute in self.per if not facts.values.get(attribute)), None)

    def add_scopes(self, found: list[Scope], facts: Facts, now_ms: int, enforced: bool) -> None:
        """Append a scope for each allowance that the call draws on."""
        if not self.fits(facts):
            return
        team = facts.values.get("team") if self._team_clocks else None
        clock = self._team_clocks.get(team[0], self._clock) if team else self._clock
        bounds = clock.at(now_ms)
        for value in self._values(facts):
            key = (value, bounds.key, bounds.starts_ms, enforced)
            scope = self._kept.get(key)
            found.append(scope if scope is not None else self._make(key, bounds, enforced))

    def _make(self, key: tuple[str, str, int, bool], bounds: Bounds, enforced: bool) -> Scope:
        rolling = self.window.length_ms if self.window is not None and self.window.unit is Unit.ROLLING else None
        scope = Scope(
            self.name, key[0], bounds.key, bounds.starts_ms, bounds.ends_ms, rolling,
            self.limit_nanos, self.hold, self.wait_ms, enforced, self.cut, self.order,
        )  # fmt: skip
        if rolling is None:
            if len(self._kept) >= _SCOPES_KEPT_MAX:
                self._kept.clear()
            self._kept[key] = scope
        return scope

    def _values(self, facts: Facts) -> tuple[str, ...]:
        """The values of `per` that the call has: one allowance each. A call of several groups draws on each group's."""
        if not self.per:
            return ("",)
        parts = [self._parts(attribute, facts) for attribute in self.per]
        if len(parts) == 1:
            return parts[0]
        return tuple("|".join(map(_escaped, values)) for values in product(*parts))

    def _parts(self, attribute: str, facts: Facts) -> tuple[str, ...]:
        values = facts.values.get(attribute, ())
        if not values:
            return (f"(no {attribute})",) if self.shared_missing else ()
        if attribute == "group":
            return values
        # A team's own name comes before its ancestors', a model's family after the name asked for.
        return values[-1:] if attribute == "model" else values[:1]


def _escaped(value: str) -> str:
    """A client chooses its session id: one with a `|` in it must not pass for a combination of two values."""
    return value.replace("%", "%25").replace("|", "%7C") if "|" in value or "%" in value else value
