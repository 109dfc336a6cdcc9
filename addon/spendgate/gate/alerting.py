"""Alerts of a running gate: ended calls are shown to the policy's rules, by one of the gates of a ledger, in a thread of its own.

Rules: nothing here is in a call's way; what is found, how far was looked and what is remembered are one transaction
(`ledger.ended_calls`), so that a gate that dies at any point has either told or not looked; a first threshold is written with the
refusal that it must not come after (`BeforeRefusal`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from spendgate.admission import Refuse
from spendgate.alerts.interface import Alert, Charged, Refused
from spendgate.alerts.measured import looks_back_to
from spendgate.alerts.rules import Alerts
from spendgate.answerers import owner_of
from spendgate.errors import LedgerUnavailable, SpendgateError
from spendgate.gate.asked import Asked
from spendgate.gate.findings import Findings
from spendgate.gate.past import facts_of, scopes_of
from spendgate.ledger.ended_calls import EndedCall, EndedCalls, EndedSince
from spendgate.ledger.gates import GateLock
from spendgate.ledger.interface import AlertRow
from spendgate.ledger.outbox import Outbox
from spendgate.ledger.shared_connection import SharedConnection
from spendgate.policy import Policy
from spendgate.selector import PLAN
from spendgate.standing import Scope

logger = logging.getLogger(__name__)

LOOKS_EVERY_S: Final = 1.0
KEPT_EVERY_MS: Final = 30_000
"""How often what is remembered is written where nothing was told: what is younger is looked at again after a death."""
ONE: Final = "alerts.one"
"""The lock of the gate that looks, beside the gates' own."""

FINISH_S: Final = 5.0
"""How long the end of a gate waits for messages that are being sent; what is not there then is sent by the next one."""


class Carries(Protocol):
    """What is done with alerts that are written; `alerts.courier` does it."""

    def round(self, outbox: Outbox, policy: Policy, now_ms: int) -> None:
        """Say to whom new ones go, and send what is due, without waiting for it. Raises LedgerUnavailable."""
        ...

    def finish(self, patience_s: float) -> None:
        """Wait so long for what is being sent."""
        ...


def row(policy: Policy, alert: Alert) -> AlertRow:
    """The alert as the ledger keeps it."""
    owner, figures = owner_of(policy, alert.team), alert.figures
    return AlertRow(
        alert.rule, alert.form, alert.value, alert.window, alert.severity.value, alert.at_ms, alert.again_ms, alert.person,
        alert.team, owner, figures.spent_nanos, figures.mark_nanos, figures.calls, figures.of_calls, alert.text,
        alert.command, policy.hash,
    )  # fmt: skip


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


class Writes(Protocol):
    """What is told by the calendar; `alerts.weekly` does it."""

    def look(self, outbox: Outbox, policy: Policy, now_ms: int) -> int:
        """Write what is due and not there; how many messages."""
        ...


class Alerting:
    """The thread of one gate that looks at what all gates of its ledger have ended, as long as no other one does."""

    def __init__(
        self,
        ledger: Path,
        gates: Path,
        policy: Policy,
        now_ms: Callable[[], int],
        courier: Carries,
        *,
        weekly: Writes | None = None,
    ) -> None:
        """`weekly` and then `courier` are called in the thread after each look."""
        self._ledger, self._gates, self._now_ms, self._courier, self._weekly = ledger, gates, now_ms, courier, weekly
        self._policy = policy
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def follow(self, policy: Policy) -> None:
        """Another policy is in force."""
        self._policy = policy

    def stop(self, patience_s: float = 2 * FINISH_S) -> None:
        """Look once more at what has ended until now, have it sent, and end. Waits; call it off the loop."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(patience_s)

    def _run(self) -> None:
        lock, shared, looking, findings = None, None, None, None
        try:
            with suppress(SpendgateError):  # now, while the file is there: that it is removed is told, too
                shared = SharedConnection(self._ledger)
            while True:
                last = self._stopping.wait(LOOKS_EVERY_S)
                try:
                    lock = lock or GateLock.take(self._gates / ONE, create=True)
                    if lock is not None:
                        shared = shared or SharedConnection(self._ledger)
                        outbox = Outbox(shared)
                        looking = looking or Looking(EndedCalls(shared))
                        findings = findings or Findings(outbox)
                        self._tell(findings)
                        looking.look(self._policy, self._now_ms(), keeps=last)
                        if self._weekly is not None and not last:
                            self._weekly.look(outbox, self._policy, self._now_ms())
                        self._courier.round(outbox, self._policy, self._now_ms())
                except LedgerUnavailable:
                    looking = None  # the next look does it, from where the ledger says
                except (SpendgateError, OSError, msgspec.MsgspecError):
                    looking = None
                    logger.exception("alerts could not be looked for")
                if last:
                    self._courier.finish(FINISH_S)
                    return
        finally:
            if shared is not None:
                shared.close()
            if lock is not None:
                lock.drop()

    def _tell(self, findings: Findings) -> None:
        """What was found is told, or again at the next look; a trail that cannot be read keeps nobody from other alerts."""
        with suppress(LedgerUnavailable):
            findings.look(self._policy, self._now_ms())


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
