"""What the policy and the price list say of a call, whatever its size: facts, rules, budgets, prices, what it is learned by.

Calls of one session differ in little but their size, so `KnownTerms` keeps the terms of the latest; all else here is pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as replace_terms
from datetime import datetime
from typing import NamedTuple

from msgspec import json
from msgspec.structs import replace

from spendgate import lapse
from spendgate.admission import RefusalKind, Refuse
from spendgate.calibration import UNCALIBRATED, Factor, Factors
from spendgate.contracts import Changes
from spendgate.estimate import KindKeys
from spendgate.fitting import charged, enforces, model_refusal, scopes
from spendgate.gate.accounts import refusal_of
from spendgate.gate.drawing import Draws, Flows
from spendgate.gate.interface import Intent
from spendgate.gate.signs import Signs
from spendgate.gate.wording import UNLISTED
from spendgate.identity.people import evidence, facts
from spendgate.policy import Policy, UnknownModel
from spendgate.price_cards import UNPRICED, Ladder, Rates, dearest
from spendgate.price_change import PriceChange
from spendgate.pricing import PriceBook, UnknownPrice, utc
from spendgate.providers.interface import Route
from spendgate.rates import rate_scopes
from spendgate.selector import PERSONAL, PLAN, Facts
from spendgate.standing import Scope
from spendgate.written import written

UNPRICED_SPEED = "a speed without a price"
KEPT_MAX = 512
_FOR_EVER_MS = 2**63
_PROJECT_TIERS = (None, "auto", "priority")
"""OpenAI: `auto`, also where nothing is asked for, is the tier of the project's settings, which no request shows."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a call leaves, holds and is charged by, under the policy that will see it through."""

    policy: Policy
    facts: Facts
    enforced: bool
    draws: Draws
    billing: str
    model: str | None
    """The model asked for."""
    others: tuple[Facts, ...]
    """The call as of each other model that may have a part in the answer: budgets of it hold the call, too, and are charged
    as far as it had."""
    also: str | None
    """Their names, as the ledger keeps them. None: there are none."""
    priced_by: str
    """The genai-prices provider."""
    rates: Rates
    """Dearest over all tiers (`rates_of`): what sizes are learned by."""
    reach: Ladder
    """Dearest over the tiers that such a call can reach: what bounds it, by how much input it may have."""
    bounded: bool
    """False: its provider states what it bills, and that is what budgets count: no list price bounds it."""
    keys: KindKeys
    refusal: Refuse | None
    """What a rule says, whatever the budgets say."""
    flags: tuple[str, ...]
    """What the row shall tell of the request, whatever becomes of it."""
    evidence: str
    changes: Changes
    """What the policy's `pricing.adjust` makes of its prices on the day on which it asked."""
    drawn: bool
    """Whether some budget may count it."""
    flows: Flows | None = None
    """The rates that count it; None: no rate does."""
    factor: Factor | None = None
    """By what an estimate of it is multiplied; None: it stands as it is."""

    @property
    def counts(self) -> bool:
        """Whether it costs anything."""
        return self.policy.billing.counts(self.billing)

    @property
    def ignored(self) -> bool:
        """Whether its row keeps counts and times only: a personal account's, under `billing.personal: ignore`."""
        return self.billing == PERSONAL and not self.counts

    def billed_as(self, billing: str) -> Terms:
        """The same call with another billing word, by which budgets tell it apart, too."""
        known = Facts({**self.facts.values, "billing": (billing,)}, self.facts.names, self.facts.stem)
        others = tuple([replace_terms(each, values={**each.values, "billing": (billing,)}) for each in self.others])
        draws = Draws(self.policy, (known, *others), self.enforced, on_plan=billing == PLAN)
        drawn = _drawn(self.policy, billing)
        return replace_terms(self, billing=billing, facts=known, others=others, draws=draws, drawn=drawn)

    def refused(self, now_ms: int) -> Refuse | None:
        """Why it may not leave at this instant, whatever the budgets say: a rule, or the policy file as a whole."""
        return self.refusal or lapse.refusal(self.policy, now_ms)

    def metered(self, billing: str) -> Terms:
        """The same call, whose cost counts after all."""
        return replace_terms(self, billing=billing, draws=self.draws.metered(), drawn=True)

    def scopes(self, now_ms: int) -> tuple[Scope, ...]:
        """The budgets that it draws on at this instant."""
        return self.draws.at(now_ms) if self.drawn else ()

    @property
    def rate_scopes(self) -> tuple[Scope, ...]:
        """The policy's rates that count it."""
        return () if self.flows is None else self.flows.scopes

    def charged(self, model: str | None, booked_ms: int) -> tuple[Scope, ...]:
        """The budgets that its charge counts in, by the model that answered."""
        same = not model or model == self.model
        if not self.policy.by_model or (same and not self.others):
            return self.scopes(booked_ms)
        answered = self.facts if same else self.facts.answered_by(model)
        if not self.drawn:
            return ()
        asked = (self.facts, *self.others)
        return charged(self.policy, asked, answered, booked_ms, self.enforced, on_plan=not self.counts)

    def without_model(self, now_ms: int) -> tuple[Scope, ...]:
        """The budgets that any call of this connection draws on, whatever model it will ask for."""
        if not self.policy.by_model:
            return self.scopes(now_ms)
        if not self.drawn:
            return ()
        nobody = self.facts.answered_by("spendgate-no-model")
        return scopes(self.policy, nobody, now_ms, self.enforced, on_plan=not self.counts)


