"""What a reading costs: each sampling by the model that answered, in tokens and in whatever else is billed; at list price, and
at what the policy's `pricing.adjust` makes of that.

A missing count is estimated, an unknown price is the policy's, and what the list has no price for is flagged. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import reduce
from operator import add

from msgspec import Struct
from msgspec.structs import replace

from spendgate.calibration import Factor
from spendgate.gate.asked import Asked
from spendgate.gate.terms import Terms
from spendgate.listed_prices import AUDIO_MS
from spendgate.model_names import family
from spendgate.price_change import PriceChange
from spendgate.price_lists import deploying, elsewhere
from spendgate.pricing import Charge, PriceBook, UnknownPrice, unknown_price, utc
from spendgate.providers.ask import Ask
from spendgate.providers.packed import DRAWN_TOKENS
from spendgate.providers.reading import Part, Reading
from spendgate.selector import PLAN
from spendgate.usage import Usage

FEES = {"storage_searches": "file_search"}
"""Fees beside tokens, by genai-prices' usage key, as the providers' own items are called."""
TIERS = frozenset({"priority", "flex", "scale", "fast", "ultrafast", "batch", "provisioned", "on_demand", "optimized"})
"""Words of an answer that a flag may repeat; any other text of a provider's is not for the ledger."""

EstimateUsage = Callable[[Ask, Reading], Usage]
"""Counts of a response whose provider gave none or not all."""


class Item(Struct, frozen=True):
    """One billed sampling: its model, counts, and prices in nano-dollars."""

    model: str | None
    usage: Usage
    nanos: int
    """What it costs: the list price, as the policy adjusts it."""
    source: str
    known: bool
    listed_nanos: int
    """Its list price; of a model that only the policy prices, what it costs."""


class Bill(Struct, frozen=True):
    """What a reading costs, by the list and by what the policy makes of it."""

    items: tuple[Item, ...]
    nanos: int
    """What it costs."""
    reported: bool
    """All counts are the provider's own and final."""
    listed_nanos: int
    """Its list price."""
    unpriced: tuple[str, ...] = ()
    """Flags of fees that the price list does not know."""
    told_nanos: int = 0
    """What the counts cost that the provider gave, without what is estimated."""
    factor: Factor | None = None
    """By what its estimate was multiplied; None: it was not, or nothing is estimated."""

    @property
    def usage(self) -> Usage:
        """The counts of all samplings."""
        return (
            reduce(add, [item.usage for item in self.items], Usage()) if len(self.items) != 1 else self.items[0].usage
        )


def bill(asked: Asked, reading: Reading, prices: PriceBook, booked_ms: int, estimate: EstimateUsage) -> Bill:
    """Price a reading, final or not; counts that it lacks are estimated, by the factor of its tool and model."""
    parts = _beside(asked.intent.ask, reading.parts)
    fees: tuple[str, ...] = ()
    if any(part.units for part in parts):
        parts = tuple(_priced_by(asked, part, reading, prices, booked_ms) for part in parts)
        fees = _fees(reading.parts, parts)
    reported = reading.final and bool(reading.parts) and all(part.known for part in (*reading.parts, *parts))
    factor = None if reported else asked.terms.factor
    last = None if reported else parts[-1] if parts else Part(Usage())
    if last is not None:
        usage = estimate(asked.intent.ask, replace(reading, parts=(last,)))
        if factor is not None:
            usage = factor.scaled(usage, last.usage)
        parts = (*parts[:-1], replace(last, usage=_within(usage, last.usage, asked.bound_rates.context_window)))
    items = tuple([item_of(asked, part, reading, prices, booked_ms) for part in parts])
    nanos = sum([item.nanos for item in items])
    listed = sum([item.listed_nanos for item in items]) if asked.terms.changes else nanos
    told = nanos
    if last is not None:
        told -= items[-1].nanos
        told += item_of(asked, last, reading, prices, booked_ms).nanos if reading.parts else 0
    return Bill(
        items, nanos, reported, listed, (*fees, *_tiers(parts, items), *_elsewhere(asked.terms, items)), told, factor
    )


