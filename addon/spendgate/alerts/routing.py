"""Whom an alert reaches: the person, the entries of the team and of those above it, the file's."""

from __future__ import annotations

from spendgate.alert_rules import Severity
from spendgate.alerts.interface import Alert
from spendgate.policy import Policy
from spendgate.roster import Notify


def receivers(policy: Policy, severity: Severity, team: tuple[str, ...]) -> tuple[Notify, ...]:
    """The entries for alerts of this severity about this team (with its ancestors), each once."""
    named = policy.roster.team_by_name
    entries = [entry for name in team if name in named for entry in named[name].notify]
    return tuple({entry.to: entry for entry in (*entries, *policy.notify) if severity.value in entry.purposes}.values())


def told(policy: Policy, alert: Alert) -> tuple[str, ...]:
    """Who hears of it, in words: the person's name, and the services without what may be secret in an address."""
    person = (alert.person,) if alert.person else ()
    return (*person, *dict.fromkeys(service(entry) for entry in receivers(policy, alert.severity, alert.team)))


def service(entry: Notify) -> str:
    """`slack`."""
    return entry.to.partition(":")[0].lower()
