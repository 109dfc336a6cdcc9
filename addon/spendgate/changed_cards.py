"""A price list's entry at what a policy makes of it (`price_change`): cards, and from them the rates of bounds.

Bounds follow charges, since both come from the same cards.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil, lcm

from genai_prices.types import ModelPrice

from spendgate.listed_prices import media_rates
from spendgate.price_cards import LEAVES, Card, Ladder, bound_rates, raised
from spendgate.price_change import PriceChange
from spendgate.price_sheets import Sheet


def adjusted(sheet: Sheet, change: PriceChange) -> Sheet:
    """The sheet at what a policy makes of its list price."""
    cards = tuple(_changed(card, change) for card in sheet.cards)
    name, window = sheet.name, sheet.ladder.rungs[0].context_window
    dearer = _changed_media(media_rates(sheet.prices), sheet, cards, change)
    rungs = tuple(raised(bound_rates(cards[: upto + 1], sheet.geo, window, name), dearer) for upto in range(len(cards)))
    return replace(
        sheet,
        cards=cards,
        ladder=Ladder(sheet.starts, rungs),
        tokenless=sheet.tokenless and not any(any(card.units) for card in cards),
        change=change,
    )


def unlisted(provider: str, model: str, change: PriceChange) -> Sheet:
    """A model that no list has, at the rates that a policy sets: input and output at least, all other input as input."""
    nothing = ModelPrice()
    card = Card(units=(0,) * len(LEAVES), request=0, scale=1)
    rates = bound_rates((card,), geo=False, context_window=None, name="")
    blank = Sheet(nothing, (), (card,), Ladder((), (rates,)), geo=False, name=f"policy:{provider}/{model}")
    return adjusted(blank, change)


_SET_BY = {
    "input_tokens": ("input",),
    "cache_read_tokens": ("cache_read",),
    "cache_write_5m_tokens": ("cache_write",),
    "cache_write_1h_tokens": ("cache_write_1h", "cache_write"),
    "cache_write_tokens": ("cache_write",),
    "input_audio_tokens": ("input_audio",),
    "output_tokens": ("output",),
    "reasoning_tokens": (),
    "output_audio_tokens": ("output_audio",),
}
"""The words of `price_change.RATES` that set the price of each count, the closest first."""
_PART_OF_OUTPUT = ("reasoning_tokens", "output_audio_tokens")


def _changed(card: Card, change: PriceChange) -> Card:
    """One tier's card. A count that the list prices as plain input or output (it has no price of its own) goes with that."""
    if change.factor_millionths is not None:
        factor = change.factor
        units = tuple(unit * factor.numerator for unit in card.units)
        return Card(units, card.request * factor.numerator, card.scale * factor.denominator)
    rates = dict(change.rates)
    listed = dict(zip(LEAVES, card.units, strict=True))
    changed: dict[str, Fraction] = {}
    for leaf, unit in listed.items():
        whole = "output_tokens" if leaf in ("output_tokens", *_PART_OF_OUTPUT) else "input_tokens"
        word = next((word for word in _SET_BY.get(leaf, ()) if word in rates), None)
        if word is None and leaf in _SET_BY and unit == listed[whole]:
            word = "output" if whole == "output_tokens" else "input"
        changed[leaf] = Fraction(rates[word], 1_000_000) if word in rates else Fraction(unit, card.scale)
    scale = lcm(card.scale, *(unit.denominator for unit in changed.values()))
    return Card(tuple(int(unit * scale) for unit in changed.values()), card.request * (scale // card.scale), scale)


def _changed_media(
    listed: tuple[int, int], sheet: Sheet, cards: tuple[Card, ...], change: PriceChange
) -> tuple[int, int]:
    """`_media` at what a policy makes of it: under set rates what an image adds to its tokens at list price is added to them."""
    if change.factor_millionths is not None:
        return ceil(listed[0] * change.factor), ceil(listed[1] * change.factor)
    more = [
        max(
            0,
            *(
                ceil((_unit(new, leaf) - _unit(old, leaf)) * 1_000_000)
                for new, old in zip(cards, sheet.cards, strict=True)
            ),
        )
        for leaf in ("input_tokens", "output_tokens")
    ]
    return (listed[0] + more[0] if listed[0] else 0, listed[1] + more[1] if listed[1] else 0)


def _unit(card: Card, leaf: str) -> Fraction:
    return Fraction(card.units[LEAVES.index(leaf)], card.scale)
