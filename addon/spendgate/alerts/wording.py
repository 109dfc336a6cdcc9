"""What an alert says: one sentence with the figures, and the command that shows the calls behind it."""

from __future__ import annotations

import shlex
from datetime import UTC, date, datetime
from typing import Final

from spendgate.alert_rules import HUNDRED, AlertRule, Burn, Outside, Pace, Share, Spike
from spendgate.alerts.interface import Figures
from spendgate.money import short_dollars
from spendgate.selector import Facts, Selector, is_glob

_SHOWN: Final = frozenset(
    {"person", "machine", "tool", "provider", "session", "api_key", "account", "project", "billing"}
)
"""Attributes by which `calls --where` finds the very calls that a rule means. A team's children, a person's other groups and a
model's spellings it does not compare: where a rule goes by those, it shows more calls than the rule counts."""


def threshold_text(
    budget: str, value: str, percent: int, figures: Figures, limit_nanos: int, *, gone_on: date | None = None
) -> str:
    """`person/month of alice: $80.10 of $100 is spent, 80% and more; at this pace it is gone on 2026-11-27`."""
    pace = f"; at this pace it is gone on {gone_on}" if gone_on is not None else ""
    return (
        f"{_of(budget, value)}: {_money(figures.spent_nanos)} of {_money(limit_nanos)} is spent, "
        f"{_reaches(figures.spent_nanos, limit_nanos, percent)}{pace}"
    )


def _reaches(spent: int | None, limit_nanos: int, percent: int) -> str:
    if (spent or 0) * HUNDRED >= percent * limit_nanos:
        return f"{percent}% and more"
    return f"less than {percent}%, and a call was refused"


def text(rule: AlertRule, value: str, figures: Figures, limit_nanos: int | None) -> str:
    """The sentence of an alert rule. `limit_nanos` is the budget's, for a pace."""
    spent, mark = _money(figures.spent_nanos), _money(figures.mark_nanos)
    whose = _of(rule.name, value)
    match rule.form:
        case Spike(times_hundredths=hundredths, days=days):
            mean = f"the mean of the {days} days before is {mark}"
            return f"{whose}: {spent} on one day, where {mean} (told from {times(hundredths)} of it on)"
        case Burn(within_ms=within_ms):
            return f"{whose}: {spent} within {length(within_ms)} (told from {mark} on)"
        case Share(percent=percent):
            return f"{whose}: {figures.calls} of {figures.of_calls} calls of one day fit (told from {percent}% on)"
        case Pace(percent=percent, by=by, budget=budget):
            of = f"{spent} of {_money(limit_nanos)} of {budget} is spent"
            return f"{whose}: {of} before the end of {by} (told from {percent}% on)"
        case Outside(text=hours):
            return f"{whose}: {spent} outside {hours} (told from {mark} on)"


def command(facts: Facts, per: tuple[str, ...], match: Selector, since_ms: int) -> str:
    """`spendgate calls --since … --where …`, which a shell takes as it stands."""
    wanted = {name: texts[0] for name in per if name in _SHOWN and (texts := facts.values.get(name))}
    for clause in match.clauses:
        alone = len(clause.texts) == 1 and not is_glob(clause.texts[0])
        if alone and clause.attribute in _SHOWN and (own := facts.values.get(clause.attribute)):
            wanted.setdefault(clause.attribute, own[0])
    since = datetime.fromtimestamp(since_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    words = ["spendgate", "calls", "--since", since]
    for name, value in wanted.items():
        words += ["--where", f"{name}={value}"]
    return shlex.join(words)


def _of(name: str, value: str) -> str:
    return f"{name} of {value.replace('|', ', ')}" if value else name


def _money(nanos: int | None) -> str:
    return short_dollars(nanos or 0)


def times(hundredths: int) -> str:
    """`2.5x`."""
    return f"{hundredths // 100}.{hundredths % 100:02d}".rstrip("0").rstrip(".") + "x"


def length(ms: int) -> str:
    """`1h`, `90m`, `7d`."""
    minutes = ms // 60_000
    for unit, size in (("d", 1440), ("h", 60)):
        if minutes % size == 0:
            return f"{minutes // size}{unit}"
    return f"{minutes}m"
