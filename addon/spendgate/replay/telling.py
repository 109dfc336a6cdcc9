"""Which alerts a candidate policy gives while history runs: what `alerts.rules` says of the calls that the candidate admits."""

from __future__ import annotations

from typing import Final

from spendgate.alerts.interface import Alert, Charged, Refused
from spendgate.alerts.routing import told
from spendgate.alerts.rules import Alerts
from spendgate.ledger.history import Step
from spendgate.policy import Policy
from spendgate.replay.books import Balance, Books
from spendgate.replay.past_terms import PastTerms
from spendgate.selector import Facts
from spendgate.standing import Scope

_KEPT_MAX: Final = 10_000

Heard = tuple[Alert, tuple[str, ...]]
"""An alert, and whom it reaches."""


class Telling:
    """Shows the alerts of one policy what the replay does; what they tell is kept by who asks."""

    def __init__(self, policy: Policy, books: Books) -> None:
        self._alerts = Alerts(policy)
        self._idle = not policy.alerts and not self._alerts.watched
        self._answered: dict[tuple[int, str], tuple[PastTerms, Facts]] = {}
        self._policy, self._books = policy, books

    def charged(
        self, step: Step, terms: PastTerms, times: tuple[int, int], cost: int, elsewhere: tuple[Scope, ...] | None
    ) -> list[Heard]:
        """A call has ended: `times` are when it was booked and when it was charged, `elsewhere` as `PastTerms` says."""
        if self._idle or step.state == "failed" or step.billing == "personal":
            return []
        booked_ms, now_ms = times
        scopes = terms.scopes(booked_ms) if elsewhere is None else elsewhere
        watched = [scope for scope in scopes if scope.budget in self._alerts.watched]
        located = self._books.locate(watched, now_ms)
        balances = tuple([(scope, at.settled) for scope, at in zip(watched, located, strict=True)])
        return self._heard(Charged(self._facts(step, terms), booked_ms, now_ms, cost, balances))

    def _facts(self, step: Step, terms: PastTerms) -> Facts:
        """With the model that answered; made once for each kind of call."""
        if not step.model or step.model == step.model_requested:
            return terms.facts
        key = id(terms), step.model
        kept = self._answered.get(key)
        if kept is None or kept[0] is not terms:
            if len(self._answered) >= _KEPT_MAX:
                self._answered.clear()
            kept = self._answered[key] = (terms, terms.facts.answered_by(step.model))
        return kept[1]

    def refuses(
        self, facts: Facts, rule: str, scopes: tuple[Scope, ...], located: list[Balance], now_ms: int
    ) -> list[Heard]:
        """A budget refuses a call."""
        if rule not in self._alerts.watched:
            return []
        events = [
            Refused(facts, now_ms, scope, at.settled)
            for scope, at in zip(scopes, located, strict=True)
            if scope.budget == rule
        ]
        return [heard for event in events for heard in self._heard(event)]

    def _heard(self, event: Charged | Refused) -> list[Heard]:
        return [(alert, told(self._policy, alert)) for alert in self._alerts.saw(event)]
