"""How a call's list price came about: each count times its price, from the row and the price list alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from spendgate.money import half_even
from spendgate.price_cards import REQUEST
from spendgate.pricing import PriceBook, UnknownPrice

_SOURCE = re.compile(r"(?P<origin>[^:]+):(?P<provider>[^/]+)/(?P<model>[^;]+?)(?:\+\d+)?(?P<words>(?:;[^;=]+=[^;]+)*)")
_COUNTS = {
    "input": ("input_tokens", "input_tokens"),
    "cache read": ("cache_read_tokens", "cache_read_tokens"),
    "cache write 5m": ("cache_write_5m_tokens", "cache_write_5m_tokens"),
    "cache write 1h": ("cache_write_1h_tokens", "cache_write_1h_tokens"),
    "cache write": ("cache_write_other_tokens", "cache_write_tokens"),
    "output": ("output_tokens", "output_tokens"),
    "web search": ("web_searches", "web_searches"),
}
"""A line's name: the column of the view `calls` that counts it, and what `Usage` calls it."""
_NOT_INPUT = ("output", "web search")


_ADJUSTED = re.compile(r";(pricing\.adjust\[\d+\])=([^,;]+)")


def adjustment(prices: str) -> str | None:
    """`pricing.adjust[1] (x 0.85)`: by which entry a row's price was adjusted; None: by none.

    The entry's number is its place in the policy that was in force then.
    """
    found = list(dict.fromkeys(_ADJUSTED.findall(prices)))
    return " and ".join(f"{entry} ({words})" for entry, words in found) or None


@dataclass(frozen=True, slots=True)
class Line:
    """One count at its price, both in nano-dollars, each rounded for itself."""

    name: str
    count: int
    per_million_nanos: int
    nanos: int


def reckoned(row: Mapping[str, Any], book: PriceBook | None = None) -> list[Line] | None:
    """The lines of a call, where their exact sum, rounded once, is its list price; none where nothing was counted.

    None where today's list gives another sum, as it also may for audio and for a call of several samplings.
    """
    source = _SOURCE.fullmatch(_ADJUSTED.sub("", row["prices"]))
    if source is None:
        return None
    counts = {name: row.get(column) or 0 for name, (column, _) in _COUNTS.items()}
    total = sum(count for name, count in counts.items() if name not in _NOT_INPUT)
    words = dict(word.split("=", 1) for word in source["words"].split(";") if word)
    geo, at = words.pop("geo", None), datetime.fromisoformat(row["booked_at"])
    units = (book or PriceBook()).units(source["provider"], source["model"], total, at=at, context=words, geo=geo)
    if isinstance(units, UnknownPrice):
        return None
    prices = {name: units[leaf] for name, (_, leaf) in _COUNTS.items()}
    counts[REQUEST], prices[REQUEST] = int(row["value_nanos"] > 0), units[REQUEST]
    if _whole(sum((counts[name] * price for name, price in prices.items()), Fraction(0))) != row["value_nanos"]:
        return None
    return [
        Line(name, count, _whole(prices[name] * 1_000_000), _whole(prices[name] * count))
        for name, count in counts.items()
        if count and (prices[name] or name != REQUEST)
    ]


def _whole(nanos: Fraction) -> int:
    return half_even(nanos.numerator, nanos.denominator)
