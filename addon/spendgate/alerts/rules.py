"""Alert rules evaluated: charges and refusals go in, in the order in which they happen; alerts come out, each once in its window.

Pure: no clock, no ledger. The same events give the same alerts; what is remembered between them is bounded, and can be taken
out and put back (`dump`, `load`), so that a restart neither loses nor repeats one.

A day, a window and an hour of work are those of `Policy.zones`, as a budget's are. A call belongs to them by the instant at
which its hold was granted; a burn goes by the instants at which money was charged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Final

import msgspec
from msgspec import Struct

from spendgate.alert_rules import HUNDRED, AlertRule, Pace, Severity, Share
from spendgate.alerts import wording
from spendgate.alerts.days import Zones
from spendgate.alerts.interface import Alert, Charged, Figures, Reached, Refused
from spendgate.alerts.measured import measured
from spendgate.alerts.measures import KEEP_TOLD_MS
from spendgate.alerts.told import Key, Told
from spendgate.budget import Budget
from spendgate.policy import Policy
from spendgate.selector import EVERY, Facts, Selector
from spendgate.standing import Scope
from spendgate.window import DAY_MS, day_starts_ms, local_date

_ABOUT_MANY: Final = frozenset({"team", "group", "machine_group"})
"""A rule per one of these is about several people, as one without `per` is."""


class State(Struct):
    """All that is remembered, as JSON: each measure's sums by the fingerprint of its rule, and what was told."""

    sums: dict[str, msgspec.Raw] = {}
    told: list[tuple[Key, int | None]] = []


