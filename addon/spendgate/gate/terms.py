"""What the policy and the price list say of a call, whatever its size: facts, rules, budgets, prices, what it is learned by.

Calls of one session differ in little but their size, so `KnownTerms` keeps the terms of the latest; all else here is pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as replace_terms

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
from spendgate.gate.model_prices import ModelPrices, rates_unknown
from spendgate.gate.signs import Signs
from spendgate.gate.wording import UNLISTED
from spendgate.identity.people import evidence, facts
from spendgate.policy import Policy
from spendgate.price_cards import Ladder, Rates, dearest
from spendgate.price_lists import Lists
from spendgate.pricing import PriceBook, utc
from spendgate.rates import rate_scopes
from spendgate.selector import PERSONAL, PLAN, Facts
from spendgate.standing import Scope
from spendgate.written import written

KEPT_MAX = 512


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
    priced_by: str | Lists
    """The genai-prices provider, or, of a host with several vendors' models, its lists."""
    rates: Rates
    """Dearest over all tiers (`model_prices.rates_of`): what sizes are learned by."""
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
    lists = route.prices or route.provider
    priced = ModelPrices(prices, lists if isinstance(lists, str) else lists.of(model), model, signs.since, change)
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
        priced_by=priced.lists,
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
