"""Every rule about one call, in the order in which they decide, with what each says and the room that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from spendgate import lapse, limits
from spendgate.adaptive import Settled
from spendgate.admission import Admit, RefusalKind, Refuse, decide, who_refuses
from spendgate.budget import Budget, Missing
from spendgate.contracts import PERSONAL_RULE
from spendgate.exceptions import BudgetException, Granted
from spendgate.fitting import enforces, model_refusal, scopes
from spendgate.limits import Claim
from spendgate.model_rules import refused_by
from spendgate.money import Beside, dollars
from spendgate.policy import Policy
from spendgate.rates import Rate, length, rate_scopes
from spendgate.review.cases import provider_of
from spendgate.selector import EVERY, PERSONAL, PLAN, Facts, Selector
from spendgate.standing import KindStanding, Limit, Scope, Size, Standing
from spendgate.window import local_date

Standings = Callable[[tuple[Scope, ...]], tuple[Standing, ...]]
"""The balances of these scopes as they are; of rates what they have counted."""

NO_LEDGER: Final = "no ledger: nothing is known to be spent"


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


def explain(
    policy: Policy,
    facts: Facts,
    now_ms: int,
    cost_nanos: int,
    standings: Standings | None,
    *,
    flows: Standings | None = None,
    unlisted: Refuse | None = None,
) -> tuple[Line, ...]:
    """What each rule of `policy` says of a call with these facts, made at `now_ms`, that costs so much.

    `standings` are of budgets, `flows` of rates; without them nothing is known to be spent or counted. `unlisted` is the refusal
    of an account that nobody lists, where the policy refuses those.

    The last line is what becomes of it: decided as the gate does, but that nothing is waited for.
    """
    seen = _capture(policy, facts)
    if "provider" not in facts.values and (
        made := provider_of({"model": next(iter(facts.values.get("model", ())), "")})
    ):
        facts = replace(facts, values={**facts.values, "provider": (made,)})
    word, account = _billing(policy, facts)
    facts = replace(facts, values={**facts.values, "billing": (word,)}) if word else facts
    enforced = enforces(policy, facts)
    lines = [seen, _mode(policy, enforced)]
    lines += [Line(unlisted.rule, "people", True, _reason(unlisted))] if unlisted is not None else []
    lines += [*_agreed(policy, facts, now_ms, account), *_models(policy, facts)]
    on_plan, counts = word == PLAN, policy.billing.counts(word)
    found = scopes(policy, facts, now_ms, enforced, on_plan=on_plan) if on_plan or counts else ()
    known = standings(found) if standings is not None else tuple(map(_untouched, found))
    for budget in policy.budgets:
        drawn = [each for each in known if each.scope.budget == budget.name and not each.scope.tally]
        lines += _budget(policy, budget, facts, drawn)
        lines += [
            _exception(policy, each, facts, now_ms, counted=bool(drawn))
            for each in policy.raising
            if each.budget == budget.name
        ]
    rated = rate_scopes(policy.rate_draws, facts, enforced, personal=policy.billing.counts(PERSONAL))
    flowing = flows(rated) if flows is not None else tuple(map(_untouched, rated))
    for rate in policy.rates:
        lines += _rate(rate, facts, [each for each in flowing if each.scope.budget == rate.name])
    whole = lapse.refusal(policy, now_ms)
    if whole is not None:
        lines.append(Line(whole.rule, "file", True, _reason(whole)))
    by_rule = unlisted or account or model_refusal(policy, facts) or whole
    if seen.applies:
        lines.append(_end(by_rule, (*known, *flowing), cost_nanos, now_ms, enforced=enforced))
    else:
        lines.append(Line("call", "call", True, "leaves unseen: what is not decrypted is asked nothing"))
    return tuple(lines)


def _billing(policy: Policy, facts: Facts) -> tuple[str, Refuse | None]:
    """Its billing word, where it has one, and the refusal of its account."""
    provider, account, said = (
        next(iter(facts.values.get(name, ())), "") for name in ("provider", "account", "billing")
    )
    reason = policy.billing.refuses(provider, account, said)
    if said == PERSONAL and not account and policy.billing.personal == "refuse":
        whose = f"{provider} account" if provider else "account"
        reason = f"the {whose} is not the company's"
    refusal = None if reason is None else Refuse(RefusalKind.RULE, PERSONAL_RULE, reason)
    return policy.billing.word(provider, account, said), refusal


def _agreed(policy: Policy, facts: Facts, now_ms: int, account: Refuse | None) -> Iterator[Line]:
    """What is agreed with its provider about it: whose account it is on, its price, and the seat that pays for it."""
    word = next(iter(facts.values.get("billing", ())), "")
    if account is not None:
        yield Line(account.rule, "account", True, _reason(account))
    elif word == PERSONAL:
        counts = "is counted" if policy.billing.counts(word) else "is in no budget"
        yield Line(PERSONAL_RULE, "account", True, f"its account is personal: it {counts}")
    elif word == PLAN:
        seat = policy.billing.seat_of(facts)
        pays = f"the seat {seat.name} pays for it" if seat else "its plan pays for it"
        yield Line("billing.seats", "account", True, f"{pays}: it costs nothing")
    change = policy.adjustments.of(facts, now_ms).asked
    if change is not None and word != PLAN:
        yield Line(change.where, "price", True, f"costs {'list price ' if not change.rates else ''}{change.words}")


def _untouched(scope: Scope) -> Standing:
    """A balance of which nothing is known."""
    limit = limits.limit(scope, Settled(0, 0), lambda _: 0, lambda _: Claim.NONE) if scope.moves else None
    return Standing(scope, 0, 0, 0, 0, 0, limit=limit)


def _capture(policy: Policy, facts: Facts) -> Line:
    """Whether the call is seen at all: it applies where it is, or may be."""
    said = next(iter(facts.values.get("provider", ())), "")
    named = policy.capture.providers
    if "gateway" in facts.values.get("billing", ()):
        return Line("capture", "capture", True, "the gateway is decrypted")
    if named is None:
        return Line("capture", "capture", True, f"{said or 'every known provider'} is decrypted")
    provider = said or provider_of({"model": next(iter(facts.values.get("model", ())), "")})
    if not provider:
        says = f"of the known providers only {', '.join(named)} is decrypted; say which: --with provider={named[0]}"
        return Line(
            "capture", "capture", True, says if len(named) == 1 else says.replace(" is decrypted", " are decrypted")
        )
    if provider in named:
        return Line("capture", "capture", True, f"{provider} is decrypted")
    return Line("capture", "capture", False, f"{provider} is not decrypted: capture names {', '.join(named)}")


def _mode(policy: Policy, enforced: bool) -> Line:
    says = "what does not fit is refused" if enforced else "what does not fit is recorded and let through"
    staged = ", but enforced for this call" if enforced and policy.mode.default == "observe" else ""
    return Line("mode", "mode", True, f"{policy.mode.default}{staged}: {says}")


def _models(policy: Policy, facts: Facts) -> Iterator[Line]:
    for rule, patterns in policy.model_patterns:
        outside = _outside(rule.match, rule.excepted, facts)
        if outside:
            yield Line(rule.name, "model", False, outside)
            continue
        refusal = refused_by(rule, patterns, facts)
        says = _reason(refusal) if refusal else "lets it through"
        yield Line(rule.name, "model", True, says)


def _budget(policy: Policy, budget: Budget, facts: Facts, standings: list[Standing]) -> Iterator[Line]:
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


def _exception(policy: Policy, spec: BudgetException, facts: Facts, now_ms: int, *, counted: bool) -> Line:
    """Whether an exception raises its budget's limit for this call now."""
    name = f"{spec.budget}: {spec.reason}"
    outside = _outside(spec.match, EVERY, facts)
    if outside or not counted:
        return Line(name, "exception", False, outside or "its budget does not count the call")
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


