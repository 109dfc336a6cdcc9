"""What is allowed of alerts, receivers and approvers and is hardly meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from spendgate.alert_rules import AlertRule, Pace, Severity, Share, Spike
from spendgate.alerts.routing import DIGEST, email, service
from spendgate.policy import Policy
from spendgate.review.doubt import Doubt
from spendgate.review.reach import Subject, reaches
from spendgate.selector import EVERY

_PASSWORD: Final = re.compile(
    r"://[^/@\s]*:(?!\$\{)[^/@\s]+@|[/:@?&=](?=[A-Za-z_-]{0,60}[0-9])[A-Za-z0-9_-]{16,}(?=[/:@?&]|$)"
)
"""Also a long word with digits in it that is a part of its own: services' tokens."""


def alert_doubts(policy: Policy, everybody: tuple[Subject, ...]) -> Iterator[Doubt]:
    """Every warning about alerts, in the file's order."""
    for rule in policy.alerts:
        for text in _rule(policy, rule, everybody):
            yield Doubt(f"alerts.{rule.name}", f"{rule.name} {text}")
    yield from _never_reached(policy)
    yield from _receivers(policy)
    yield from _approvers(policy, everybody)


def _rule(policy: Policy, rule: AlertRule, everybody: tuple[Subject, ...]) -> Iterator[str]:
    if not any(reaches(rule.match, rule.excepted, subject.facts) for subject in everybody):
        yield "is about nobody: no listed person fits its match"
    match rule.form:
        case Spike(minimum_nanos=0):
            yield "has no minimum: after idle days the first cent of a day is a spike"
        case Share(minimum_calls=1):
            yield "has no minimum_calls: the first call of a day is all of that day's calls"
    if rule.severity is Severity.NOTICE and not _by_person(policy, rule) and not _listens(policy, rule.severity):
        yield "is told to nobody: it is about no single person, and no notify is for notice"


def _by_person(policy: Policy, rule: AlertRule) -> bool:
    per = rule.per
    if isinstance(rule.form, Pace):
        name = rule.form.budget
        per = next(budget.per for budget in policy.budgets if budget.name == name)
    return bool(set(per) - {"team", "group", "machine_group"})


def _listens(policy: Policy, severity: Severity) -> bool:
    entries = [*policy.notify, *(entry for team in policy.roster.teams for entry in team.notify)]
    return any(severity.value in entry.purposes for entry in entries)


def _never_reached(policy: Policy) -> Iterator[Doubt]:
    """Thresholds above the limit of a budget that refuses: only a call that costs more than it held gets there."""
    for budget in policy.budgets:
        over = [percent for percent in budget.alerts if percent > 100]
        if over and budget.enforce_action and policy.mode.default == "enforce":
            text = f"{budget.name}: {over[0]}% is hardly reached, since calls are refused at 100%; action: warn goes on"
            yield Doubt(f"budgets.{budget.base_name}", text)


def _receivers(policy: Policy) -> Iterator[Doubt]:
    entries = [("notify", entry) for entry in policy.notify]
    entries += [(f"teams.{team.name}", entry) for team in policy.roster.teams for entry in team.notify]
    for subject, entry in entries:
        if _PASSWORD.search(entry.to):
            text = f"the address of {service(entry)} has a password or token in it; put ${{SPENDGATE_SECRET_…}} in its place"
            yield Doubt(subject, text)
    alerting = policy.alerts or any(budget.alerts for budget in policy.budgets)
    if entries and not alerting and not any(DIGEST in entry.purposes for _, entry in entries):
        asked = bool(policy.budgets) and _listens(policy, Severity.ALERT)
        but = "nothing is told but who asks for more" if asked else "nothing is told"
        yield Doubt(
            "notify", f"{but}: the file has no alerts, neither its own nor a budget's, and no entry is for digest"
        )


def _approvers(policy: Policy, everybody: tuple[Subject, ...]) -> Iterator[Doubt]:
    if not policy.approvers:
        return
    mailed = any(email(policy, each.person) for each in policy.approvers) and any(
        service(entry) in ("mailto", "mailtos") for entry in policy.notify
    )
    if not mailed and not _listens(policy, Severity.ALERT):
        text = "an ask reaches nobody by itself: no notify is for alert, and no approver has mail; who asks must send its code"
        yield Doubt("approvers", text)
    here = {subject.name for subject in everybody}
    for approver in policy.approvers:
        if approver.person not in here:
            yield Doubt("approvers", f"{approver.person} may approve, and their listing has ended")
        elif not any(reaches(approver.reach, EVERY, subject.facts) for subject in everybody):
            yield Doubt("approvers", f"{approver.person} may approve for nobody: no listed person fits for")
