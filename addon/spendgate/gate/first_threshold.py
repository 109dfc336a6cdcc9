"""A budget's first threshold, written with the refusal that it must not come after."""

from __future__ import annotations

from msgspec.structs import replace

from spendgate.admission import Refuse
from spendgate.alerts.interface import Refused
from spendgate.alerts.rules import Alerts
from spendgate.gate.asked import Asked
from spendgate.gate.looking import row
from spendgate.ledger.interface import AlertRow
from spendgate.policy import Policy


class BeforeRefusal:
    """The first threshold of a budget that refuses a call: to be written with the refusal, where it is not there yet.

    What this gate has written so is remembered, as long as its window lasts: a loop is refused often.
    """

    def __init__(self) -> None:
        self._policy: Policy | None = None
        self._alerts = Alerts(Policy(owner="nobody"))

    def of(self, asked: Asked, refuse: Refuse, now_ms: int) -> tuple[AlertRow, ...]:
        """What is to be told before this refusal."""
        policy, rule, settled_nanos, limit_nanos = (
            asked.terms.policy,
            refuse.rule,
            refuse.settled_nanos,
            refuse.limit_nanos,
        )
        if policy is not self._policy:
            self._policy, self._alerts = policy, Alerts(policy)
        if settled_nanos is None or limit_nanos is None or rule not in self._alerts.watched:
            return ()
        scopes = [
            replace(scope, limit_nanos=limit_nanos) for scope in asked.terms.scopes(now_ms) if scope.budget == rule
        ]
        events = [Refused(asked.terms.facts, now_ms, scope, settled_nanos) for scope in scopes]
        return tuple([row(policy, alert) for event in events for alert in self._alerts.saw(event)])
