"""What a company has agreed with providers: prices of its own, accounts that are its own, and seats. Values and pure functions.

Rules: of several price adjustments that fit a call on its day, the last in the file holds, alone. A call is personal where its
provider is among `accounts` and its account is known and not listed: an account that nobody knows is never personal.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date, timedelta
from functools import cached_property
from typing import Annotated, Final, Literal

from pydantic import InstanceOf, PlainSerializer

from spendgate.model_names import family
from spendgate.price_change import PriceChange
from spendgate.roster import Values
from spendgate.selector import EVERY, PERSONAL, PLAN, Chosen, Facts, Selector
from spendgate.window import Window, day_starts_ms
from spendgate.written import written

GATEWAY: Final = "gateway"
PERSONAL_RULE: Final = "billing.personal"
"""The rule that the refusal of a personal call names."""
FOR_EVER_MS: Final = 2**62
_ANSWERING_MAX: Final = 64


class Adjustment(Values):
    """One entry of `pricing.adjust`. Exactly one of `factor_millionths` and `rates` is given; days in the policy's zone."""

    match: Chosen = EVERY
    factor_millionths: int | None = None
    """`multiply`, in millionths."""
    rates: tuple[tuple[str, int], ...] = ()
    """`set`: nano-dollars for a million tokens, by a word of `price_change.RATES`."""
    starts: date | None = None
    """`from`, the first day."""
    ends: date | None = None
    """`until`, the last day."""

    def change(self, number: int) -> PriceChange:
        """Its effect; `number` counts entries from 1."""
        return PriceChange(f"pricing.adjust[{number}]", self.factor_millionths, self.rates)


class Account(Values):
    """One account of the company's own at a provider."""

    provider: str
    account: str


class Seat(Values):
    """A flat plan that the company pays for each person. Amounts in nano-dollars."""

    name: str
    match: Chosen = EVERY
    price_nanos: int
    included_nanos: int | None = None
    """What the plan includes, at list price; None: nobody says."""
    window: Annotated[InstanceOf[Window], PlainSerializer(lambda window: window.name)]
    """Of both: a calendar window."""


class Billing(Values):
    """Whose accounts count, and which plans are paid for by the seat."""

    accounts: tuple[Account, ...] = ()
    personal: Literal["ignore", "count", "refuse"] = "ignore"
    seats: tuple[Seat, ...] = ()

    @cached_property
    def _own(self) -> dict[str, frozenset[str]]:
        return {
            entry.provider: frozenset(
                other.account.casefold() for other in self.accounts if other.provider == entry.provider
            )
            for entry in self.accounts
        }

    def asks_for(self, provider: str) -> bool:
        """Whether it matters whose account a call of this provider is on."""
        return provider in self._own

    def is_own(self, provider: str, account: str | None) -> bool:
        """Whether the account is known and listed."""
        return account is not None and account.casefold() in self._own.get(provider, ())

    def is_personal(self, provider: str, account: str | None) -> bool:
        """Whether the account is known and not listed, while others of its provider are."""
        return bool(account) and provider in self._own and not self.is_own(provider, account)

    def word(self, provider: str, account: str | None, billing: str) -> str:
        """The billing word of a call whose wire says `billing`: `personal` where its account is, unless a plan pays for a
        personal call that counts: that costs nobody anything. A gateway is the company's own."""
        if billing == GATEWAY or not self.is_personal(provider, account):
            return billing
        return PERSONAL if self.personal == "ignore" or billing != PLAN else billing

    def refuses(self, provider: str, account: str | None, billing: str) -> str | None:
        """Why a call on this account may not leave, in one clause; None where it may. `billing` is its word."""
        if self.personal != "refuse" or billing == GATEWAY or not self.is_personal(provider, account):
            return None
        return f"the {provider} account {written(account)} is not the company's"

    def refuses_unsure(self, provider: str, billing: str) -> bool:
        """Whether a call may not leave that may be on a personal account or on the company's, whichever of its keys pays."""
        return self.personal == "refuse" and billing != GATEWAY and self.asks_for(provider)

    def counts(self, billing: str) -> bool:
        """Whether budgets count calls with this billing word."""
        return billing != PLAN and (billing != PERSONAL or self.personal != "ignore")

    def seat_of(self, facts: Facts) -> Seat | None:
        """The first seat that a subscription call uses."""
        if PLAN not in facts.values.get("billing", ()):
            return None
        return next((seat for seat in self.seats if not seat.match.clauses or seat.match.fits(facts)), None)


class Span:
    """One adjustment with its days as instants, and its match in two: without the model, and the model."""

    __slots__ = ("change", "ends_ms", "match", "others", "starts_ms")

    def __init__(self, adjustment: Adjustment, number: int, zone: str) -> None:
        first, last = adjustment.starts, adjustment.ends
        self.change = adjustment.change(number)
        self.match = adjustment.match
        self.others = Selector(tuple(each for each in adjustment.match.clauses if each.attribute != "model"))
        self.starts_ms = day_starts_ms(zone, first) if first else 0
        self.ends_ms = day_starts_ms(zone, last + timedelta(days=1)) if last else FOR_EVER_MS


class Adjustments:
    """The adjustments of one policy, compiled. `zone` cuts their days."""

    def __init__(self, entries: tuple[Adjustment, ...], zone: str) -> None:
        self._spans = tuple(Span(entry, number, zone) for number, entry in enumerate(entries, 1))
        self._edges = sorted({0, *(edge for span in self._spans for edge in (span.starts_ms, span.ends_ms))})

    def __bool__(self) -> bool:
        return bool(self._spans)

    def since(self, at_ms: int) -> int:
        """When the adjustments of this instant began to hold: between two such instants none begins or ends."""
        return self._edges[max(0, bisect_right(self._edges, at_ms) - 1)]

    def of(self, facts: Facts, at_ms: int) -> Changes:
        """Those that may be about a call, whatever model answers it."""
        fitting = [
            span
            for span in reversed(self._spans)
            if span.starts_ms <= at_ms < span.ends_ms and (not span.others.clauses or span.others.fits(facts))
        ]
        return Changes(facts, tuple(fitting))


class Changes:
    """What adjustments make of one kind of call, by the model that answers. Found once for each model."""

    __slots__ = ("_facts", "_found", "_model", "_spans", "asked")

    def __init__(self, facts: Facts, spans: tuple[Span, ...]) -> None:
        self._facts, self._spans = facts, spans
        self._model = next(iter(facts.values.get("model", ())), None)
        self._found: dict[str, PriceChange | None] = {}
        self.asked = self._by(facts)
        """By the model that is asked for."""

    def __bool__(self) -> bool:
        return bool(self._spans)

    def _by(self, facts: Facts) -> PriceChange | None:
        return next((span.change for span in self._spans if span.match.fits(facts) or not span.match.clauses), None)

    def answered(self, model: str | None) -> PriceChange | None:
        """By the model that answers; one of the family that was asked for costs as that, so that its bound stays one."""
        if not self._spans or not model or model == self._model:
            return self.asked
        if model not in self._found:
            if len(self._found) >= _ANSWERING_MAX:
                self._found.clear()
            same = self._model is not None and family(model) == family(self._model)
            self._found[model] = self.asked if same else self._by(self._facts.answered_by(model))
        return self._found[model]