class KnownTerms:
    """The terms of the calls lately asked for, under one policy, one price list and the factors of estimates: the
    change of any takes another."""

    def __init__(self, policy: Policy, prices: PriceBook, factors: Factors = UNCALIBRATED) -> None:
        self.policy = policy
        self._prices = prices
        self._factors = factors
        self._changes = policy.adjustments
        self._kept: dict[Signs, Terms] = {}

    def of(self, intent: Intent, now_ms: int) -> Terms:
        """As `terms`, which takes some tens of microseconds; a few where they are known."""
        since = self._prices.since(utc(now_ms))
        if self._changes:
            since = max(since, utc(self._changes.since(now_ms)))
        signs = Signs.of(intent, since)
        found = self._kept.get(signs)
        if found is None:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            found = self._kept[signs] = terms(signs, self.policy, self._prices, self._factors)
        return found


def terms(signs: Signs, policy: Policy, prices: PriceBook, factors: Factors = UNCALIBRATED) -> Terms:
    """The terms of every call with these signs."""
    who, route, model = signs.attribution, signs.route, signs.model
    billing = policy.billing.word(route.provider, signs.account, signs.billing)
    known = facts(who, route if billing == signs.billing else replace(route, billing=billing), signs)
    others = tuple([known.answered_by(name) for name in signs.also])
    asked = (known, *others)
    enforced = enforces(policy, *asked)
    changes = policy.adjustments.of(known, int(signs.since.timestamp()) * 1000)
    listed = billing == PLAN  # it costs nothing; what it is worth is its list price
    change = None if listed else changes.asked
    priced = _Prices(prices, route.prices or route.provider, model, signs.since, change)
    unknown = rates_unknown(policy.unknown_model)
    anywhere, reach = priced.dearest(None, None), priced.reach(signs, route)
    if others and reach is not None:
        beside = [
            priced._replace(model=name or None, change=None if listed else changes.answered(name)).reach(signs, route)
            for name in signs.also
        ]
        reach = dearest([reach, *(ladder or unknown for ladder in beside)])
    return Terms(
        policy=policy,
        facts=known,
        enforced=enforced,
        draws=Draws(policy, asked, enforced, on_plan=billing == PLAN),
        billing=billing,
        model=model,
        others=others,
        also=_kept(signs.also),
        priced_by=priced.provider,
        rates=(anywhere or unknown).within(signs.context_window).upto(None),
        reach=(reach or unknown).within(signs.context_window),
        # Of a plan what counts is the list price, where there is one.
        bounded=not route.states_cost or (listed and reach is not None),
        keys=KindKeys.of(who.tool, written(model), route.dialect),
        refusal=unlisted(who.account_os)
        if who.refused
        else refusal_of(policy.billing, route.provider, signs.account, billing, signs.api_key)
        or next(filter(None, (model_refusal(policy, each) for each in asked)), None),
        flags=priced.unpriced_speed(signs.speed),
        evidence=evidence(who),
        changes=changes,
        flows=Flows.of(rate_scopes(policy.rate_draws, asked, enforced, personal=policy.billing.counts(PERSONAL))),
        drawn=_drawn(policy, billing),
        factor=factors.of(who.tool, model),
    )


