"""What is said of one call without any balance: whether it is seen, what its mode is, what is agreed about it, which models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spendgate.admission import RefusalKind, Refuse
from spendgate.contracts import GATEWAY, PERSONAL_RULE
from spendgate.model_rules import refused_by
from spendgate.policy import Policy
from spendgate.replay.past_terms import billing_word
from spendgate.review.asked import never_at, never_seen, own_at, provider_of
from spendgate.review.lines import Assumed, Line, outside, reason
from spendgate.selector import PERSONAL, PLAN, Facts

_PERSONAL: Final = {"ignore": "in no budget", "count": "counted", "refuse": "refused"}


def capture_line(policy: Policy, facts: Facts) -> Line:
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


def mode_line(policy: Policy, enforced: bool) -> Line:
    """What becomes of what does not fit."""
    says = "what does not fit is refused" if enforced else "what does not fit is recorded and let through"
    staged = ", but enforced for this call" if enforced and policy.mode.default == "observe" else ""
    return Line("mode", "mode", True, f"{policy.mode.default}{staged}: {says}")


def billing_of(policy: Policy, facts: Facts) -> tuple[str, Refuse | None]:
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


def agreed_lines(
    policy: Policy, facts: Facts, now_ms: int, account: Refuse | None, *, enforced: bool
) -> Iterator[Line]:
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


def model_lines(policy: Policy, facts: Facts, assumed: Assumed, *, enforced: bool) -> Iterator[Line]:
    """What each rule about models says of it."""
    for rule, patterns in policy.model_patterns:
        other = outside(rule.match, rule.excepted, facts, assumed)
        if other:
            yield Line(rule.name, "model", False, other)
            continue
        refusal = refused_by(rule, patterns, facts)
        says = reason(refusal, enforced=enforced) if refusal else "lets it through"
        yield Line(rule.name, "model", True, says)
