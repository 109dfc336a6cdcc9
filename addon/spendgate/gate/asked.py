"""One call as the gate sees it before anything is decided: facts, budgets, prices and sizes. Pure but for the price list."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spendgate.admission import RefusalKind, Refuse, Scope, Size
from spendgate.estimate import KindKeys, Sizes
from spendgate.gate.interface import Intent, Seen
from spendgate.gate.wording import UNLISTED
from spendgate.identity.people import evidence, facts
from spendgate.ledger.interface import CallRow
from spendgate.policy import Policy, UnknownModel, enforces, model_refusal, scopes
from spendgate.price_cards import Rates
from spendgate.pricing import PriceBook, UnknownPrice, utc
from spendgate.selector import Facts

UNPRICED = ("subscription", "personal")
"""Billing words whose calls draw on no budget (policy.md, What counts): cost 0, value at list price."""
UNPRICED_SPEED = "a speed without a price"
_NOTHING = Size(ceiling_nanos=0, learned_nanos=0, largest_nanos=0, typical_nanos=0, guess_nanos=0)
_UNSIZED = Size(ceiling_nanos=None, learned_nanos=None)
_PROJECT_TIERS = (None, "auto", "priority")
"""OpenAI: `auto`, also where nothing is asked for, is the tier of the project's settings, which no request shows."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that wants to leave, under the policy that will see it through."""

    intent: Intent
    policy: Policy
    facts: Facts
    enforced: bool
    billing: str
    rates: Rates
    """Dearest over all tiers (`rates_of`): what sizes are learned by."""
    bound_rates: Rates
    """Dearest over the tiers that this call can reach: what bounds it."""
    price_known: bool
    keys: KindKeys
    refusal: Refuse | None
    """What a rule says, whatever the budgets say."""
    flags: tuple[str, ...] = ()
    """What its row shall tell of the request, whatever becomes of it."""

    @property
    def model(self) -> str | None:
        """The model asked for."""
        return self.intent.route.model or self.intent.ask.model

    @property
    def priced_by(self) -> str:
        """The genai-prices provider."""
        return self.intent.route.prices or self.intent.route.provider

    @property
    def counts(self) -> bool:
        """Whether budgets count it."""
        return self.billing not in UNPRICED

    def scopes(self, now_ms: int) -> tuple[Scope, ...]:
        """The budgets that it draws on at this instant."""
        return scopes(self.policy, self.facts, now_ms, self.enforced) if self.counts else ()

    def charged(self, model: str | None, booked_ms: int) -> tuple[Scope, ...]:
        """The budgets that its charge counts in, by the model that answered."""
        if not self.counts:
            return ()
        answered = self.facts.answered_by(model) if model and model != self.model else self.facts
        return scopes(self.policy, answered, booked_ms, self.enforced)

    def size(self, sizes: Sizes) -> Size:
        """What it may cost, as far as is known now."""
        return sizes.size(self.keys, self.intent.ask, self.rates, self.bound_rates) if self.counts else _NOTHING


def prepare(intent: Intent, policy: Policy, prices: PriceBook, now_ms: int) -> Asked:
    """Put together what deciding a call needs. Takes some tens of microseconds."""
    who = facts(intent.attribution, intent.route, intent.ask)
    ask, model = intent.ask, intent.route.model or intent.ask.model
    unknown = rates_unknown(policy.unknown_model)
    priced_by = intent.route.prices or intent.route.provider
    rates = _dearest(prices, priced_by, model, now_ms, tier=None)
    reach = None if ask.opaque_input else ask.text_bytes
    bound_rates = _dearest(prices, priced_by, model, now_ms, tier=ask.service_tier, speed=ask.speed, reach=reach)
    return Asked(
        intent,
        policy,
        who,
        enforced=enforces(policy, who),
        billing=intent.route.billing or ask.billing,
        rates=_within(rates or unknown, ask.context_window),
        bound_rates=_within(bound_rates or unknown, ask.context_window),
        price_known=rates is not None,
        keys=KindKeys.of(intent.attribution.tool, model, intent.route.dialect),
        refusal=_unlisted(intent) or model_refusal(policy, who),
        flags=_unpriced_speed(prices, priced_by, model, now_ms, ask.speed),
    )


def _unlisted(intent: Intent) -> Refuse | None:
    if not intent.attribution.refused:
        return None
    account = intent.attribution.account_os or "this account"
    return Refuse(RefusalKind.RULE, UNLISTED, f"{account} belongs to nobody whom the policy lists")


