"""What one rule says of one call: a line of `explain`, and how those of budgets, exceptions and rates are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from spendgate import limits
from spendgate.admission import Refuse
from spendgate.budget import Budget, Missing
from spendgate.exceptions import BudgetException, Granted
from spendgate.money import Beside, dollars
from spendgate.policy import Policy
from spendgate.rates import Rate, length
from spendgate.review.asked import OF_THE_ROSTER
from spendgate.selector import EVERY, Facts, Selector
from spendgate.standing import Limit, Scope, Standing
from spendgate.window import local_date

Assumed = frozenset[str]
"""Attributes that the call has though nobody said them."""
NOTHING: Final[Assumed] = frozenset()


@dataclass(frozen=True, slots=True)
class Line:
    """One rule. Nano-dollars; None where it has none."""

    rule: str
    kind: str
    """`capture`, `mode`, `people`, `account`, `price`, `model`, `budget`, `exception`, `rate`, `file` or
    `call` (what becomes of it)."""
    applies: bool
    says: str
    spent_nanos: int | None = None
    held_nanos: int | None = None
    limit_nanos: int | None = None
    left_nanos: int | None = None
    resets_ms: int | None = None
    value: str = ""


def budget_lines(
    policy: Policy, budget: Budget, facts: Facts, standings: list[Standing], assumed: Assumed,
    *, refuses: Callable[[Standing], bool] = lambda _: False, enforced: bool,
) -> Iterator[Line]:  # fmt: skip
    """One line for each allowance that it draws on; `refuses` says of which it does not fit."""
    if not standings:
        refused = budget.enforce_action and _lacking(budget, facts, assumed)
        yield Line(budget.name, "budget", refused, _no_scope(budget, facts, assumed, enforced=enforced))
    for standing in standings:
        scope = standing.scope
        limit_nanos = standing.limit_nanos
        left = limit_nanos - standing.settled_nanos - standing.held_nanos
        value = scope.value.replace("|", ", ") or "all"
        what = "" if scope.enforced else ", and only records" if budget.enforce_action else ", and only warns"
        room = Beside.of(limit_nanos, standing.settled_nanos, standing.held_nanos)
        mark = ("refuses: " if scope.enforced else "would refuse: ") if refuses(standing) else ""
        says = f"{mark}{dollars(room.left)} left of {dollars(room.limit)} for {value}{what}{_source(scope, standing.limit)}"
        yield Line(
            budget.name,
            "budget",
            True,
            says,
            spent_nanos=standing.settled_nanos,
            held_nanos=standing.held_nanos,
            limit_nanos=limit_nanos,
            left_nanos=left,
            resets_ms=scope.ends_ms,
            value=value,
        )


def _source(scope: Scope, limit: Limit | None) -> str:
    """Where a limit comes from that is not simply what the file says."""
    source = limits.told(scope, limit) if limit is not None else ""
    return f" (the limit: {source})" if source else ""


def exception_line(
    policy: Policy, spec: BudgetException, facts: Facts, now_ms: int, assumed: Assumed, *, counted: bool
) -> Line:
    """Whether an exception raises its budget's limit for this call now."""
    name = f"{spec.budget}: {spec.reason}"
    other = outside(spec.match, EVERY, facts, assumed)
    if other or not counted:
        return Line(name, "exception", False, other or "its budget does not count the call")
    if now_ms < spec.from_ms:
        return Line(name, "exception", False, f"begins on {local_date(policy.timezone, spec.from_ms)}")
    last = local_date(policy.timezone, spec.until_ms - 1)
    if now_ms >= spec.until_ms:
        return Line(name, "exception", False, f"ended on {last}; what was spent under it counts in it")
    if not spec.match.fits(facts) and spec.match.clauses:
        return Line(name, "exception", False, "is for a model that the call may become, and only where that is sure")
    more = (
        f"adds {dollars(spec.add_nanos)}" if spec.add_nanos is not None else f"allows {dollars(spec.limit_nanos or 0)}"
    )
    once = ", for one window" if spec.once else ""
    return Line(name, "exception", True, f"{more}{once} until {last}; {_by(spec)}")


