"""Every rule about one call, in the order in which they decide, with what each says and the room that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from spendgate import lapse
from spendgate.admission import Admit, RefusalKind, Refuse, decide, who_refuses
from spendgate.contracts import PERSONAL, PERSONAL_RULE, SUBSCRIPTION
from spendgate.money import Beside, dollars
from spendgate.policy import Budget, Missing, Policy, enforces, model_refusal, scopes
from spendgate.selector import Facts, Selector
from spendgate.standing import KindStanding, Scope, Size, Standing

Standings = Callable[[tuple[Scope, ...]], tuple[Standing, ...]]
"""The balances of these scopes as they are."""

NO_LEDGER: Final = "no ledger: nothing is known to be spent"


@dataclass(frozen=True, slots=True)
class Line:
    """One rule. Nano-dollars; None where it has none."""

    rule: str
    kind: str
    """`capture`, `mode`, `people`, `account`, `price`, `model`, `budget` or `call` (the last: what becomes of it)."""
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
    unlisted: Refuse | None = None,
) -> tuple[Line, ...]:
    """What each rule of `policy` says of a call with these facts, made at `now_ms`, that costs so much.

    `unlisted` is the refusal of an account that nobody lists, where the policy refuses those.

    The last line is what becomes of it: decided as the gate does, but that nothing is waited for.
    """
    word, account = _billing(policy, facts)
    facts = replace(facts, values={**facts.values, "billing": (word,)}) if word else facts
    enforced = enforces(policy, facts)
    lines = [_capture(policy, facts), _mode(policy, enforced)]
    lines += [Line(unlisted.rule, "people", True, _reason(unlisted))] if unlisted is not None else []
    lines += [*_agreed(policy, facts, now_ms, account), *_models(policy, facts)]
    on_plan = word == SUBSCRIPTION
    drawn = on_plan or policy.billing.counts(word)
    found = scopes(policy, facts, now_ms, enforced, on_plan=on_plan) if drawn else ()
    known = standings(found) if standings is not None else tuple(Standing(scope, 0, 0, 0, 0, 0) for scope in found)
    for budget in policy.budgets:
        lines += _budget(policy, budget, facts, [each for each in known if each.scope.budget == budget.name])
    whole = lapse.refusal(policy, now_ms)
    if whole is not None:
        lines.append(Line(whole.rule, "file", True, _reason(whole)))
    by_rule = unlisted or account or model_refusal(policy, facts) or whole
    lines.append(_end(by_rule, known, cost_nanos, now_ms, enforced=enforced))
    return tuple(lines)


def _billing(policy: Policy, facts: Facts) -> tuple[str, Refuse | None]:
    """Its billing word, where it has one, and the refusal of its account."""
    provider, account, said = (
        next(iter(facts.values.get(name, ())), "") for name in ("provider", "account", "billing")
    )
    reason = policy.billing.refuses(provider, account, said)
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
    elif word == SUBSCRIPTION:
        seat = policy.billing.seat_of(facts)
        pays = f"the seat {seat.name} pays for it" if seat else "its plan pays for it"
        yield Line("billing.seats", "account", True, f"{pays}: it costs nothing")
    change = policy.adjustments.of(facts, now_ms).asked
    if change is not None and word != SUBSCRIPTION:
        yield Line(change.where, "price", True, f"costs {'list price ' if not change.rates else ''}{change.words}")


def _capture(policy: Policy, facts: Facts) -> Line:
    provider = facts.values.get("provider", ("",))[0]
    named = policy.capture.providers
    seen = not provider or named is None or provider in named
    says = "is decrypted" if seen else f"is not decrypted: capture names {', '.join(named or ())}"
    return Line("capture", "capture", True, f"{provider or 'every known provider'} {says}")


def _mode(policy: Policy, enforced: bool) -> Line:
    says = "what does not fit is refused" if enforced else "what does not fit is recorded and let through"
    return Line("mode", "mode", True, f"{policy.mode.default}: {says}")


def _models(policy: Policy, facts: Facts) -> Iterator[Line]:
    for rule in policy.models:
        outside = _outside(rule.match, rule.excepted, facts)
        if outside:
            yield Line(rule.name, "model", False, outside)
            continue
        refusal = model_refusal(policy.model_copy(update={"models": (rule,), "budgets": ()}), facts)
        says = _reason(refusal) if refusal else "lets it through"
        yield Line(rule.name, "model", True, says)


def _budget(policy: Policy, budget: Budget, facts: Facts, standings: list[Standing]) -> Iterator[Line]:
    if not standings:
        yield Line(budget.name, "budget", False, _no_scope(budget, facts))
    for standing in standings:
        scope = standing.scope
        left = scope.limit_nanos - standing.settled_nanos - standing.held_nanos
        value = scope.value.replace("|", ", ") or "all"
        what = "" if scope.enforced else ", and only records" if budget.enforce_action else ", and only warns"
        room = Beside.of(scope.limit_nanos, standing.settled_nanos, standing.held_nanos)
        says = f"{dollars(max(0, room.left))} left of {dollars(room.limit)} for {value}{what}"
        yield Line(
            budget.name,
            "budget",
            True,
            says,
            spent_nanos=standing.settled_nanos,
            held_nanos=standing.held_nanos,
            limit_nanos=scope.limit_nanos,
            left_nanos=left,
            resets_ms=scope.ends_ms,
            value=value,
        )


def _no_scope(budget: Budget, facts: Facts) -> str:
    outside = _outside(budget.match, budget.excepted, facts)
    if outside:
        return outside
    lacking = next((name for name in budget.per if not facts.values.get(name)), None)
    if lacking is None:
        return "does not count it"
    says = "which it refuses" if budget.missing is Missing.REFUSE else "so it does not count it"
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
