"""Every rule about one call, in the order in which they decide, with what each says and the room that is left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Final

from spendgate import lapse, limits
from spendgate.adaptive import Settled
from spendgate.admission import Admit, RefusalKind, Refuse, decide, who_refuses
from spendgate.contracts import GATEWAY, PERSONAL_RULE
from spendgate.fitting import enforces, model_refusal, scopes
from spendgate.gate.wording import message
from spendgate.limits import Claim
from spendgate.model_rules import refused_by
from spendgate.policy import Policy
from spendgate.rates import rate_scopes
from spendgate.replay.past_terms import billing_word
from spendgate.review.asked import never_at, never_seen, own_at, provider_of, stated
from spendgate.review.lines import NOTHING, Assumed, Line, budget_lines, exception_line, outside, rate_lines, reason
from spendgate.selector import PERSONAL, PLAN, Facts
from spendgate.standing import KindStanding, Scope, Size, Standing

Standings = Callable[[tuple[Scope, ...]], tuple[Standing, ...]]
"""The balances of these scopes as they are; of rates what they have counted."""

NO_LEDGER: Final = "no ledger: nothing is known to be spent"


def explain(
    policy: Policy,
    facts: Facts,
    now_ms: int,
    cost_nanos: int,
    standings: Standings | None,
    *,
    flows: Standings | None = None,
    unlisted: Refuse | None = None,
    assumed: Assumed = NOTHING,
    stating: Collection[str] = (),
    asks: str = "",
) -> tuple[Line, ...]:
    """What each rule of `policy` says of a call with these facts, made at `now_ms`, that costs so much.

    `standings` are of budgets, `flows` of rates; without them nothing is known to be spent or counted. `unlisted` is the refusal
    of an account that nobody lists, where the policy refuses those; `assumed` what the call has though nobody said it; `stating`
    the providers whose own word on a call's cost counts, which nothing bounds; `asks` the command that asks for more.

    The last line is what becomes of it: decided as the gate does, but that nothing is waited for, and in the words that it sends.
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
    lines += [Line(unlisted.rule, "people", True, reason(unlisted, enforced=enforced))] if unlisted is not None else []
    lines += _agreed(policy, facts, now_ms, account, enforced=enforced)
    lines += _models(policy, facts, assumed, enforced=enforced)
    on_plan, counts = word == PLAN, policy.billing.counts(word)
    found = scopes(policy, facts, now_ms, enforced, on_plan=on_plan) if on_plan or counts else ()
    known = standings(found) if standings is not None else tuple(map(_untouched, found))
    unbounded = stated(next(iter(facts.values.get("provider", ())), ""), word, stating)
    size = _sized(cost_nanos, None if unbounded else cost_nanos)
    for budget in policy.budgets:
        drawn = [each for each in known if each.scope.budget == budget.name and not each.scope.tally]
        lines += budget_lines(
            policy, budget, facts, drawn, assumed, refuses=lambda one: _alone(one, size, now_ms), enforced=enforced
        )
        lines += [
            exception_line(policy, each, facts, now_ms, assumed, counted=bool(drawn))
            for each in policy.raising
            if each.budget == budget.name
        ]
    rated = rate_scopes(policy.rate_draws, (facts,), enforced, personal=policy.billing.counts(PERSONAL))
    flowing = flows(rated) if flows is not None else tuple(map(_untouched, rated))
    for rate in policy.rates:
        lines += rate_lines(
            rate, facts, [each for each in flowing if each.scope.budget == rate.name], assumed, enforced=enforced
        )
    whole = lapse.refusal(policy, now_ms)
    if whole is not None:
        lines.append(Line(whole.rule, "file", True, reason(whole, enforced=enforced)))
    by_rule = unlisted or account or model_refusal(policy, facts) or whole
    if seen.applies:
        lines.append(_end(policy, by_rule, (*known, *flowing), size, now_ms, enforced=enforced, asks=asks))
    else:
        lines.append(Line("call", "call", True, "leaves unseen: what is not decrypted is asked nothing"))
    return tuple(lines)


def _billing(policy: Policy, facts: Facts) -> tuple[str, Refuse | None]:
    """Its billing word, where it has one, and the refusal of its account."""
    provider, account, said = (
        next(iter(facts.values.get(name, ())), "") for name in ("provider", "account", "billing")
    )
    word = billing_word(policy, provider, account, said)
    why = policy.billing.refuses(provider, account, word)
    if word == PERSONAL and not account and policy.billing.personal == "refuse":
        whose = f"{provider} account" if provider else "account"
        why = f"the {whose} is not the company's"
    return word, None if why is None else Refuse(RefusalKind.RULE, PERSONAL_RULE, why)