def _by(spec: BudgetException) -> str:
    if isinstance(spec, Granted):
        return f"granted by {spec.approved_by}"
    return f"approved by {spec.approved_by} (as claimed)"


def rate_lines(
    rate: Rate, facts: Facts, standings: list[Standing], assumed: Assumed, *, enforced: bool
) -> Iterator[Line]:
    if not standings:
        says = _no_scope(rate, facts, assumed, enforced=enforced)
        yield Line(rate.name, "rate", _lacking(rate, facts, assumed), says)
    for standing in standings:
        limits_, flow, scope = rate.limits, standing.flow, standing.scope
        parts = [
            f"{used:,} of {sliding.most:,} {what} per {length(sliding.length_ms)}"
            for what, sliding, used in (
                ("requests", limits_.requests, flow.requests),
                ("tokens", limits_.tokens, flow.tokens),
            )
            if sliding is not None
        ]
        if limits_.parallel is not None:
            parts.append(f"{standing.open_calls:,} of {limits_.parallel:,} calls at once")
        value = scope.value.replace("|", ", ") or "all"
        what = "" if scope.enforced else ", and only records"
        yield Line(rate.name, "rate", True, f"{', '.join(parts)} used for {value}{what}", value=value)


def _lacking(rule: Budget | Rate, facts: Facts, assumed: Assumed) -> bool:
    """Whether it refuses the call for something that its `per` asks for, and the call has not."""
    if rule.missing != Missing.REFUSE or outside(rule.match, rule.excepted, facts, assumed):
        return False
    return any(not facts.values.get(name) for name in rule.per)


def _no_scope(budget: Budget | Rate, facts: Facts, assumed: Assumed, *, enforced: bool) -> str:
    other = outside(budget.match, budget.excepted, facts, assumed)
    if other:
        return other
    lacking = next((name for name in budget.per if not facts.values.get(name)), None)
    if lacking is None:
        return (
            f"does not count calls with billing {facts.values['billing'][0]}"
            if "billing" in facts.values
            else "does not count it"
        )
    refuses = f"so it {'refuses' if enforced else 'would refuse'} it"
    acts = not isinstance(budget, Budget) or budget.enforce_action
    says = refuses if budget.missing == Missing.REFUSE and acts else "so it does not count it"
    return f"is kept per {lacking}, and the call has no {lacking}, {says}"


def outside(match: Selector, excepted: Selector, facts: Facts, assumed: Assumed = NOTHING) -> str | None:
    """Why a rule is not about the call; None where it is."""
    for clause in match.clauses:
        if not clause.may_fit(facts):
            about = f"is about {clause.attribute} {' or '.join(clause.texts)}"
            return about + _lacks(clause.attribute, facts) + _assumed((clause.attribute,), facts, assumed)
    if excepted.lets_off(facts):
        named = "; ".join(f"{clause.attribute} {' or '.join(clause.texts)}" for clause in excepted.clauses)
        return f"excepts {named}" + _assumed((clause.attribute for clause in excepted.clauses), facts, assumed)
    return None


def _lacks(attribute: str, facts: Facts) -> str:
    if facts.values.get(attribute):
        return ""
    of = OF_THE_ROSTER.get(attribute)
    if of is None:
        return f"; of this call no {attribute} is said"
    return f"; its {of} has none" if facts.values.get(of) else ""


def _assumed(asked: Iterable[str], facts: Facts, assumed: Assumed) -> str:
    """That it hangs on what nobody said of the call."""
    by = dict.fromkeys("machine" if name == "machine_group" else name for name in asked)
    told = [f"{name} {facts.values[name][0]}" for name in by if name in assumed]
    return f"; of this call {' and '.join(told)} {'is' if len(told) == 1 else 'are'} assumed" if told else ""


def reason(refuse: Refuse, *, enforced: bool) -> str:
    """What a rule without money says of a call that it refuses, or would where the mode only observes it."""
    verb = "refuses" if enforced else "would refuse"
    return f"{verb}: {refuse.reason}" + (f"; {refuse.suggest} is allowed" if refuse.suggest else "")
