"""Draws: a budget compiled for the hot path. Which allowances a call draws on, and the scope of each at one instant.

A scope of a calendar window is the same until the window ends, so it is made once for each value and kept; only rolling
windows are made anew. The memory is bounded and holds nothing that a second computation would not give.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

from spendgate.selector import Facts, Selector
from spendgate.standing import Hold, Scope
from spendgate.window import LIFE, Bounds, Calendar, Clock, Unit, Window

_SCOPES_KEPT_MAX = 4096
_WORDS_LENGTH = 16


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
    counted: bytes
    """What the budget counts, in canonical words; with the calendar it makes `Scope.words`."""
    _timing: tuple[Clock, str] = field(init=False)
    _team_timings: dict[str, tuple[Clock, str]] = field(init=False)
    _rolling_ms: int | None = field(init=False)
    _kept: dict[tuple[str, int, bool], Scope] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        rolls = self.window is not None and self.window.unit is Unit.ROLLING
        self._rolling_ms = self.window.length_ms if self.window is not None and rolls else None
        self._timing = self._timed(self.calendar)
        # Only calendar windows have a calendar to differ in.
        calendars = {} if self.window is None or rolls else self.team_calendars
        self._team_timings = {team: self._timed(calendar) for team, calendar in calendars.items()}

    def _timed(self, calendar: Calendar) -> tuple[Clock, str]:
        cut_by = b"" if self.window is None or self._rolling_ms else repr(calendar).encode()
        return Clock(self.window, calendar), hashlib.sha256(self.counted + cut_by).hexdigest()[:_WORDS_LENGTH]

    def counted_since(self, now_ms: int) -> tuple[tuple[str, int], ...]:
        """The words of each of its calendars, and where the window that runs at `now_ms` starts (0 for a life)."""
        timings = (self._timing, *self._team_timings.values())
        if self._rolling_ms is not None:
            return tuple((words, now_ms - self._rolling_ms) for _, words in timings)
        return tuple((words, 0 if self.window is None else clock.at(now_ms).starts_ms) for clock, words in timings)

    def fits(self, facts: Facts) -> bool:
        """Whether the budget is about this call; an alias that may become a model of it counts."""
        # Most budgets have neither; an empty selector is not even asked.
        if self.match.clauses and not self.match.may_fit(facts):
            return False
        return not (self.excepted.clauses and self.excepted.fits(facts))

    def lacks(self, facts: Facts) -> str | None:
        """The attribute of `per` that a fitting call has no value for; None where the budget does not fit or all are there."""
        if not self.fits(facts):
            return None
        return next((attribute for attribute in self.per if not facts.values.get(attribute)), None)

    def add_scopes(self, found: list[Scope], facts: Facts, now_ms: int, enforced: bool) -> None:
        """Append a scope for each allowance that a call which fits draws on."""
        clock, words = self._timing
        if self._team_timings and (team := facts.values.get("team")):
            clock, words = self._team_timings.get(team[0], self._timing)
        if self._rolling_ms is not None:
            rolling = Bounds("rolling", now_ms - self._rolling_ms, None)
            found.extend([self._scope(value, rolling, enforced, words) for value in self._values(facts)])
            return
        bounds = LIFE if self.window is None else clock.at(now_ms)
        for value in self._values(facts):
            scope = self._kept.get((value, bounds.starts_ms, enforced))
            found.append(scope or self._keep(self._scope(value, bounds, enforced, words)))

    def _scope(self, value: str, bounds: Bounds, enforced: bool, words: str) -> Scope:
        return Scope(
            self.name, value, bounds.key, bounds.starts_ms, bounds.ends_ms, self._rolling_ms,
            self.limit_nanos, self.hold, self.wait_ms, enforced, self.cut, self.order, words,
        )  # fmt: skip

    def _keep(self, scope: Scope) -> Scope:
        if len(self._kept) >= _SCOPES_KEPT_MAX:
            self._kept.clear()
        self._kept[scope.value, scope.starts_ms, scope.enforced] = scope
        return scope

    def _values(self, facts: Facts) -> tuple[str, ...]:
        """The values of `per` that the call has: one allowance each. A call of several groups draws on each group's."""
        if not self.per:
            return ("",)
        if len(self.per) == 1:
            return self._parts(self.per[0], facts)
        parts = [self._parts(attribute, facts) for attribute in self.per]
        return tuple("|".join([_escaped(value) for value in values]) for values in product(*parts))

    def _parts(self, attribute: str, facts: Facts) -> tuple[str, ...]:
        values = facts.values.get(attribute, ())
        if not values:
            return (f"(no {attribute})",) if self.shared_missing else ()
        if len(values) == 1 or attribute == "group":
            return values
        # A team's own name comes before its ancestors', a model's family after the name asked for.
        return values[-1:] if attribute == "model" else values[:1]


def _escaped(value: str) -> str:
    """A client chooses its session id: one with a `|` in it must not pass for a combination of two values."""
    return value.replace("%", "%25").replace("|", "%7C") if "|" in value or "%" in value else value
