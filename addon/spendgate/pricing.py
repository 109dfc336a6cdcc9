"""What usage costs: `PriceBook.price(...)`. Prices come from genai-prices, never from a table of ours.

`price_sheets` asks genai-prices once for each price and then computes with exact integers.

Anthropic's `inference_geo: us` makes tokens, and no searches, cost 1.1 times on Claude 4.6 and later (facts/wire-formats.md
1.2); genai-prices does not know it, so it is applied here and named in `Charge.source`. An unknown model is a value, never zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from typing import Final

from genai_prices.data_snapshot import DataSnapshot, get_snapshot
from msgspec import Struct

from spendgate.changed_cards import adjusted, unlisted
from spendgate.listed_models import ListedModels, meant_context
from spendgate.listed_prices import listed_units
from spendgate.money import half_even
from spendgate.price_cards import SEARCHES, US_FACTOR, Ladder
from spendgate.price_change import PriceChange
from spendgate.price_lists import Lists, own_list
from spendgate.price_sheets import Sheet, open_sheet
from spendgate.price_times import PriceTimes
from spendgate.usage import Usage

_SHEETS_MAX = 4096
_GEO_MODELS = re.compile(r"claude-(?:(?:opus|sonnet|haiku)-(?:4-[6-9]|[5-9])|fable|mythos)")


class Charge(Struct, frozen=True):
    """Priced usage. `source` says by which price: provider, model, tier and date, for `calls show`."""

    nanos: int
    source: str


class UnknownPrice(Struct, frozen=True):
    """genai-prices has no price for this model: the policy's `pricing.unknown_model` applies, and the row is flagged."""

    provider: str
    model: str | None


class Quote(Struct, frozen=True):
    """The price of one model in one context at one instant: for many calls of one kind, found once."""

    sheet: Sheet
    us: bool
    """Whether the US factor applies."""

    def of(self, usage: Usage) -> Charge:
        """What these tokens cost, rounded once to the nano-dollar."""
        sheet = self.sheet
        tier = sheet.tier(usage.input_total) if sheet.starts else 0
        card = sheet.cards[tier]
        scaled, scale, source = card.scaled(usage), card.scale, sheet.name
        if tier:
            source = f"{source}+{sheet.starts[tier - 1]}"
        if self.us:
            # Eleven tenths of all but the fee for searches.
            scaled, scale, source = scaled * 11 - card.fee(usage), scale * 10, f"{source};geo=us"
        return Charge(half_even(scaled, scale), _told(sheet, source))