class Alerts:
    """One policy's alerts."""

    def __init__(self, policy: Policy) -> None:
        self._measured = measured(policy)
        self._paces = [(rule, rule.form) for rule in policy.alerts if isinstance(rule.form, Pace)]
        self._budgets = {budget.name: budget for budget in policy.budgets}
        self._zones = {name: Zones(policy, each.per, each.match) for name, each in self._budgets.items()}
        self._policy = policy
        self._told = Told()
        self.watched = frozenset(
            [budget.name for budget in policy.budgets if budget.alerts] + [form.budget for _, form in self._paces]
        )
        """The budgets whose balances must be told with a charge."""

    @property
    def silent(self) -> bool:
        """Whether no event can make an alert: the policy has no rule and no threshold."""
        return not (self._measured or self.watched)

    def saw(self, event: Charged | Refused) -> tuple[Alert, ...]:
        """The alerts that this event makes, in the file's order: thresholds, then the rules."""
        if isinstance(event, Refused):
            return tuple(self._before_refusal(event))
        found: list[Alert] = []
        for scope, settled in event.balances:
            found += self._thresholds(event, scope, settled)
        for each in self._measured:
            for value, reached in each.saw(event):
                found += self._tell(each.rule, value, reached, event)
        for rule, form in self._paces:
            for scope, settled in event.balances:
                if scope.budget == form.budget and self._on_pace(form, event, scope, settled):
                    window = Reached(scope.window, scope.starts_ms, _again(scope, event.at_ms), _spent(scope, settled))
                    found += self._tell(rule, scope.value, window, event, scope)
        return tuple(found)

    # -- budgets ------------------------------------------------------------------------------------------------

    def _thresholds(self, event: Charged, scope: Scope, settled: int) -> Iterator[Alert]:
        budget = self._budgets.get(scope.budget)
        if budget is None or not event.charge_nanos:
            return
        for percent in budget.alerts:
            if settled * HUNDRED >= percent * scope.limit_nanos and self._first(budget, scope, percent, event.at_ms):
                yield self._threshold(budget, scope, percent, settled, event)

    def _before_refusal(self, event: Refused) -> Iterator[Alert]:
        """The first threshold is told before anybody is refused, also where one large call would not fit."""
        budget = self._budgets.get(event.scope.budget)
        if budget is not None and budget.alerts and self._first(budget, event.scope, budget.alerts[0], event.at_ms):
            yield self._threshold(budget, event.scope, budget.alerts[0], event.settled_nanos, event)

    def _first(self, budget: Budget, scope: Scope, percent: int, now_ms: int) -> bool:
        key = (f"{budget.name} {percent}%", scope.value, scope.window)
        return self._told.first(key, now_ms, _again(scope, now_ms))

    def _threshold(self, budget: Budget, scope: Scope, percent: int, settled: int, event: Charged | Refused) -> Alert:
        figures = Figures(spent_nanos=settled, mark_nanos=percent * scope.limit_nanos // HUNDRED)
        person, team = self._about(budget.per, budget.match, event.facts)
        return Alert(
            rule=f"{budget.name} {percent}%",
            form="threshold",
            value=scope.value,
            severity=Severity.ALERT,
            at_ms=event.at_ms,
            window=scope.window,
            person=person,
            team=team,
            figures=figures,
            text=wording.threshold_text(
                budget.name,
                scope.value,
                percent,
                figures,
                scope.limit_nanos,
                gone_on=self._gone_on(scope, settled, event),
            ),
            command=wording.command(event.facts, budget.per, budget.match, _starts(scope, event.at_ms)),
            again_ms=_again(scope, event.at_ms),
        )

    def _gone_on(self, scope: Scope, settled: int, event: Charged | Refused) -> date | None:
        """The day on which the limit is reached if the rest of the window costs what its first part did.

        None: not before it ends, or it is of a day or less, or slides, or lasts for a life.
        """
        if scope.ends_ms is None or scope.ends_ms - scope.starts_ms < 2 * DAY_MS or not 0 < settled < scope.limit_nanos:
            return None
        gone_ms = scope.starts_ms + max(0, event.at_ms - scope.starts_ms) * scope.limit_nanos // settled
        if gone_ms >= scope.ends_ms:
            return None
        return local_date(self._zones[scope.budget].zone_of(event.facts), gone_ms)

    def _on_pace(self, form: Pace, event: Charged, scope: Scope, settled: int) -> bool:
        """Whether the share is reached before the window's first days are over."""
        if not event.charge_nanos or settled * HUNDRED < form.percent * scope.limit_nanos:
            return False
        zone = self._zones[scope.budget].zone_of(event.facts)
        return event.booked_ms < day_starts_ms(zone, local_date(zone, scope.starts_ms) + timedelta(days=form.days))

    # -- rules --------------------------------------------------------------------------------------------------

    def _tell(
        self, rule: AlertRule, value: str, reached: Reached, event: Charged, scope: Scope | None = None
    ) -> Iterator[Alert]:
        if not self._told.first((rule.name, value, reached.window), event.at_ms, reached.again_ms):
            return
        per, match = rule.per, rule.match
        if isinstance(rule.form, Pace):
            budget = self._budgets[rule.form.budget]
            per, match = budget.per, budget.match
        person, team = self._about(per, match, event.facts)
        # What a share counts are all calls, those beside its match too.
        shown = EVERY if isinstance(rule.form, Share) else match
        yield Alert(
            rule=rule.name,
            form=rule.form.form,
            value=value,
            severity=rule.severity,
            at_ms=event.at_ms,
            window=reached.window,
            person=person,
            team=team,
            figures=reached.figures,
            text=wording.text(rule, value, reached.figures, scope.limit_nanos if scope else None),
            command=wording.command(event.facts, per, shown, reached.since_ms),
            again_ms=reached.again_ms,
        )

    def _about(self, per: tuple[str, ...], match: Selector, facts: Facts) -> tuple[str | None, tuple[str, ...]]:
        """The one person a rule is about, and the team: that of the person, or of the rule."""
        people = match.texts("person")
        if (per and not set(per) <= _ABOUT_MANY) or (len(people) == 1 and match.fits(facts)):
            return next(iter(facts.values.get("person", ())), None), facts.values.get("team", ())
        if "team" in per:
            return None, facts.values.get("team", ())
        teams = match.texts("team")
        team = self._policy.roster.team_by_name.get(teams[0]) if len(teams) == 1 else None
        return None, team.lineage if team is not None else ()

    # -- between runs -------------------------------------------------------------------------------------------

    def dump(self) -> bytes:
        """All that is remembered, as JSON for `load`."""
        sums = {each.words: msgspec.Raw(each.measure.dump()) for each in self._measured}
        return msgspec.json.encode(State(sums, self._told.dump()))

    def load(self, data: bytes) -> None:
        """Put back what `dump` gave, of another policy too: a rule that reads otherwise begins anew, what was told stays told.

        Raises msgspec.DecodeError for anything else.
        """
        state = msgspec.json.decode(data, type=State)
        for each in self._measured:
            if each.words in state.sums:
                each.measure.load(bytes(state.sums[each.words]))
        self._told.load(state.told)

    def knows(self, data: bytes) -> bool:
        """Whether `load` would put back a sum for every rule that has one: else the past must be shown again.

        Raises msgspec.DecodeError for anything that `dump` did not give.
        """
        state = msgspec.json.decode(data, type=State)
        return all(each.words in state.sums for each in self._measured)

    def told_already(self, told: Iterable[tuple[Key, int | None]]) -> None:
        """These were told, and nothing else was: what the outbox has is what counts."""
        self._told.load(told)

    def told_too(self, key: Key, again_ms: int | None) -> None:
        """This was told by somebody else."""
        self._told.take(key, again_ms)


def _spent(scope: Scope, settled: int) -> Figures:
    return Figures(spent_nanos=settled, mark_nanos=scope.limit_nanos)


def _starts(scope: Scope, now_ms: int) -> int:
    return now_ms - scope.rolling_ms if scope.rolling_ms else scope.starts_ms


def _again(scope: Scope, now_ms: int) -> int | None:
    """A rolling window is told of again when all that was in it has left; a life never."""
    if scope.rolling_ms:
        return now_ms + scope.rolling_ms
    return None if scope.ends_ms is None else scope.ends_ms + KEEP_TOLD_MS
