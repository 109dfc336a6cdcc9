"""A budget as `status` shows it: a row, and what the row has no room for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from spendgate import limits
from spendgate.cli.moments import shown
from spendgate.cli.output import Column
from spendgate.money import Beside, dollars, short_dollars
from spendgate.policy import Policy
from spendgate.standing import Standing
from spendgate.window import zone_of

_YEAR = re.compile(r"^\d{4}-(?=\d{2}-\d{2} )", re.ASCII)
COLUMNS = (
    Column("budget", "budget", weight=0),
    Column("value", "for", weight=0),
    Column("spent", "spent", right=True, weight=0),
    Column("held", "held", right=True, weight=0),
    Column("limit", "limit", right=True, weight=0),
    Column("left", "left", right=True, weight=2),
    Column("used", "used", right=True, weight=4),
    Column("resets", "resets", weight=3),
    Column("mode", "mode", weight=1),
)
KEYS = (
    "budget", "value", "window", "spent_nanos", "held_nanos", "limit_nanos", "left_nanos", "used", "open_calls", "resets",
    "resets_ms", "hold", "mode", "counts", "limit_from", "per_machine_nanos", "billed_nanos", "billed_by",
)  # fmt: skip
"""What `row` gives, in its order: the header of CSV also where no budget applies."""


def row(standing: Standing, policy: Policy, billed_by: tuple[str, ...] = ()) -> dict[str, object]:
    """The row of one budget; `billed_by`: the imports that say what of it was billed and not captured."""
    scope = standing.scope
    limit_nanos = standing.limit_nanos
    left = limit_nanos - standing.settled_nanos - standing.held_nanos
    percent = 100 * standing.settled_nanos // limit_nanos if limit_nanos else 100
    budget = next(each for each in policy.budgets if each.name == scope.budget)
    zone = zone_of(policy.timezone)
    slides = f"slides, {_length(scope.rolling_ms)}" if scope.rolling_ms else "never"
    return {
        "budget": scope.budget,
        "value": scope.value.replace("|", ", ") or "all",
        "window": scope.window,
        "spent_nanos": standing.settled_nanos,
        "held_nanos": standing.held_nanos,
        "limit_nanos": limit_nanos,
        "left_nanos": left,
        "used": f"{percent}%",
        "open_calls": standing.open_calls,
        "resets": shown(scope.ends_ms, zone) or slides,
        "resets_ms": scope.ends_ms,
        "hold": scope.hold.value,
        "mode": "enforced" if scope.enforced else "observed",
        "counts": budget.counts,
        "limit_from": limits.told(scope, standing.limit) if standing.limit is not None else "",
        "per_machine_nanos": budget.per_machine_nanos,
        "billed_nanos": standing.billed_nanos,
        "billed_by": list(billed_by),
    }


def beside(budget: Mapping[str, Any]) -> dict[str, object]:
    """A row for people, whose figures add up as they are printed."""
    figures = Beside.of(budget["limit_nanos"], budget["spent_nanos"], budget["held_nanos"])
    amounts = {"spent": figures.spent, "held": figures.held, "limit": figures.limit, "left": figures.left}
    # Without its year: few windows are longer, and the table must fit beside the rest.
    resets = _YEAR.sub("", str(budget["resets"]))
    return {**budget, "resets": resets, **{name: dollars(nanos) for name, nanos in amounts.items()}}


def remarks(budget: Mapping[str, Any]) -> Iterable[str]:
    """What a budget's row has no room for."""
    whose = f"{budget['budget']} ({budget['value']})"
    if budget["limit_from"]:
        yield f"{whose}: the limit, {short_dollars(budget['limit_nanos'])}: {budget['limit_from']}"
    if budget["counts"] == "value":
        yield f"{whose}: counts subscription traffic, too, at list price"
    if budget["counts"] == "billed":
        by = f" (import {', '.join(budget['billed_by'])})" if budget["billed_by"] else ""
        yield f"{whose}: of that billed, not captured here: {dollars(budget['billed_nanos'])}{by}"
    if budget["per_machine_nanos"] is not None:
        alone = short_dollars(budget["per_machine_nanos"])
        yield f"{whose}: a machine that cannot reach the fleet's ledger may take {alone}; without a hub the limit holds"


def _length(ms: int) -> str:
    """A rolling window as the policy writes it: `7d`, `24h`, `30m`."""
    minutes = ms // 60_000
    if minutes % 1440 == 0 and minutes > 1440:
        return f"{minutes // 1440}d"
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"