def _agreed(policy: Policy, facts: Facts, now_ms: int, account: Refuse | None, *, enforced: bool) -> Iterator[Line]:
    """What is agreed with its provider about it: whose account it is on, its price, and the seat that pays for it."""
    word = next(iter(facts.values.get("billing", ())), "")
    if account is not None:
        yield Line(account.rule, "account", True, reason(account, enforced=enforced))
    elif word == PERSONAL:
        counts = "is counted" if policy.billing.counts(word) else "is in no budget"
        yield Line(PERSONAL_RULE, "account", True, f"its account is personal: it {counts}")
    elif word == PLAN:
        seat = policy.billing.seat_of(facts)
        pays = f"the seat {seat.name} pays for it" if seat else "its plan pays for it"
        yield Line("billing.seats", "account", True, f"{pays}: it costs nothing")
    provider, said = (next(iter(facts.values.get(name, ())), "") for name in ("provider", "account"))
    if word not in (PERSONAL, GATEWAY) and not said and policy.billing.asks_for(provider):
        own = ", ".join(each.account for each in policy.billing.accounts if each.provider == provider)
        taken = (
            f"no account is said: it is taken as the company's; of {provider} any other account than {own} is personal"
        )
        yield Line("billing.accounts", "account", True, f"{taken}: {_PERSONAL[policy.billing.personal]}")
    change = policy.adjustments.of(facts, now_ms).asked
    if change is not None and word != PLAN:
        yield Line(change.where, "price", True, f"costs {'list price ' if not change.rates else ''}{change.words}")


_PERSONAL: Final = {"ignore": "in no budget", "count": "counted", "refuse": "refused"}


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
    provider = said or provider_of({"model": next(iter(facts.values.get("model", ())), "")})
    if never_seen(policy, provider):
        return Line("capture", "capture", False, f"{provider} is not decrypted: capture.never names every host of it")
    hidden = never_at(policy, provider)
    but = f", but for {', '.join(hidden)} (capture.never)" if hidden else ""
    if named is None:
        return Line("capture", "capture", True, f"{said or 'every known provider'} is decrypted{but}")
    if not provider:
        says = f"of the known providers only {', '.join(named)} is decrypted; say which: --with provider={named[0]}"
        return Line(
            "capture", "capture", True, says if len(named) == 1 else says.replace(" is decrypted", " are decrypted")
        )
    if provider in named:
        return Line("capture", "capture", True, f"{provider} is decrypted{but}")
    if own := own_at(policy, provider):
        return Line("capture", "capture", True, f"{provider} is decrypted at {', '.join(own)} alone (capture.hosts)")
    return Line("capture", "capture", False, f"{provider} is not decrypted: capture names {', '.join(named)}")


def _mode(policy: Policy, enforced: bool) -> Line:
    says = "what does not fit is refused" if enforced else "what does not fit is recorded and let through"
    staged = ", but enforced for this call" if enforced and policy.mode.default == "observe" else ""
    return Line("mode", "mode", True, f"{policy.mode.default}{staged}: {says}")


def _models(policy: Policy, facts: Facts, assumed: Assumed, *, enforced: bool) -> Iterator[Line]:
    for rule, patterns in policy.model_patterns:
        other = outside(rule.match, rule.excepted, facts, assumed)
        if other:
            yield Line(rule.name, "model", False, other)
            continue
        refusal = refused_by(rule, patterns, facts)
        says = reason(refusal, enforced=enforced) if refusal else "lets it through"
        yield Line(rule.name, "model", True, says)


def _alone(standing: Standing, size: Size, now_ms: int) -> bool:
    """Whether the call does not fit this allowance, whatever other rules say."""
    decision = decide((standing,), _KIND, size, now_ms=now_ms, patient=False)
    return isinstance(decision, Refuse) or (isinstance(decision, Admit) and decision.would_refuse is not None)


_KIND: Final = KindStanding("explained", settled=100)


def _sized(cost_nanos: int, most_nanos: int | None) -> Size:
    return Size(most_nanos, cost_nanos, cost_nanos, cost_nanos, cost_nanos, seen=100, own_seen=100)


def _end(
    policy: Policy,
    by_rule: Refuse | None,
    standings: tuple[Standing, ...],
    size: Size,
    now_ms: int,
    *,
    enforced: bool,
    asks: str,
) -> Line:
    decision = decide(standings, _KIND, size, now_ms=now_ms, patient=False)
    would = [by_rule] if by_rule else []
    refused = isinstance(decision, Refuse) or bool(would and enforced)
    if not (would and enforced):  # a gate that refuses by such a rule asks no budget, so its sentence counts none
        would += [decision] if isinstance(decision, Refuse) else []
        would += [decision.would_refuse] if isinstance(decision, Admit) and decision.would_refuse else []
    if not would:
        return Line("call", "call", True, "leaves")
    named = who_refuses(would)
    waits = (
        "waits for calls that still run, and where they do not end in time " if named.kind is RefusalKind.HELD else ""
    )
    ends = f"{waits}is refused by" if refused else "leaves, and would be refused by"
    sent = message(named, timezone=policy.timezone, help_text=policy.help, asks=asks)
    return Line("call", "call", True, f"{ends} {named.rule}: {sent}")
