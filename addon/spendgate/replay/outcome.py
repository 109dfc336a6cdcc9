"""What a replay found: sums, and the calls on which the candidate decides otherwise than the policy then in force."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from spendgate.admission import Refuse
from spendgate.alerts.interface import Alert
from spendgate.ledger.history import Step

KEPT_MAX: Final = 1_000
"""How many differing calls, and alerts, are kept whole; all of them are counted."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One call on which the two decide differently. Nano-dollars, epoch milliseconds."""

    id: str
    at_ms: int
    person: str
    tool: str | None
    model: str | None
    then_by: str | None
    """The rule that refused it then; None: it left."""
    refuse: Refuse | None
    """What the candidate says; None: it would leave."""
    cost_nanos: int
    """What it cost; of a call that was refused then, what it was expected to cost."""


@dataclass(slots=True)
class Tally:
    """Calls of one rule or person. Nano-dollars, epoch milliseconds."""

    calls: int = 0
    cost_nanos: int = 0
    first_ms: int = 0
    last_ms: int = 0
    people: set[str] = field(default_factory=set)

    def add(self, at_ms: int, cost_nanos: int, person: str) -> None:
        """One call more."""
        self.first_ms = self.first_ms if self.calls else at_ms
        self.calls += 1
        self.cost_nanos += cost_nanos
        self.last_ms = max(self.last_ms, at_ms)
        self.people.add(person)


@dataclass(slots=True)
class AlertTally:
    """How often one rule alerts. Epoch milliseconds."""

    severity: str
    times: int = 0
    first_ms: int = 0
    last_ms: int = 0
    told: set[str] = field(default_factory=set)


@dataclass(slots=True)
class PersonSums:
    """One person's calls under the candidate. Nano-dollars."""

    calls: int = 0
    cost_nanos: int = 0
    """What the admitted ones cost."""
    refused: int = 0
    saved_nanos: int = 0
    """What those had cost that left then and would be refused now."""


@dataclass(slots=True)
class Outcome:
    """All that a replay says. Nano-dollars, epoch milliseconds.

    Refused calls are counted as history has them: an agent that is refused may stop, or ask again more often than it did.
    """

    since_ms: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    calls: int = 0
    """Calls that were decided then, refused ones too."""
    before: int = 0
    """Calls before `since_ms` that fill the windows which run then; not decided again."""
    refused: int = 0
    refused_then: int = 0
    newly_refused: int = 0
    no_longer_refused: int = 0
    cost_nanos: int = 0
    """What the admitted calls cost."""
    cost_then_nanos: int = 0
    """What all calls that left then cost."""
    saved_nanos: int = 0
    assumed_nanos: int = 0
    """The part of `cost_nanos` that calls refused then are expected to have cost: nobody knows what they would have."""
    waited: int = 0
    waited_ms: int = 0
    uncaptured: int = 0
    """Calls of providers that the candidate does not capture; neither held nor counted."""
    uncaptured_nanos: int = 0
    """What they cost then."""
    repriced: int = 0
    """Calls that cost something else at the candidate's prices."""
    unpriced: int = 0
    """Calls that fit a price adjustment and could not be priced anew: they keep their cost, or the size they had."""
    unsized: int = 0
    """Calls from before sizes were kept: decided on their estimate."""
    rules: dict[tuple[str, str], Tally] = field(default_factory=dict)
    """Refusals by rule and kind."""
    would: dict[tuple[str, str], Tally] = field(default_factory=dict)
    """What would have been refused but for `observe` or `warn`, by rule and kind."""
    people: dict[str, PersonSums] = field(default_factory=dict)
    differing: list[Verdict] = field(default_factory=list)
    alerts: dict[str, AlertTally] = field(default_factory=dict)
    """By rule; of a threshold by budget and share."""
    alerts_kept: list[tuple[Alert, tuple[str, ...]]] = field(default_factory=list)
    """The first `KEPT_MAX` alerts, each with whom it reaches."""

    def passes_unseen(self, step: Step) -> None:
        """A call of a provider that the candidate does not capture."""
        self.uncaptured += 1
        self.uncaptured_nanos += step.cost_nanos or 0

    def begin(self, step: Step) -> None:
        """A call asks."""
        self.calls += 1
        self.first_ms = step.arrived_ms if self.first_ms is None else self.first_ms
        self.last_ms = step.arrived_ms
        self.refused_then += step.refused_by is not None
        self.cost_then_nanos += step.cost_nanos or 0

    def admitted(self, step: Step, person: str, at_ms: int, cost_nanos: int, would: Refuse | None) -> None:
        """It may leave, and costs this."""
        sums = self._person(person)
        sums.calls += 1
        sums.cost_nanos += cost_nanos
        self.cost_nanos += cost_nanos
        waited_ms = at_ms - step.arrived_ms
        self.waited += waited_ms > 0
        self.waited_ms += waited_ms
        if would is not None:
            _tally(self.would, would).add(at_ms, cost_nanos, person)
        if step.refused_by is not None:
            self.no_longer_refused += 1
            self.assumed_nanos += cost_nanos
            self._differs(step, person, at_ms, None, cost_nanos)

    def refuses(self, step: Step, person: str, at_ms: int, refuse: Refuse, cost_nanos: int) -> None:
        """It may not leave; `cost_nanos` is what it cost then, or was expected to."""
        sums = self._person(person)
        sums.refused += 1
        self.refused += 1
        _tally(self.rules, refuse).add(at_ms, cost_nanos, person)
        if step.refused_by is None:
            sums.saved_nanos += cost_nanos
            self.newly_refused += 1
            self.saved_nanos += cost_nanos
            self._differs(step, person, at_ms, refuse, cost_nanos)

    def alerted(self, alert: Alert, told: tuple[str, ...]) -> None:
        """The candidate's alerts tell this, to these."""
        tally = self.alerts.get(alert.rule)
        if tally is None:
            tally = self.alerts[alert.rule] = AlertTally(alert.severity.value, first_ms=alert.at_ms)
        tally.times += 1
        tally.last_ms = alert.at_ms
        tally.told.update(told)
        if len(self.alerts_kept) < KEPT_MAX:
            self.alerts_kept.append((alert, told))

    def _person(self, name: str) -> PersonSums:
        found = self.people.get(name)
        if found is None:
            found = self.people[name] = PersonSums()
        return found

    def _differs(self, step: Step, person: str, at_ms: int, refuse: Refuse | None, cost_nanos: int) -> None:
        if len(self.differing) < KEPT_MAX:
            self.differing.append(
                Verdict(step.id, at_ms, person, step.tool, step.model_requested, step.refused_by, refuse, cost_nanos)
            )


def _tally(tallies: dict[tuple[str, str], Tally], refuse: Refuse) -> Tally:
    key = refuse.rule, refuse.kind.value
    found = tallies.get(key)
    if found is None:
        found = tallies[key] = Tally()
    return found
