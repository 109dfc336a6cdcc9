"""Which alerts a candidate policy gives while history runs: what `alerts.rules` says of the calls that the candidate admits."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from spendgate.alerts.interface import Alert, Charged, Refused
from spendgate.alerts.routing import told
from spendgate.alerts.rules import Alerts
from spendgate.ledger.history import Step
from spendgate.policy import Policy
from spendgate.replay.books import Books
from spendgate.replay.moving import Moving
from spendgate.replay.past_terms import PastTerms
from spendgate.replay.replayed import Replayed
from spendgate.selector import PERSONAL, Facts
from spendgate.standing import Scope, Standing

_KEPT_MAX: Final = 10_000

Heard = tuple[Alert, tuple[str, ...]]
"""An alert, and whom it reaches."""


class Telling:
    """Shows the alerts of one policy what the replay does; what they tell is kept by who asks."""

    def __init__(self, policy: Policy, books: Books, moving: Moving) -> None:
        self._alerts = Alerts(policy)
        self._idle = not policy.alerts and not self._alerts.watched
        self._answered: dict[tuple[int, str], tuple[PastTerms, Facts]] = {}
        self._policy, self._books, self._moving = policy, books, moving

    def charged(self, call: Replayed, now_ms: int, elsewhere: tuple[Scope, ...] | None) -> list[Heard]:
        """A call that was booked has ended and is charged now; `elsewhere` as `PastTerms` says."""
        step, terms = call.step, call.terms
        if self._idle or step.state == "failed" or (step.billing == PERSONAL and not terms.counts):
            return []
        scopes = terms.scopes(call.booked_ms) if elsewhere is None else elsewhere
        watched = tuple([scope for scope in scopes if scope.budget in self._alerts.watched])
        located = self._books.locate(watched, now_ms).balances
        balances = tuple(
            [(self._limited(scope, now_ms), at.settled) for scope, at in zip(watched, located, strict=True)]
        )
        cost = call.cost_nanos
        value = 0 if cost else call.charge_nanos
        return self._heard(Charged(self._facts(step, terms), call.booked_ms, now_ms, cost, balances, value))

    def _limited(self, scope: Scope, now_ms: int) -> Scope:
        return replace(scope, limit_nanos=self._moving.stands(scope, now_ms).nanos) if scope.moves else scope

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

    def refuses(self, call: Replayed, rule: str, standings: tuple[Standing, ...], now_ms: int) -> list[Heard]:
        """A budget refuses a call."""
        if rule not in self._alerts.watched:
            return []
        events = [
            Refused(call.terms.facts, now_ms, _as_decided(each), each.settled_nanos)
            for each in standings
            if each.scope.budget == rule
        ]
        return [heard for event in events for heard in self._heard(event)]

    def _heard(self, event: Charged | Refused) -> list[Heard]:
        return [(alert, told(self._policy, alert)) for alert in self._alerts.saw(event)]


def _as_decided(standing: Standing) -> Scope:
    """The budget with the limit that the decision went by."""
    return standing.scope if standing.limit is None else replace(standing.scope, limit_nanos=standing.limit.nanos)