def _rate(rate: Rate, facts: Facts, standings: list[Standing]) -> Iterator[Line]:
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
    outside = _outside(budget.match, budget.excepted, facts)
    if outside:
        return outside
    lacking = next((name for name in budget.per if not facts.values.get(name)), None)
    if lacking is None:
        return "does not count it"
    says = "which it refuses" if budget.missing == Missing.REFUSE else "so it does not count it"
    return f"is kept per {lacking}, and the call has no {lacking}, {says}"


def _outside(match: Selector, excepted: Selector, facts: Facts) -> str | None:
    """Why a rule is not about the call; None where it is."""
    for clause in match.clauses:
        if not clause.may_fit(facts):
            return f"is about {clause.attribute} {' or '.join(clause.texts)}"
    if excepted.fits(facts):
        named = "; ".join(f"{clause.attribute} {' or '.join(clause.texts)}" for clause in excepted.clauses)
        return f"excepts {named}"
    return None


def _reason(refuse: Refuse) -> str:
    return f"refuses: {refuse.reason}" + (f"; {refuse.suggest} is allowed" if refuse.suggest else "")


def _end(
    by_rule: Refuse | None, standings: tuple[Standing, ...], cost_nanos: int, now_ms: int, *, enforced: bool
) -> Line:
    size = Size(cost_nanos, cost_nanos, cost_nanos, cost_nanos, cost_nanos, seen=100, own_seen=100)
    decision = decide(standings, KindStanding("explained", settled=100), size, now_ms=now_ms, patient=False)
    refusals = [by_rule] if by_rule else []
    if isinstance(decision, Refuse):
        refusals.append(decision)
    if refusals and (enforced or isinstance(decision, Refuse)):
        return Line("call", "call", True, f"is refused by {who_refuses(refusals).rule}: {who_refuses(refusals).reason}")
    would = [*refusals, *([decision.would_refuse] if isinstance(decision, Admit) and decision.would_refuse else [])]
    if would:
        return Line("call", "call", True, f"leaves, and would be refused by {who_refuses(would).rule}")
    return Line("call", "call", True, "leaves")
