"""Alert rules that sum by themselves: which measure a rule has, what it is shown of a charge, how far back it looks."""

from __future__ import annotations

import hashlib
from typing import Final

from spendgate.alert_rules import AlertRule, Burn, Outside, Share, Spike
from spendgate.alerts.days import Zones
from spendgate.alerts.interface import Charged, Reached
from spendgate.alerts.measures import LATE_DAYS, Burns, Outsides, Shares, Spikes
from spendgate.allowances import values_of
from spendgate.policy import Policy
from spendgate.window import DAY_MS

_WORDS_LENGTH: Final = 16
_NONE: Final[list[tuple[str, Reached]]] = []

Measure = Spikes | Burns | Shares | Outsides


class Measured:
    """One alert rule that sums by itself."""

    def __init__(self, policy: Policy, rule: AlertRule, measure: Measure) -> None:
        self.rule, self.measure = rule, measure
        self.words = hashlib.sha256(rule.model_dump_json().encode()).hexdigest()[:_WORDS_LENGTH]
        self._zones = Zones(policy, rule.per, rule.match)
        self._shares = isinstance(measure, Shares)

    def saw(self, charged: Charged) -> list[tuple[str, Reached]]:
        """Each value whose mark is reached."""
        rule, measure, facts = self.rule, self.measure, charged.facts
        if not (charged.cost_nanos or self._shares) or (rule.excepted.clauses and rule.excepted.lets_off(facts)):
            return _NONE
        fits = not rule.match.clauses or rule.match.fits(facts)
        if not fits and not self._shares:
            return _NONE
        values = values_of(rule.per, facts)
        if not values:
            return _NONE
        when = self._zones.at(facts, charged.booked_ms)
        if isinstance(measure, Shares):
            found = [(value, measure.saw(value, charged, when, fits=fits)) for value in values]
        else:
            found = [(value, measure.saw(value, charged, when)) for value in values]
        return [(value, reached) for value, reached in found if reached is not None]


def measured(policy: Policy) -> list[Measured]:
    """The rules of a policy that have a measure, in the file's order."""
    return [Measured(policy, rule, made) for rule in policy.alerts if (made := _measure(rule)) is not None]


def looks_back_to(policy: Policy, now_ms: int) -> int:
    """From when on calls must be seen for every sum to be whole at `now_ms`; budgets' own windows are not asked here."""
    spans = [0]
    for rule in policy.alerts:
        match rule.form:
            case Spike(days=days):
                spans.append((days + LATE_DAYS) * DAY_MS)
            case Burn(within_ms=within_ms):
                spans.append(within_ms)
            case Share():
                spans.append(LATE_DAYS * DAY_MS)
            case Outside():
                spans.append(8 * DAY_MS)
    return now_ms - max(spans)


def _measure(rule: AlertRule) -> Measure | None:
    match rule.form:
        case Spike():
            return Spikes(rule.form)
        case Burn():
            return Burns(rule.form)
        case Share():
            return Shares(rule.form)
        case Outside():
            return Outsides(rule.form)
    return None
