"""Alerts without a gate: a policy from text, charges with the balances that a ledger would tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from spendgate.alerts.interface import Alert, Charged, Refused
from spendgate.alerts.rules import Alerts
from spendgate.config.policy_file import parse_policy
from spendgate.fitting import scopes
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.policy import Policy
from spendgate.selector import Facts

HEAD = """version: 1
owner: lead@acme.example
notify: [{to: "slack://${SPENDGATE_SECRET_AI}", for: [alert, page]}]
"""


def read(text: str, zone: str = "UTC") -> Policy:
    """A policy with these lines."""
    return parse_policy(f"{HEAD}timezone: {zone}\n{text}".encode())


def at(text: str, zone: str = "UTC") -> int:
    """Epoch milliseconds of a time on a wall."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def nanos(dollars: float) -> int:
    return round(dollars * 10_000) * NANOS_PER_DOLLAR // 10_000


@dataclass
class Told:
    """Plays charges to one policy's alerts, and keeps every balance as the ledger does."""

    policy: Policy
    alerts: Alerts = field(init=False)
    found: list[Alert] = field(default_factory=list)
    _settled: dict[tuple[str, str, str], list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.alerts = Alerts(self.policy)

    def charge(self, at_ms: int, cost: int, *, ended_ms: int | None = None, **who: str) -> tuple[Alert, ...]:
        """A call booked at `at_ms` that has cost so many nano-dollars."""
        ended_ms = at_ms if ended_ms is None else ended_ms
        facts = Facts.of(**{"person": "alice", "model": "claude-opus-4-5", **who})
        balances = []
        for scope in scopes(self.policy, facts, at_ms, True):
            entries = self._settled[scope.budget, scope.value, scope.window]
            entries.append((at_ms, cost))
            edge_ms = ended_ms - scope.rolling_ms if scope.rolling_ms else -1
            balances.append((scope, sum(each for booked_ms, each in entries if booked_ms > edge_ms)))
        return self._keep(self.alerts.saw(Charged(facts, at_ms, ended_ms, cost, tuple(balances))))

    def refuse(self, at_ms: int, budget: str, settled: int, **who: str) -> tuple[Alert, ...]:
        """A call that a budget refuses."""
        facts = Facts.of(**{"person": "alice", "model": "claude-opus-4-5", **who})
        (scope,) = [each for each in scopes(self.policy, facts, at_ms, True) if each.budget == budget]
        return self._keep(self.alerts.saw(Refused(facts, at_ms, scope, settled)))

    def restart(self) -> None:
        """Another process goes on with what this one remembered."""
        kept = self.alerts.dump()
        self.alerts = Alerts(self.policy)
        self.alerts.load(kept)
        assert self.alerts.dump() == kept

    def _keep(self, alerts: Iterable[Alert]) -> tuple[Alert, ...]:
        made = tuple(alerts)
        self.found += made
        return made
