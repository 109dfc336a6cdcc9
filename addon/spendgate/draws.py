"""Draws: a budget compiled for the hot path. Which allowances a call draws on, and the scope of each at one instant.

A scope of a calendar window is the same until the window ends, so it is made once for each value and kept; only rolling
windows are made anew. The memory is bounded and holds nothing that a second computation would not give.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from msgspec.structs import replace

from spendgate.adaptive import MINUTES, Mean, MeanOf
from spendgate.allowances import EACH_COUNTS, asked_for, values_of
from spendgate.exceptions import Extra
from spendgate.flow import Limits
from spendgate.selector import Facts, Selector
from spendgate.standing import Hold, Scope
from spendgate.tallies import counted_in, counting, tally_name
from spendgate.window import DAY_MS, LIFE, MINUTE_MS, Bounds, Calendar, Clock, Unit, Window, days_before

_SCOPES_KEPT_MAX = 4096
_MEANS_KEPT_MAX = 64
_WORDS_LENGTH = 16
_A_DAY = Window(Unit.DAY)

Timing = tuple[Clock, str, Clock]
"""The clock of the budget's windows in one calendar, its words there, and the clock of that calendar's days."""


@dataclass(slots=True)
class Draw:
    """One budget, ready to be compared with calls. Fields as in `budget.Budget`."""

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
    mean: Mean | None = None
    extras: tuple[Extra, ...] = ()
    """Its exceptions, in file order."""
    by_list: bool = False
    by_bill: bool = False
    _timing: Timing = field(init=False)
    _team_timings: dict[str, Timing] = field(init=False)
    rate: Limits | None = None
    """Of a rate."""
    _rolling_ms: int | None = field(init=False)
    _kept: dict[tuple[str, int, bool], Scope] = field(init=False, default_factory=dict)
    _means: dict[tuple[str, str], MeanOf] = field(init=False, default_factory=dict)
    _concerned: dict[tuple[object, ...], tuple[Extra, ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        rolls = self.window is not None and self.window.unit is Unit.ROLLING
        self._rolling_ms = self.window.length_ms if self.window is not None and rolls else None
        self._timing = self._timed(self.calendar)
        # Only calendar windows have a calendar to differ in.
        calendars = {} if self._timeless else self.team_calendars
        self._team_timings = {team: self._timed(calendar) for team, calendar in calendars.items()}

    @property
    def moves(self) -> bool:
        """Whether its limit may be another one from call to call, as `Scope.moves`."""
        return self.mean is not None or bool(self.extras)

    @property
    def _timeless(self) -> bool:
        """Whether no calendar has a say: a mean has days, also where the window slides."""
        return self.window is None or (self._rolling_ms is not None and self.mean is None)

    def _timed(self, calendar: Calendar) -> Timing:
        cut_by = b"" if self._timeless else repr(calendar).encode()
        return Clock(self.window, calendar), _fingerprint(self.counted + cut_by), Clock(_A_DAY, calendar)

    def counted_since(self, now_ms: int) -> tuple[tuple[str, str, int], ...]:
        """Name and words of each balance that it keeps in each of its calendars, and from when on that counts: where the window
        that runs at `now_ms` starts (0 for a life), for a mean the days before."""
        found: list[tuple[str, str, int]] = []
        for clock, words, day in (self._timing, *self._team_timings.values()):
            starts_ms = self._starts_ms(clock, now_ms)
            found += [
                (
                    tally_name(self.name, each),
                    _fingerprint(words.encode() + each.counted),
                    max(starts_ms, each.spec.from_ms),
                )
                for each in self.extras
            ]
            days_ms = day.at(now_ms).starts_ms - self._kept_ms
            if self.mean is not None and self.window != _A_DAY:
                found.append((self._daily, words, days_ms))
            elif self.mean is not None:
                starts_ms = days_ms
            found.append((self.name, words, starts_ms))
        return tuple(found)

    def tallies_of(self, extra: Extra) -> tuple[tuple[str, str], ...]:
        """Name and words of the balances that count what was spent under one of its exceptions."""
        timings = (self._timing, *self._team_timings.values())
        return tuple(
            (tally_name(self.name, extra), _fingerprint(words.encode() + extra.counted)) for _, words, _ in timings
        )

    def _starts_ms(self, clock: Clock, now_ms: int) -> int:
        if self._rolling_ms is not None:
            return now_ms - self._rolling_ms
        return 0 if self.window is None else clock.at(now_ms).starts_ms

    @property
    def _kept_ms(self) -> int:
        """For how long a mean looks back at a day; one day more than it has, since days of 25 hours add up."""
        return (self.mean.days + 1) * DAY_MS if self.mean is not None else 0

    @property
    def _daily(self) -> str:
        return f"{self.name}: by day"

    def fits(self, facts: Facts) -> bool:
        """Whether the budget is about this call; an alias that may become a model of it counts."""
        # Most budgets have neither; an empty selector is not even asked.
        if self.match.clauses and not self.match.may_fit(facts):
            return False
        return not (self.excepted.clauses and self.excepted.lets_off(facts))

    def lacks(self, facts: Facts) -> str | None:
        """The attribute of `per` that a fitting call has no value for; None where the budget does not fit or all are there."""
        return next(iter(self.lacking(facts)), None)

    def lacking(self, facts: Facts) -> tuple[str, ...]:
        """All such attributes."""
        if not self.fits(facts):
            return ()
        return tuple([attribute for attribute in self.per if not facts.values.get(attribute)])

    def held_as(self, asked: tuple[Facts, ...], answered: Facts) -> Facts:
        """The facts by whose allowance a charge counts that fits: where it was held, so that none is charged what it never
        held. `asked` as each model that the request names; of these it is the one that answered, else the first that fits.
        """
        if "model" not in self.per:
            return answered
        fitting = [each for each in asked if self.fits(each)]
        same = [each for each in fitting if each.names[-1:] == answered.names[-1:]]
        return next(iter((*same, *fitting)), answered)

    def add_scopes(self, found: list[Scope], facts: Facts, now_ms: int, enforced: bool) -> None:
        """Append a scope for each allowance that a call which fits draws on."""
        timing = self._timing
        if self._team_timings and (team := facts.values.get("team")):
            timing = self._team_timings.get(team[0], timing)
        if self.moves:
            self._add_moving(found, facts, now_ms, enforced, timing)
            return
        clock, words, _ = timing
        if self._rolling_ms is not None:
            rolling = Bounds("rolling", now_ms - self._rolling_ms, None)
            found.extend([self._scope(value, rolling, enforced, words) for value in self._values(facts)])
            return
        bounds = LIFE if self.window is None else clock.at(now_ms)
        for value in self._values(facts):
            key = (value, bounds.starts_ms, enforced)
            found.append(self._kept.get(key) or self._keep(key, self._scope(value, bounds, enforced, words)))

    def _add_moving(self, found: list[Scope], facts: Facts, now_ms: int, enforced: bool, timing: Timing) -> None:
        """As `add_scopes`, for a budget whose limit moves: each scope is followed by the tallies that this call counts in."""
        clock, words, days = timing
        bounds = clock.at(now_ms)
        for value, own in self._owned(facts):
            mattering = [each for each in self._concerning(value, own) if each.matters(bounds.starts_ms, now_ms)]
            lifted = tuple([
                each.credit(self._tally(each, value, bounds, words), each.usable(own, now_ms)) for each in mattering
            ])  # fmt: skip
            mean = self._mean_of(self.mean, days.at(now_ms), words) if self.mean is not None else None
            kept_ms = self._kept_ms if self.window == _A_DAY else 0
            own_scope = self._scope(value, bounds, enforced, words)
            found.append(replace(own_scope, mean=mean, credits=lifted, kept_ms=kept_ms))
            if self.mean is not None and self.window != _A_DAY:
                found.append(self._day(value, days.at(now_ms), words))
            found.extend(counted_in(lifted))

    def _owned(self, facts: Facts) -> Iterator[tuple[str, Facts]]:
        """Each allowance with the call's facts as far as they are its own: of the call's groups the one that it is kept for."""
        several = [attribute for attribute in EACH_COUNTS if attribute in self.per and facts.values.get(attribute)]
        for values in product(*[facts.values[attribute] for attribute in several]):
            chosen = {attribute: (value,) for attribute, value in zip(several, values, strict=True)}
            own = Facts({**facts.values, **chosen}, facts.names, facts.stem) if chosen else facts
            for value in self._values(own):
                yield value, own

    def _values(self, facts: Facts) -> tuple[str, ...]:
        """The allowances that these facts draw on."""
        unresolved = facts.stem is not None and "model" in self.per
        if unresolved and not (self.shared_missing and "model" not in facts.values):
            facts = asked_for(facts)
        return values_of(self.per, facts, self.shared_missing)

    def _concerning(self, value: str, own: Facts) -> tuple[Extra, ...]:
        """The exceptions that this allowance can have. A call of the past may have another team than its person has now."""
        if not self.extras:
            return ()
        key = (value, own.values.get("team"), own.values.get("group"))
        known = self._concerned.get(key)
        if known is None:
            if len(self._concerned) >= _SCOPES_KEPT_MAX:
                self._concerned.clear()
            known = self._concerned[key] = tuple(each for each in self.extras if each.concerns(own))
        return known

    def _mean_of(self, mean: Mean, today: Bounds, words: str) -> MeanOf:
        known = self._means.get((today.key, words))
        if known is None:
            if len(self._means) >= _MEANS_KEPT_MAX:
                self._means.clear()
            name = self.name if self.window == _A_DAY else self._daily
            keys = days_before(today.key, mean.days)
            known = MeanOf(mean, self._minutes, name, words, today.key, keys)
            self._means[today.key, words] = known
        return known

    @property
    def _minutes(self) -> int:
        """How long the window counts for a mean."""
        if self._rolling_ms is not None:
            return self._rolling_ms // MINUTE_MS
        return MINUTES[self.window.unit.value] if self.window is not None else 0

    def _scope(self, value: str, bounds: Bounds, enforced: bool, words: str) -> Scope:
        return Scope(
            self.name, value, bounds.key, bounds.starts_ms, bounds.ends_ms, self._rolling_ms,
            self.limit_nanos, self.hold, self.wait_ms, enforced, self.cut, self.order, words, self.rate, False, self.by_list,
            by_bill=self.by_bill,
        )  # fmt: skip

    def _tally(self, extra: Extra, value: str, bounds: Bounds, words: str) -> Scope:
        """What was spent in this window under an exception."""
        counted = _fingerprint(words.encode() + extra.counted)
        return counting(self._scope(value, bounds, False, counted), tally_name(self.name, extra))

    def _day(self, value: str, today: Bounds, words: str) -> Scope:
        """What a day has settled, where the budget's own windows do not say."""
        day = counting(self._scope(value, today, False, words), self._daily)
        return replace(day, rolling_ms=None, kept_ms=self._kept_ms)

    def _keep(self, key: tuple[str, int, bool], scope: Scope) -> Scope:
        if len(self._kept) >= _SCOPES_KEPT_MAX:
            self._kept.clear()
        self._kept[key] = scope
        return scope


def _fingerprint(counted: bytes) -> str:
    return hashlib.sha256(counted).hexdigest()[:_WORDS_LENGTH]