class PriceBook:
    """The prices of one genai-prices snapshot; immutable. `at` is the call's own instant: prices have dates and hours.

    What was found for a model is kept (bounded) under the instant that its prices hold since, so it never goes out of date.
    """

    def __init__(
        self, snapshot: DataSnapshot | None = None, *, as_of: datetime | None = None, origin: str = "bundled"
    ) -> None:
        self._snapshot = snapshot or get_snapshot()
        self._models = ListedModels(self._snapshot)
        self.since: Final = PriceTimes(self._snapshot).since
        """When the prices of an instant began to hold."""
        self._found = lru_cache(maxsize=_SHEETS_MAX)(self._sheet)
        self._sheets: dict[object, Sheet] = {}
        self._adjusted: dict[tuple[object, PriceChange], tuple[Sheet | None, Sheet]] = {}
        """By list sheet (its `id`, which is not given to another while it is kept here) and change."""
        self.as_of = as_of
        self.origin = origin

    def price(
        self,
        lists: str | Lists,
        model: str | None,
        usage: Usage,
        *,
        at: datetime,
        context: Mapping[str, str] | None = None,
        geo: str | None = None,
        units: Mapping[str, int] | None = None,
        change: PriceChange | None = None,
    ) -> Charge | UnknownPrice:
        """What `usage` of `model` costs by a list (a genai-prices id), or the first of several that has it: rounded once to the
        nano-dollar.

        `units` as in `providers.reading.Part`; `change` is what a policy makes of the list price. Tokens of a model without a
        price for any cost an unknown amount, not nothing.
        """
        sheet = self._lookup(lists, model, at, context, change)
        if sheet is None:
            return UnknownPrice(own_list(lists), model)
        exact = _with_units(sheet, usage, units) if units else None
        if exact is not None:
            if geo == "us" and sheet.geo:
                card = sheet.cards[sheet.tier(usage.input_total)]
                fee = Fraction(card.fee(usage), card.scale)
                exact = (exact - fee) * US_FACTOR + fee
            return Charge(half_even(exact.numerator, exact.denominator), _told(sheet, sheet.name))
        if sheet.tokenless:
            return UnknownPrice(own_list(lists), model)
        return Quote(sheet, geo == "us" and sheet.geo).of(usage)

    def quote(
        self, lists: str | Lists, model: str | None, *, at: datetime, context: Mapping[str, str], geo: str | None
    ) -> Quote | None:
        """By what `price` prices every usage without units, and without a change; None where it knows no price."""
        sheet = self._lookup(lists, model, at, context)
        return None if sheet is None or sheet.tokenless else Quote(sheet, geo == "us" and sheet.geo)

    def units(
        self,
        lists: str | Lists,
        model: str,
        input_tokens: int,
        *,
        at: datetime,
        context: Mapping[str, str] | None = None,
        geo: str | None = None,
        change: PriceChange | None = None,
    ) -> dict[str, Fraction] | UnknownPrice:
        """What `price` multiplies each count by, in the tier that so much input falls into: nano-dollars, by name in `Usage`.

        Under `price_cards.REQUEST` what it adds for the request itself.
        """
        sheet = self._lookup(lists, model, at, context, change)
        if sheet is None:
            return UnknownPrice(own_list(lists), model)
        factor = US_FACTOR if geo == "us" and sheet.geo else Fraction(1)
        each = sheet.cards[sheet.tier(input_tokens)].each()
        return {name: unit if name == SEARCHES else unit * factor for name, unit in each.items()}

    def model_ids(self) -> tuple[str, ...]:
        """Every model that the list has a price for, as its provider calls it; sorted, each once."""
        return tuple(sorted({model.id for provider in self._snapshot.providers for model in provider.models}))

    def has_unit(
        self,
        lists: str | Lists,
        model: str | None,
        unit: str,
        *,
        at: datetime,
        context: Mapping[str, str] | None = None,
    ) -> bool:
        """Whether the list has a price for this unit of the model (`providers.reading.Part.units`)."""
        sheet = self._lookup(lists, model, at, context)
        if sheet is None:
            return False
        return listed_units(sheet.prices, Usage(), {unit: 1000}) > listed_units(sheet.prices, Usage(), {})

    def ladder(
        self, lists: str | Lists, model: str | None, *, at: datetime, context: Mapping[str, str] | None = None,
        change: PriceChange | None = None,
    ) -> Ladder | UnknownPrice:  # fmt: skip
        """The dearest price of each class by input size, for the bound of a call before it leaves."""
        sheet = self._lookup(lists, model, at, context, change)
        if sheet is None or not (sheet.ladder.rungs[-1].input or sheet.ladder.rungs[-1].output or not sheet.tokenless):
            return UnknownPrice(own_list(lists), model)
        return sheet.ladder

    def _lookup(
        self, lists: str | Lists, model: str | None, at: datetime, context: Mapping[str, str] | None,
        change: PriceChange | None = None,
    ) -> Sheet | None:  # fmt: skip
        if not model:
            return None
        found = self._found(lists, model, self.since(at), frozenset(context.items()) if context else None)
        return found if change is None else self._changed(own_list(lists), model, found, change)

    def _changed(self, provider: str, model: str, listed: Sheet | None, change: PriceChange) -> Sheet | None:
        """A list sheet at what a policy makes of it; of a model that no list has, only where the policy prices it whole."""
        key = ((provider, model) if listed is None else id(listed)), change
        found = self._adjusted.get(key)
        if found is None:
            if listed is None and not change.whole:
                return None
            made = unlisted(provider, model, change) if listed is None else adjusted(listed, change)
            if len(self._adjusted) >= _SHEETS_MAX:
                self._adjusted.clear()
            found = self._adjusted[key] = listed, made
        return found[1]

    def _sheet(
        self, lists: str | Lists, model: str, since: datetime, words: frozenset[tuple[str, str]] | None
    ) -> Sheet | None:
        found = self._models.find(lists, model)
        if found is None:
            return None
        owner, info = found
        in_context = meant_context(words, owner, info) if words else None
        prices, plain = info.get_prices(since, in_context), info.get_prices(since, None)
        if in_context is not None and repr(prices) == repr(plain):
            prices, in_context = plain, None  # the context has no price of its own at this instant
        # A price without a context is the snapshot's own object; one with a context is a fresh copy, told by its text. One model
        # may be in its maker's list and in a host's that falls back to that: each says whose it is.
        key: object = (
            (owner.id, info.id, id(prices))
            if in_context is None
            else (owner.id, info.id, repr(prices), *sorted(in_context.items()))
        )
        sheet = self._sheets.get(key)
        if sheet is None:
            if len(self._sheets) >= _SHEETS_MAX:
                self._sheets.clear()
            told = "".join(f";{name}={value}" for name, value in sorted((in_context or {}).items()))
            sheet = self._sheets[key] = open_sheet(
                prices,
                name=f"{self.origin}:{owner.id}/{info.id}{told}",
                context_window=info.context_window,
                geo=bool(_GEO_MODELS.search(info.id)),
            )
        return sheet


def _told(sheet: Sheet, source: str) -> str:
    return source if sheet.change is None else f"{source};{sheet.change.source}"


def _with_units(sheet: Sheet, usage: Usage, units: Mapping[str, int]) -> Fraction | None:
    """The exact price in nano-dollars; None where the counts contradict each other: then the tokens alone are priced."""
    drawn = {name: count for name, count in units.items() if name.startswith("output_")}
    for told in (units, drawn) if drawn else (units,):
        try:
            return sheet.with_units(usage, told)
        except ValueError:
            continue
    return None


def unknown_price(usage: Usage, *, input_per_million: int, output_per_million: int) -> int:
    """Nano-dollars at the policy's `pricing.unknown_model`, given for a million tokens: all input at one price."""
    total = usage.input_total * input_per_million + (usage.output_tokens or 0) * output_per_million
    return half_even(total, 1_000_000)


def utc(epoch_ms: int) -> datetime:
    """The instant of an epoch in milliseconds, as genai-prices takes it."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
