"""How a call's list price came about: each count times its price, from the row and the price list alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spendgate.money import half_even
from spendgate.pricing import Charge, PriceBook
from spendgate.usage import Usage

_SOURCE = re.compile(r"(?P<origin>[^:]+):(?P<provider>[^/]+)/(?P<model>[^;]+?)(?:\+\d+)?(?P<words>(?:;[^;=]+=[^;]+)*)")
_COUNTS = {
    "input": "input_tokens",
    "cache read": "cache_read_tokens",
    "cache write 5m": "cache_write_5m_tokens",
    "cache write 1h": "cache_write_1h_tokens",
    "cache write": "cache_write_other_tokens",
    "output": "output_tokens",
    "web search": "web_searches",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One count at its price, both in nano-dollars; `nanos` is exact where the price is whole."""

    name: str
    count: int
    per_million_nanos: int
    nanos: int


def reckoned(row: Mapping[str, Any], book: PriceBook | None = None) -> list[Line] | None:
    """The lines of a call, where they add up to its list price; None where today's list or several samplings say otherwise."""
    source = _SOURCE.fullmatch(row["prices"])
    if source is None:
        return None
    words = dict(word.split("=", 1) for word in source["words"].split(";") if word)
    geo, book = words.pop("geo", None), book or PriceBook()
    at = datetime.fromisoformat(row["booked_at"])

    def priced(usage: Usage) -> int | None:
        charge = book.price(source["provider"], source["model"], usage, at=at, context=words, geo=geo)
        return charge.nanos if isinstance(charge, Charge) else None

    counts = {name: row.get(column) or 0 for name, column in _COUNTS.items()}
    if priced(_usage(counts)) != row["value_nanos"]:
        return None
    total = sum(counts[name] for name in _COUNTS if name not in ("output", "web search"))
    lines = []
    for name, count in counts.items():
        if count:
            one = _marginal(priced, name, total)
            if one is None:
                return None
            lines.append(Line(name, count, one, half_even(one * count, 1_000_000)))
    return lines


def _marginal(priced: Callable[[Usage], int | None], name: str, total: int) -> int | None:
    """The price of a million more of one count, within the tier that `total` input falls into."""
    base = priced(_usage({"input": total}))
    with_more = priced(_usage({"input": total} | {name: 1_000_000 + (total if name == "input" else 0)}))
    return None if base is None or with_more is None else with_more - base


def _usage(counts: Mapping[str, int]) -> Usage:
    return Usage(
        input_tokens=counts.get("input", 0),
        cache_read_tokens=counts.get("cache read", 0),
        cache_write_5m_tokens=counts.get("cache write 5m", 0),
        cache_write_1h_tokens=counts.get("cache write 1h", 0),
        cache_write_tokens=counts.get("cache write", 0),
        output_tokens=counts.get("output", 0),
        web_searches=counts.get("web search", 0),
    )
