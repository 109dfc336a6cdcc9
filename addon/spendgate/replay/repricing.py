"""Past calls at a candidate's prices: what they would have cost under its `pricing.adjust`, from their counts and their source.

A row says by which adjustment it was priced (`prices`), so that one which neither policy adjusts costs what it did. Any other is
priced anew from its counts where today's list still gives the list price that it had; else from that list price, for a factor.
Where neither is possible it keeps its cost, and is counted. What a provider has stated is what it bills, whatever a policy says.
Sizes were learned and bounded at the prices of then: they are changed as the call's own price is, rounded up.
"""

from __future__ import annotations

import re
from datetime import datetime
from fractions import Fraction
from math import ceil
from typing import Final, NamedTuple

from msgspec.structs import replace

from spendgate.contracts import Changes
from spendgate.ledger.history import Step
from spendgate.money import half_even
from spendgate.price_change import PriceChange
from spendgate.pricing import Charge, PriceBook, utc
from spendgate.standing import Size

GUESSED: Final = "policy:unknown_model"
ADJUSTED: Final = ";pricing.adjust["
_SOURCE = re.compile(r"(?P<origin>[^:]+):(?P<provider>[^/]+)/(?P<model>[^;]+?)(?:\+\d+)?(?P<words>(?:;[^;=]+=[^;]+)*)")
_FACTOR = re.compile(r";pricing\.adjust\[\d+\]=x ([\d.]+)")
_SIZES: Final = (
    "ceiling_nanos", "learned_nanos", "largest_nanos", "typical_nanos", "guess_nanos", "output_nanos", "output_most_nanos",
)  # fmt: skip


class Repriced(NamedTuple):
    """A past call at a candidate's prices. Nano-dollars."""

    cost_nanos: int | None
    size_factor: Fraction
    """What its size then is multiplied by."""
    unknown: bool = False
    """It fits an adjustment, and what it would have cost cannot be told: it keeps its cost."""


class Repricing:
    """Prices past calls anew. Pure, but for what it remembers of the calls it has seen."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._then: dict[tuple[str, str | None], str] = {}
        """By provider and model asked for: how the latest call that has ended was adjusted."""

    def of(self, step: Step, changes: Changes, *, counted: bool) -> Repriced:
        """What this call costs at these changes; `counted`: whether the candidate's budgets count it."""
        kind = step.provider, step.model_requested
        if step.prices is None and step.cost_nanos is not None:
            return Repriced(step.cost_nanos, Fraction(1), unknown=changes.asked is not None)
        if step.prices is None:
            return self._uncosted(changes, self._then.get(kind, ""))
        then = self._then[kind] = _adjusted(step.prices)
        change = changes.answered(step.model) if changes else None
        ignored = step.billing == "personal" and not step.cost_nanos
        if ((change.words if change else "") == _words(then) and not ignored) or not counted:
            return Repriced(step.cost_nanos, Fraction(1))
        if not then and not ignored and step.cost_nanos != step.value_nanos:
            return Repriced(step.cost_nanos, Fraction(1))  # its provider stated it, or nobody counted it
        nanos = self._guessed(step, change) if step.prices == GUESSED else self._price(step, change)
        if nanos is None:
            return Repriced(step.cost_nanos, Fraction(1), unknown=True)
        return Repriced(nanos, Fraction(nanos, step.cost_nanos) if step.cost_nanos and nanos else Fraction(1))

    def _uncosted(self, changes: Changes, then: str) -> Repriced:
        """A call that was refused or still runs, or was never priced: only its size is known, at the prices of then."""
        change = changes.asked if changes else None
        if (change.words if change else "") == _words(then):
            return Repriced(None, Fraction(1))
        before = _FACTOR.fullmatch(then) if then else None
        if (change is not None and change.rates) or (then and before is None):
            return Repriced(None, Fraction(1), unknown=True)
        return Repriced(None, (change.factor if change else Fraction(1)) / (Fraction(before[1]) if before else 1))

    def _guessed(self, step: Step, change: PriceChange | None) -> int | None:
        """A call at the policy's `pricing.unknown_model`, which a factor leaves alone; set rates may price its model."""
        if change is None or not change.whole:
            return step.cost_nanos
        found = self._book.price(step.provider, step.model, step.usage, at=utc(step.booked_ms), change=change)
        return found.nanos if isinstance(found, Charge) else step.cost_nanos

    def _price(self, step: Step, change: PriceChange | None) -> int | None:
        source, usage = _SOURCE.fullmatch(_unadjusted(step.prices or "")), step.usage
        if source is not None and source["origin"] != "policy":
            words = dict(word.split("=", 1) for word in source["words"].split(";") if word)
            geo, at = words.pop("geo", None), utc(step.booked_ms)
            listed = self._charge(source, step, at, None, words=words, geo=geo)
            if listed is not None and (not step.value_nanos or listed == step.value_nanos):
                return listed if change is None else self._charge(source, step, at, change, words=words, geo=geo)
        if not step.value_nanos:
            return None
        if source is not None and source["origin"] == "policy":
            known = change is not None and change.whole and usage.known
            return self._charge(source, step, utc(step.booked_ms), change) if known else None
        value = _listed(step)
        if value is None or (change is not None and change.rates):
            return None
        exact = value * (change.factor if change is not None else 1)
        return half_even(exact.numerator, exact.denominator)

    def _charge(
        self, source: re.Match[str], step: Step, at: datetime, change: PriceChange | None, *,
        words: dict[str, str] | None = None, geo: str | None = None,
    ) -> int | None:  # fmt: skip
        found = self._book.price(
            source["provider"], source["model"], step.usage, at=at, context=words, geo=geo, change=change
        )
        return found.nanos if isinstance(found, Charge) else None


def resized(size: Size, factor: Fraction) -> Size:
    """A size at other prices, each amount rounded up."""
    if factor == 1:
        return size
    values = {name: getattr(size, name) for name in _SIZES}
    known = {name: ceil(nanos * factor) for name, nanos in values.items() if nanos is not None}
    return replace(size, **known, spread_nanos=ceil(size.spread_nanos * factor))


def _listed(step: Step) -> Fraction | None:
    """The list price of a call whose counts do not give it: its value, or where that is what it was charged (nothing was counted,
    and a policy adjusted it) what that was of. None: nobody knows."""
    then = _adjusted(step.prices or "")
    if not then or step.cost_nanos != step.value_nanos:
        return Fraction(step.value_nanos or 0)
    before = _FACTOR.fullmatch(then)
    return None if before is None else (step.value_nanos or 0) / Fraction(before[1])


def _adjusted(prices: str) -> str:
    """The part of a row's `prices` that tells how a policy adjusted it (of several samplings the last); empty where none did."""
    _, found, words = prices.rpartition(",")[2].partition(ADJUSTED)
    return f"{ADJUSTED}{words}" if found else ""


def _unadjusted(prices: str) -> str:
    return prices.partition(ADJUSTED)[0]


def _words(adjusted: str) -> str:
    return adjusted.partition("=")[2]