def _beside(ask: Ask, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts of an answer; where none has counts, with what the request itself says that may be billed: how long the recording
    is that was written down, and how many pictures were drawn."""
    units = {AUDIO_MS: ask.audio_ms} if ask.audio_ms is not None else {}
    if ask.pictures:
        units["output_image_tokens"] = ask.pictures * DRAWN_TOKENS
    if not units or any(part.known or part.usage.input_tokens is not None for part in parts):
        return parts
    *whole, last = parts or (Part(Usage()),)
    return (*whole, replace(last, units={**last.units, **units}))


def _within(usage: Usage, reported: Usage, window: int | None) -> Usage:
    """An estimate whose input is no more than the model can take; what the provider itself has counted stands."""
    if window is None or reported.input_tokens is not None or (usage.input_tokens or 0) <= window:
        return usage
    heard = usage.input_audio_tokens
    return replace(usage, input_tokens=window, input_audio_tokens=None if heard is None else min(heard, window))


def _fees(given: tuple[Part, ...], priced: tuple[Part, ...]) -> tuple[str, ...]:
    """Flags of fees that the price list does not know for their model."""
    dropped = [
        (name, count)
        for part, kept in zip(given, priced, strict=False)
        for name, count in part.units.items()
        if name in FEES and name not in kept.units
    ]
    return tuple(f"fee not priced: {count} {FEES[name]}" for name, count in dropped)


def _tiers(parts: tuple[Part, ...], items: tuple[Item, ...]) -> tuple[str, ...]:
    """Flags of tiers that an answer names and the price list has no price for: committed ones, or ones too new for it."""
    if not any(part.context for part in parts):
        return ()
    found = [
        f"{name}={value if value in TIERS else 'other'}"
        for part, item in zip(parts, items, strict=True)
        for name, value in part.context.items()
        if item.known and name in ("service_tier", "processing", "speed") and f"{name}={value}" not in item.source
    ]
    return tuple(f"at the plain price: {tier}" for tier in dict.fromkeys(found))


def _elsewhere(terms: Terms, items: tuple[Item, ...]) -> tuple[str, ...]:
    """Flags of prices from another list than the host's own: a gateway has several vendors' models, and one list of its own."""
    if isinstance(terms.priced_by, str):
        return ()
    owners = [item.source.partition(":")[2].partition("/")[0] for item in items if item.known]
    return tuple(elsewhere(owner) for owner in dict.fromkeys(owners) if owner != terms.priced_by.own)


def _priced_by(asked: Asked, part: Part, reading: Reading, prices: PriceBook, booked_ms: int) -> Part:
    """The part without the units that the price list has no price for: of images' tokens it knows at least the tokens' own."""
    asked_for = None if deploying(asked.terms.priced_by) else asked.terms.model
    model, at = part.model or reading.model or asked_for, utc(booked_ms)
    units = {
        name: count
        for name, count in part.units.items()
        if name.endswith("_tokens") or prices.has_unit(asked.terms.priced_by, model, name, at=at, context=part.context)
    }
    return replace(part, units=units)


def item_of(asked: Asked, part: Part, reading: Reading, prices: PriceBook, booked_ms: int) -> Item:
    """Price one sampling: by the model that answered, else the one asked for, else as an unknown one.

    Where customers name deployments themselves, what was asked for says nothing of the model: only the answer does; nor where the
    request names several, and another one answers.
    """
    terms, answered = asked.terms, part.model or reading.model
    asked_for = None if deploying(terms.priced_by) else terms.model
    if terms.others and answered and asked_for and family(answered) != family(asked_for):
        asked_for = None
    named, at = answered or asked_for, utc(booked_ms)
    # What its provider states that it bills needs no contract to say so; what a plan pays has its list price.
    adjusted = terms.changes and reading.stated_cost_nanos is None and terms.billing != PLAN
    change = terms.changes.answered(named) if adjusted else None
    for model in (answered,) if answered == asked_for else (answered, asked_for):
        listed = prices.price(
            terms.priced_by, model, part.usage, at=at, context=part.context, geo=part.geo, units=part.units
        )
        if isinstance(listed, UnknownPrice):
            continue
        charge = listed if change is None else _changed(terms, part, model, prices, at=at, change=change)
        if not isinstance(charge, UnknownPrice):
            return Item(named, part.usage, charge.nanos, charge.source, known=True, listed_nanos=listed.nanos)
    if change is not None and change.whole:
        charge = _changed(terms, part, named, prices, at=at, change=change)
        if not isinstance(charge, UnknownPrice):
            return Item(named, part.usage, charge.nanos, charge.source, known=True, listed_nanos=charge.nanos)
    unknown = terms.policy.unknown_model
    nanos = unknown_price(part.usage, input_per_million=unknown.input_nanos, output_per_million=unknown.output_nanos)
    return Item(named, part.usage, nanos, "policy:unknown_model", known=False, listed_nanos=nanos)


def _changed(
    terms: Terms, part: Part, model: str | None, prices: PriceBook, *, at: datetime, change: PriceChange
) -> Charge | UnknownPrice:
    """What a part costs at what the policy makes of the list price."""
    return prices.price(
        terms.priced_by, model, part.usage, at=at, context=part.context, geo=part.geo, units=part.units, change=change
    )