def _dearest(
    prices: PriceBook,
    provider: str,
    model: str | None,
    at_ms: int,
    *,
    tier: str | None,
    speed: str | None = None,
    reach: int | None = None,
) -> Rates | None:
    """The dearest price of each class over every service tier that may apply, at the speed asked for and at none, and every
    price tier that `reach` input tokens can fall into (None: all); None: no price is known.
    """
    words = ("standard", "priority") if tier in _PROJECT_TIERS else ("standard", tier or "standard")
    found: Rates | None = None
    contexts = [{"service_tier": word} for word in dict.fromkeys(words)]
    if speed is not None:
        contexts += [{**context, "speed": speed} for context in contexts]
    for context in contexts:
        rates = prices.rates(provider, model, at=utc(at_ms), context=context, input_tokens_max=reach)
        if isinstance(rates, UnknownPrice):
            return None
        found = rates if found is None or rates == found else _dearer(found, rates)
    return found


def _unpriced_speed(
    prices: PriceBook, provider: str, model: str | None, at_ms: int, speed: str | None
) -> tuple[str, ...]:
    """The flag of a speed that the price list does not know: the provider may charge more for it than is written down."""
    if speed in (None, "standard"):
        return ()
    rates = prices.rates(provider, model, at=utc(at_ms), context={"speed": speed})
    known = not isinstance(rates, UnknownPrice) and "speed=" in rates.source
    return () if known else (UNPRICED_SPEED,)


def _within(rates: Rates, window: int | None) -> Rates:
    """The rates with the larger context window that the request asks for; where none is known, none is."""
    known = rates.context_window
    return rates if window is None or known is None or known >= window else replace(rates, context_window=window)


def _dearer(one: Rates, other: Rates) -> Rates:
    return replace(
        one,
        input=max(one.input, other.input),
        cache_read=max(one.cache_read, other.cache_read),
        cache_write_5m=max(one.cache_write_5m, other.cache_write_5m),
        cache_write_1h=max(one.cache_write_1h, other.cache_write_1h),
        cache_write=max(one.cache_write, other.cache_write),
        output=max(one.output, other.output),
        web_search=max(one.web_search, other.web_search),
        request=max(one.request, other.request),
    )


def rates_of(prices: PriceBook, provider: str, model: str | None, at_ms: int, unknown: UnknownModel) -> Rates:
    """The rates that sizes of a model are learned by: the same for every call of it, whatever its tier."""
    return _dearest(prices, provider, model, at_ms, tier=None) or rates_unknown(unknown)


def rates_unknown(unknown: UnknownModel) -> Rates:
    """The policy's price of a model whose price nobody knows. It has no context window, so packed input has no bound."""
    each = unknown.input_nanos
    return Rates(each, each, each, each, each, unknown.output_nanos, 0, 0, None, "policy:unknown_model")


def row(asked: Asked, size: Size) -> CallRow:
    """The call as the ledger opens it."""
    return _row(asked.intent, asked.billing, asked.keys.kind, asked.policy.hash, size)


def seen_row(seen: Seen, policy: Policy) -> CallRow:
    """An exchange that held nothing, as the ledger writes it."""
    return _row(seen, seen.route.billing or seen.ask.billing, "", policy.hash, _UNSIZED)


def _row(call: Intent | Seen, billing: str, kind: str, policy_hash: str, size: Size) -> CallRow:
    who, ask, route = call.attribution, call.ask, call.route
    return CallRow(
        id=call.call_id,
        started_ms=call.started_ms,
        person=who.person,
        machine=who.machine,
        provider=route.provider,
        host=call.host,
        path=route.path,
        team=who.team,
        groups=who.groups,
        account_os=who.account_os,
        tool=who.tool,
        process=who.process,
        project=who.project,
        session=who.session,
        agent=ask.agent,
        parent_call=ask.parent_agent,
        evidence=evidence(who),
        api_key=ask.api_key,
        account=ask.account,
        billing=billing,
        dialect=route.dialect,
        model_requested=route.model or ask.model,
        kind=kind,
        estimate_nanos=size.learned_nanos if size.learned_nanos is not None else size.guess_nanos,
        ceiling_nanos=size.ceiling_nanos,
        typical_nanos=size.typical_nanos,
        request_bytes=call.request_bytes,
        text_bytes=ask.text_bytes,
        policy_hash=policy_hash,
    )


def without_model(asked: Asked, now_ms: int) -> tuple[Scope, ...]:
    """The budgets that any call of this connection draws on, whatever model it will ask for."""
    if not asked.counts:
        return ()
    return scopes(asked.policy, asked.facts.answered_by("spendgate-no-model"), now_ms, asked.enforced)
