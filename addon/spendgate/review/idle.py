"""Rules that can never act: about calls that are not there, that are let go or refused before, or that they except themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from spendgate.budget import WAIT_MS_DEFAULT, Budget
from spendgate.contracts import GATEWAY
from spendgate.model_names import ModelPattern
from spendgate.model_rules import ModelRule
from spendgate.policy import Policy
from spendgate.providers.below import WILD, within
from spendgate.providers.own_hosts import provider_of_host
from spendgate.rates import Rate
from spendgate.review.doubt import Doubt
from spendgate.review.inclusion import included
from spendgate.review.pairs import Pairs, counts_all_of
from spendgate.review.reach import PERSONAL as OF_PERSONS
from spendgate.review.selectors import Placed, once_each, selectors
from spendgate.selector import BILLINGS, PERSONAL, PLAN, Facts, Selector

_ROUTERS: Final = ("auto", "default", "best", "router", "model-router", "premium", "opusplan")
"""Names of no one model, one of which an `allow` list may fit."""
_ALWAYS: Final = {"machine": (), "provider": (), "billing": BILLINGS}
"""What every call has, and the words that it may be; none: it may be any."""
_BELOW: Final = "any."
"""Stands for any name below a domain."""
_SEVERAL_AT_ONCE: Final = "api_key"
"""What a call may have two of, of which each must be excepted."""


def idle(policy: Policy, hosts: Mapping[str, Iterable[str]]) -> Iterator[Doubt]:
    """Each of them. `hosts`: by every provider that is known."""
    by_list = frozenset(each.base_name for each in policy.budgets if each.counts == "value")
    found: dict[Doubt, None] = {}
    for placed in selectors(policy):
        if placed.key == "match":
            for why in (*_of_billing(policy, placed, by_list), *_not_captured(policy, placed, hosts)):
                found[Doubt(placed.subject, f"{placed.name} {why}")] = None
    yield from found
    yield from _denied(policy)
    yield from _all_excepted(policy)
    yield from _denies_what_it_excepts(policy)
    yield from _without_effect(policy)


# -- calls that are not there -----------------------------------------------------------------------------------------


def _of_billing(policy: Policy, placed: Placed, by_list: frozenset[str]) -> Iterator[str]:
    """A rule about calls of such a billing word alone as none has, or as it does not count."""
    clause = next((each for each in placed.selector.clauses if each.attribute == "billing"), None)
    if clause is None:
        return
    asked = [word for word in BILLINGS if clause.fits(Facts.of(billing=word))]
    why = [_uncounted(policy, placed, word, by_list) for word in asked]
    if all(why):
        yield f"is about no call: {'; '.join(why)}"


def _uncounted(policy: Policy, placed: Placed, billing: str, by_list: frozenset[str]) -> str:
    """Why the rule never acts on calls with this billing word; empty where it may."""
    kind = placed.subject.partition(".")[0]
    if billing == GATEWAY and not any(host.billing == GATEWAY for host in policy.capture.hosts):
        return "no host under capture.hosts has billing: gateway"
    if billing == PERSONAL and not policy.billing.accounts:
        return "none is personal where billing.accounts lists none of the company's own"
    if billing == PERSONAL and kind in ("budgets", "rates", "models"):
        if policy.billing.personal == "refuse" and policy.mode.default == "enforce":
            return "personal calls are refused before (billing.personal: refuse)"
        if policy.billing.personal == "ignore" and kind != "models":
            return "personal calls are in no budget and no rate (billing.personal: ignore)"
    if billing == PLAN and kind == "budgets" and placed.name not in by_list:
        return "a subscription's calls cost nothing; counts: value counts them at list price"
    return ""


def _not_captured(policy: Policy, placed: Placed, hosts: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """A rule about providers alone whose calls are not decrypted. What is billed of them counts with `counts: billed`."""
    kind, _, _ = placed.subject.partition(".")
    if policy.by_bill or kind not in ("budgets", "models", "rates", "alerts", "exceptions", "mode"):
        return
    captured = set(_captured(policy, hosts))
    added = map(provider_of_host, policy.capture.hosts)
    clauses = [each for each in placed.selector.clauses if each.attribute == "provider"]
    for clause in clauses:
        asked = [word for word in sorted({*hosts, *added}) if clause.fits(Facts.of(provider=word))]
        if asked and captured.isdisjoint(asked):
            named = policy.capture.providers
            by_never = any(named is None or word in named for word in asked)
            why = "capture.never names every host of it" if by_never else "capture.providers does not name it"
            yield f"is about no call: {', '.join(clause.texts)} is not decrypted, since {why}"


def _captured(policy: Policy, hosts: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """The providers of whose calls some are decrypted: at a host of their own, or at one that the file adds."""
    capture = policy.capture
    for name, own in hosts.items():
        if (capture.providers is None or name in capture.providers) and any(
            not within(each, capture.never) for each in own
        ):
            yield name
    for host in capture.hosts:
        if not within(host.host.replace(WILD, _BELOW), capture.never):
            yield provider_of_host(host)


# -- refused before ---------------------------------------------------------------------------------------------------


def _denied(policy: Policy) -> Iterator[Doubt]:
    """Budgets and rates about models that model rules refuse to all whom these count. What is billed of them counts."""
    if policy.mode.default != "enforce" or policy.by_bill:
        return
    pairs = Pairs(policy.models)
    rules: list[tuple[str, str, Budget | Rate]] = [
        (f"budgets.{each.base_name}", each.base_name, each) for each in once_each(policy)
    ]
    rules += [(f"rates.{each.name}", each.name, each) for each in policy.rates]
    for subject, name, rule in rules:
        texts = rule.match.texts("model")
        by = [rule_of for text in texts if (rule_of := _refusing(text, rule, pairs))] if texts else []
        if texts and len(by) == len(texts):
            whose = ", ".join(dict.fromkeys(by))
            yield Doubt(subject, f"{name} counts no call: every model that it is about is refused by {whose}")


def _refusing(text: str, rule: Budget | Rate, pairs: Pairs[ModelRule]) -> str:
    """The model rule that refuses every call of `rule` for a model that fits this text."""
    return next(
        (each.name for each in pairs.of(rule) if counts_all_of(each, rule) and _refuses(each, text)),
        "",
    )


def _refuses(rule: ModelRule, text: str) -> bool:
    if rule.unresolved == "allow":
        return False  # an alias may become it, and leaves
    if rule.deny:
        return included(text, rule.deny, "model")
    asked = ModelPattern.of(text)
    # A router's spelling may have an allowed family.
    return text.isascii() and not set("/.:@") & set(text) and not any(_meet(asked, each) for each in rule.allow)


def _meet(asked: ModelPattern, allowed: str) -> bool:
    """Whether an allowed name may be, or become, one that is asked about; their first words tell."""
    pattern = ModelPattern.of(allowed)
    if any(pattern.fits(name) for name in _ROUTERS):
        return True
    one, other = asked.literal, pattern.literal
    makers = {each.partition("-")[0] for each in (one, other)}
    return one.startswith(other) or other.startswith(one) or (len(makers) == 1 and makers <= {"gpt", "gemini"})


# -- of no effect -----------------------------------------------------------------------------------------------------


def _all_excepted(policy: Policy) -> Iterator[Doubt]:
    """Rules that except all that they match. Where that is only people, nobody is left, which is said of it elsewhere."""
    rules: list[tuple[str, str, Selector, Selector]] = [
        (f"budgets.{each.base_name}", each.base_name, each.match, each.excepted) for each in once_each(policy)
    ]
    rules += [(f"models.{each.name}", each.name, each.match, each.excepted) for each in policy.models]
    rules += [(f"rates.{each.name}", each.name, each.match, each.excepted) for each in policy.rates]
    rules += [(f"alerts.{each.name}", each.name, each.match, each.excepted) for each in policy.alerts]
    for subject, name, match, excepted in rules:
        names = [clause.attribute for clause in excepted.clauses]
        if not names or _SEVERAL_AT_ONCE in names or set(names) <= OF_PERSONS:
            continue
        if all(_covered(match.texts(clause.attribute), clause.texts, clause.attribute) for clause in excepted.clauses):
            yield Doubt(subject, f"{name} excepts all that it matches: {' and '.join(names)}")


def _covered(matched: tuple[str, ...], excepted: tuple[str, ...], attribute: str) -> bool:
    if not matched and attribute in _ALWAYS:
        matched = _ALWAYS[attribute] or ("*",)
    return bool(matched) and all(included(text, excepted, attribute) for text in matched)


def _denies_what_it_excepts(policy: Policy) -> Iterator[Doubt]:
    """Model rules that let go, by the model that is asked for, each model that they deny."""
    for rule in policy.models:
        models = rule.excepted.texts("model")
        if rule.deny and models and len(rule.excepted.clauses) == 1 and _covered(rule.deny, models, "model"):
            text = f"{rule.name} denies no model by name: it excepts {', '.join(models[:3])}"
            yield Doubt(f"models.{rule.name}", text)


def _without_effect(policy: Policy) -> Iterator[Doubt]:
    """Words of a budget that only warns, which are about refusing."""
    for budget in once_each(policy):
        words = {"cut": budget.cut, "wait": budget.wait_ms != WAIT_MS_DEFAULT}
        given = [word for word, said in words.items() if said]
        if given and not budget.enforce_action:
            does = "changes nothing" if len(given) == 1 else "change nothing"
            text = f"{budget.base_name}: {' and '.join(given)} {does} where action: warn lets every call go"
            yield Doubt(f"budgets.{budget.base_name}", text)