def _drawn(policy: Policy, billing: str) -> bool:
    """Whether some budget may count calls with this billing word: a plan's only where one goes by list price."""
    return policy.billing.counts(billing) or (billing == PLAN and policy.by_list)


def _kept(names: tuple[str, ...]) -> str | None:
    """Names of models as the ledger keeps them: what is odd without its letters, what is not known as an empty one."""
    return json.encode([(name and written(name)) or "" for name in names]).decode() if names else None


def unlisted(account: str | None) -> Refuse:
    """The refusal of an account that nobody lists, under `unknown_people: refuse`."""
    return Refuse(RefusalKind.RULE, UNLISTED, f"{account or 'this account'} belongs to nobody whom the policy lists")


class _Prices(NamedTuple):
    """One model's prices at one instant."""

    book: PriceBook
    provider: str
    model: str | None
    at: datetime
    change: PriceChange | None = None

    def dearest(self, tier: str | None, speed: str | None) -> Ladder | None:
        """The dearest price of each class over every service tier that may apply, at the speed asked for and at none.

        None: no price is known.
        """
        words = ("standard", "priority") if tier in _PROJECT_TIERS else ("standard", tier or "standard")
        contexts = [{"service_tier": word} for word in dict.fromkeys(words)]
        if speed is not None:
            contexts += [{**context, "speed": speed} for context in contexts]
        found = [self._ladder(context) for context in contexts]
        known = [ladder for ladder in found if not isinstance(ladder, UnknownPrice)]
        return dearest(known) if len(known) == len(found) else None

    def reach(self, signs: Signs, route: Route) -> Ladder | None:
        """The dearest that a call with these signs can reach; None: no price is known.

        A provider that may state what it bills is charged as it states, which no adjustment lowers.
        """
        found = self.dearest(signs.service_tier, signs.speed)
        if found is None or self.change is None or not route.states_cost:
            return found
        listed = self._replace(change=None).dearest(signs.service_tier, signs.speed)
        return found if listed is None else dearest([found, listed])

    def unpriced_speed(self, speed: str | None) -> tuple[str, ...]:
        """The flag of a speed that the price list does not know: the provider may charge more for it than is written down."""
        if speed in (None, "standard"):
            return ()
        found = self._ladder({"speed": speed})
        known = not isinstance(found, UnknownPrice) and "speed=" in found.upto(None).source
        return () if known else (UNPRICED_SPEED,)

    def _ladder(self, context: dict[str, str]) -> Ladder | UnknownPrice:
        return self.book.ladder(self.provider, self.model, at=self.at, context=context, change=self.change)


def rates_of(
    prices: PriceBook, provider: str, model: str | None, at_ms: int, unknown: UnknownModel, *,
    change: PriceChange | None = None,
) -> Rates:  # fmt: skip
    """The rates that sizes of a model are learned by: the same for every call of it, whatever its tier."""
    found = _Prices(prices, provider, model, utc(at_ms), change).dearest(None, None)
    return (found or rates_unknown(unknown)).upto(None)


def rates_unknown(unknown: UnknownModel) -> Ladder:
    """The policy's price of a model whose price nobody knows. It has no context window, so packed input has no bound."""
    each = unknown.input_nanos
    return Ladder((), (Rates(each, each, each, each, each, unknown.output_nanos, 0, 0, None, UNPRICED),))
