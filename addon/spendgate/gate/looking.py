"""What one gate's alerts come of: ended calls are shown to the policy's rules, each once, and what is found is written.

Rules: what is found, how far was looked and what is remembered are one transaction (`ledger.ended_calls`), so that a gate that
dies at any point has either told or not looked.
"""

from __future__ import annotations

from typing import Final

from spendgate.alerts.interface import Alert, Charged
from spendgate.alerts.measured import looks_back_to
from spendgate.alerts.rules import Alerts
from spendgate.answerers import owner_of
from spendgate.errors import LedgerUnavailable
from spendgate.gate.past import facts_of, scopes_of
from spendgate.ledger.ended_calls import EndedCall, EndedCalls, EndedSince
from spendgate.ledger.interface import AlertRow
from spendgate.policy import Policy
from spendgate.selector import PLAN
from spendgate.standing import Scope

KEPT_EVERY_MS: Final = 30_000
"""How often what is remembered is written where nothing was told: what is younger is looked at again after a death."""


def row(policy: Policy, alert: Alert) -> AlertRow:
    """The alert as the ledger keeps it."""
    owner, figures = owner_of(policy, alert.team), alert.figures
    return AlertRow(
        alert.rule, alert.form, alert.value, alert.window, alert.severity.value, alert.at_ms, alert.again_ms, alert.person,
        alert.team, owner, figures.spent_nanos, figures.mark_nanos, figures.calls, figures.of_calls, alert.text,
        alert.command, policy.hash,
    )  # fmt: skip


class Looking:
    """How far one gate has looked, and what it remembers. Of one thread."""

    def __init__(self, ended: EndedCalls) -> None:
        self._ended = ended
        self._written, self._state = ended.state()
        self._position = self._written
        self._policy: Policy | None = None
        self._alerts = Alerts(Policy(owner="nobody"))
        self._scopes_of = scopes_of(Policy(owner="nobody"))
        self._kept_ms = 0
        self._newest = 0

    def look(self, policy: Policy, now_ms: int, *, keeps: bool = False) -> int:
        """Show the rules what has ended since; how many alerts came of it. `keeps`: write also what may be looked at again.

        Raises LedgerUnavailable; begin anew then.
        """
        if self._policy is None or self._policy.hash != policy.hash:
            self._begin(policy)
        self._hear()
        found = 0
        if self._alerts.silent:  # a later policy's rules are shown the past when they begin
            self._position = self._ended.head()
        while True:
            with self._ended.since(self._position) as seen:
                alerts = [each for call in seen.calls for each in self._saw(policy, seen, call)] if seen.calls else []
                more, self._position = seen.upto > self._position, seen.upto
            found += len(alerts)
            behind = self._position > self._written
            if alerts or (behind and (keeps or now_ms - self._kept_ms >= KEPT_EVERY_MS)):
                self._keep(policy, alerts, now_ms)
            if not more:
                return found

    def _keep(self, policy: Policy, alerts: list[Alert], now_ms: int) -> None:
        rows = [row(policy, each) for each in alerts]
        if not self._ended.wrote(self._written, self._position, self._alerts.dump(), rows, now_ms):
            raise LedgerUnavailable("another gate has looked further")
        self._written, self._kept_ms = self._position, now_ms

    def _begin(self, policy: Policy) -> None:
        """Take up what was remembered; where the rules have no sums yet, show them the past first, of which nothing is told."""
        state = self._state if self._policy is None else self._alerts.dump()
        alerts = Alerts(policy)
        if state is not None and alerts.knows(state):
            alerts.load(state)
        elif policy.alerts:
            told = scopes_of(policy)
            for call in self._ended.past(looks_back_to(policy, self._last_ms()), self._position):
                if (charged := _charged(policy, call, (), bool(told(call.past)))) is not None:
                    alerts.saw(charged)
        alerts.told_already([((each.rule, each.value, each.window), each.again_ms) for each in self._ended.told()])
        self._newest = 0
        self._alerts, self._policy, self._scopes_of = alerts, policy, scopes_of(policy)

    def _last_ms(self) -> int:
        """When the last call that was looked at ended; what came before is older."""
        with self._ended.since(max(0, self._position - 1)) as seen:
            return seen.calls[0].ended_ms if seen.calls else 0

    def _hear(self) -> None:
        """What others have told: gates, with their refusals."""
        for each in self._ended.told(self._newest):
            self._newest = max(self._newest, each.id)
            self._alerts.told_too((each.rule, each.value, each.window), each.again_ms)

    def _saw(self, policy: Policy, seen: EndedSince, call: EndedCall) -> tuple[Alert, ...]:
        needed = self._alerts.watched or call.past.row.billing == PLAN
        scopes = self._scopes_of(call.past) if needed else ()
        balances = tuple(
            [
                (seen.limited(scope, call.ended_ms), seen.settled(scope, call))
                for scope in scopes
                if scope.budget in self._alerts.watched
            ]
        )
        charged = _charged(policy, call, balances, bool(scopes))
        return () if charged is None else self._alerts.saw(charged)


def _charged(policy: Policy, call: EndedCall, balances: tuple[tuple[Scope, int], ...], drawn: bool) -> Charged | None:
    """The call as the rules see it; None: it is a personal account's that counts nowhere."""
    past = call.past
    billing, cost = past.row.billing, past.cost_nanos or 0
    if not (billing == PLAN or policy.billing.counts(billing)):
        return None
    value = (past.value_nanos or 0) if drawn and not cost and billing == PLAN else 0
    return Charged(facts_of(past, policy), past.booked_ms, call.ended_ms, cost, balances, value)
