"""What one rule says of one call: a line of `explain`, and how those of budgets, exceptions and rates are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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


def budget_lines(policy: Policy, budget: Budget, facts: Facts, standings: list[Standing]) -> Iterator[Line]:
    if not standings:
        yield Line(budget.name, "budget", False, _no_scope(budget, facts))
    for standing in standings:
        scope = standing.scope
        limit_nanos = standing.limit_nanos
        left = limit_nanos - standing.settled_nanos - standing.held_nanos
        value = scope.value.replace("|", ", ") or "all"
        what = "" if scope.enforced else ", and only records" if budget.enforce_action else ", and only warns"
        room = Beside.of(limit_nanos, standing.settled_nanos, standing.held_nanos)
        says = f"{dollars(room.left)} left of {dollars(room.limit)} for {value}{what}{_source(scope, standing.limit)}"
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


def exception_line(policy: Policy, spec: BudgetException, facts: Facts, now_ms: int, *, counted: bool) -> Line:
    """Whether an exception raises its budget's limit for this call now."""
    name = f"{spec.budget}: {spec.reason}"
    other = outside(spec.match, EVERY, facts)
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


def rate_lines(rate: Rate, facts: Facts, standings: list[Standing]) -> Iterator[Line]:
    if not standings:
        yield Line(rate.name, "rate", False, _no_scope(rate, facts))
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


def _no_scope(budget: Budget | Rate, facts: Facts) -> str:
    other = outside(budget.match, budget.excepted, facts)
    if other:
        return other
    lacking = next((name for name in budget.per if not facts.values.get(name)), None)
    if lacking is None:
        return "does not count it"
    says = "which it refuses" if budget.missing == Missing.REFUSE else "so it does not count it"
    return f"is kept per {lacking}, and the call has no {lacking}, {says}"


def outside(match: Selector, excepted: Selector, facts: Facts) -> str | None:
    """Why a rule is not about the call; None where it is."""
    for clause in match.clauses:
        if not clause.may_fit(facts):
            about = f"is about {clause.attribute} {' or '.join(clause.texts)}"
            lacks = not facts.values.get(clause.attribute)
            return about + (f"; of this call no {clause.attribute} is {_known(clause.attribute)}" if lacks else "")
    if excepted.fits(facts):
        named = "; ".join(f"{clause.attribute} {' or '.join(clause.texts)}" for clause in excepted.clauses)
        return f"excepts {named}"
    return None


def reason(refuse: Refuse) -> str:
    return f"refuses: {refuse.reason}" + (f"; {refuse.suggest} is allowed" if refuse.suggest else "")


def _known(attribute: str) -> str:
    """How a call comes by it: by what is said of it, or by the person's or machine's entry in the policy."""
    return "listed" if attribute in OF_THE_ROSTER else "said"
