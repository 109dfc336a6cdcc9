"""What a change of a policy does to who is told what, and who may grant more, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spendgate.alert_rules import AlertRule, Burn, Outside, Pace, Share, Spike
from spendgate.alerts.routing import service
from spendgate.alerts.wording import length, times
from spendgate.approvers import Approver
from spendgate.money import short_dollars
from spendgate.policy import Policy
from spendgate.review.changes import Change, Effect
from spendgate.roster import Notify
from spendgate.selector import Selector

_Said = tuple[str, str]
"""The rule or key that makes the change, and the change in words."""


def alert_changes(old: Policy, new: Policy) -> Iterator[Change]:
    """Every change of alerts, thresholds, receivers and approvers."""
    for where, text in _said(old, new):
        # An approver raises limits.
        yield Change(Effect.POWER if where == "approvers" else Effect.TELLS, where, text)


def _said(old: Policy, new: Policy) -> Iterator[_Said]:
    yield from _thresholds(old, new)
    for name, was, now in _pairs(_by_name(old), _by_name(new)):
        yield (
            f"alerts.{name}",
            _changed(f"alert {name}", was, now, gone="no longer told of", come="told of from now on"),
        )
    if [rule.name for rule in old.alerts] != (order := [rule.name for rule in new.alerts]) and set(
        _by_name(old)
    ) == set(order):
        yield "alerts", "the order of alerts alone"
    yield from _receivers(old, new)
    before, after = _approvers(old.approvers), _approvers(new.approvers)
    for name, was, now in _pairs(before, after):
        yield "approvers", _changed(name, was, now, gone="may no longer approve", come="may approve from now on")
    if not list(_pairs(before, after)) and old.approvers != new.approvers:
        yield "approvers", "the order of approvers alone"


def _thresholds(old: Policy, new: Policy) -> Iterator[_Said]:
    """Of budgets of the file that are in both, each limit by its window; one that comes or goes is told as a whole."""
    was_by = {(budget.base_name, budget.window): budget for budget in old.budgets}
    now_by = {(budget.base_name, budget.window) for budget in new.budgets}
    staying = {budget.base_name for budget in new.budgets}
    for key, gone in was_by.items():
        if key not in now_by and gone.base_name in staying and gone.alerts:
            yield f"budgets.{gone.name}", f"{gone.name}: told at {_shares(gone.alerts)} -> {_shares(())} of its limit"
    for budget in new.budgets:
        before = was_by.get((budget.base_name, budget.window))
        was = before.alerts if before is not None else ()
        if was != budget.alerts:
            yield (
                f"budgets.{budget.name}",
                f"{budget.name}: told at {_shares(was)} -> {_shares(budget.alerts)} of its limit",
            )


def _shares(percents: tuple[int, ...]) -> str:
    return ", ".join(f"{percent}%" for percent in percents) or "no share"


def _by_name(policy: Policy) -> dict[str, str]:
    return {rule.name: rule_in_words(rule) for rule in policy.alerts}


def rule_in_words(rule: AlertRule) -> str:
    """`3x over 7d from $20.00 on for each person, alert`."""
    parts = [_form(rule)]
    if rule.per:
        parts.append(f"for each {' and '.join(rule.per)}")
    if rule.match.clauses:
        parts.append(f"of calls with {_selector(rule.match)}")
    if rule.excepted.clauses:
        parts.append(f"except {_selector(rule.excepted)}")
    return f"{' '.join(parts)}, {rule.severity}"


def _form(rule: AlertRule) -> str:
    match rule.form:
        case Spike(times_hundredths=hundredths, days=days, minimum_nanos=minimum):
            return f"{times(hundredths)} over {days}d from {short_dollars(minimum)} on"
        case Burn(nanos=nanos, within_ms=within_ms):
            return f"{short_dollars(nanos)} in {length(within_ms)}"
        case Share(percent=percent, minimum_calls=calls):
            return f"a share of {percent}% from {calls} calls on"
        case Pace(percent=percent, by=by, budget=budget):
            return f"{percent}% of {budget} by {by}"
        case Outside(nanos=nanos, text=text):
            return f"{short_dollars(nanos)} outside {text}"


def _selector(selector: Selector) -> str:
    return ", ".join(f"{name} {' or '.join(texts)}" for name, texts in selector.as_data().items())


def _receivers(old: Policy, new: Policy) -> Iterator[_Said]:
    """Addresses are never shown: what is not their service's name may be a secret."""
    was_teams, now_teams = ({team.name: team.notify for team in policy.roster.teams} for policy in (old, new))
    places = [("notify", old.notify, new.notify)]
    places += [
        (f"teams.{name}.notify", was_teams.get(name, ()), now_teams.get(name, ()))
        for name in dict.fromkeys((*was_teams, *now_teams))
    ]
    for where, was, now in places:
        if was != now:
            addresses = ", and addresses differ" if _readdressed(was, now) else ""
            yield where, f"{where}: {_told(was)} -> {_told(now)}{addresses}"


def _readdressed(was: tuple[Notify, ...], now: tuple[Notify, ...]) -> bool:
    """Whether a service that is told before and after is told at another address, or all is said alike and is not."""
    before, after = (
        {name: {each.to for each in side if service(each) == name} for name in map(service, side)}
        for side in (was, now)
    )
    return _told(was) == _told(now) or any(before[name] != after[name] for name in before.keys() & after.keys())


def _told(entries: tuple[Notify, ...]) -> str:
    return "; ".join(f"{service(entry)} for {', '.join(entry.purposes)}" for entry in entries) or "nobody"


def _approvers(approvers: tuple[Approver, ...]) -> dict[str, str]:
    """Each with all that is said of it, since one person may approve more for some than for others."""
    found: dict[str, list[str]] = {}
    for each in approvers:
        whose = f" for {_selector(each.reach)}" if each.reach.clauses else ""
        words = f"up to {short_dollars(each.up_to_nanos)}{whose} with {each.key}"
        found.setdefault(each.person, []).append(words)
    return {person: "; ".join(sorted(words)) for person, words in found.items()}


def _pairs(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str | None, str | None]]:
    for name in dict.fromkeys((*was, *now)):
        if was.get(name) != now.get(name):
            yield name, was.get(name), now.get(name)


def _changed(name: str, was: str | None, now: str | None, *, gone: str, come: str) -> str:
    if was is None:
        return f"{name}: {come}: {now}"
    return f"{name}: {gone}: {was}" if now is None else f"{name}: {was} -> {now}"
