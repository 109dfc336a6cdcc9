"""The simulator's own price list, as whole nano-dollars for a token. Nothing here is asked of the product's price book.

Amounts are kept as whole thousandths of a nano-dollar (`PARTS`), so that half prices, tenths and discounts on top of one another
stay exact until a line is rounded.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from spendgate.statement import TokenClass
from spendgate.usage import Usage

PARTS: Final = 1_000
"""Parts of a nano-dollar."""
SEARCH_NANOS: Final = 10_000_000
"""One server-side web search: $10 for a thousand."""

Factor = tuple[int, int]
"""Numerator and denominator; the denominator divides `PARTS` also when multiplied with that of a discount."""
PLAIN: Final[Factor] = (1, 1)
HALF: Final[Factor] = (1, 2)
"""Batch, flex."""
US: Final[Factor] = (11, 10)
"""`inference_geo: us`."""
FAST: Final[Factor] = (2, 1)
"""Fast mode of Claude Opus 4.8, priority of GPT-5.4."""


class Price(Struct, frozen=True):
    """Nano-dollars for one token of each class."""

    input: int
    cache_read: int
    write_5m: int
    write_1h: int
    output: int


CLASSES: Final = (
    TokenClass.INPUT,
    TokenClass.CACHE_READ,
    TokenClass.CACHE_WRITE_5M,
    TokenClass.CACHE_WRITE_1H,
    TokenClass.OUTPUT,
)

PRICES: Final = {
    ("anthropic", "claude-opus-4-8"): Price(5_000, 500, 6_250, 10_000, 25_000),
    ("anthropic", "claude-sonnet-5"): Price(2_000, 200, 2_500, 4_000, 10_000),
    ("anthropic", "claude-sonnet-4-6"): Price(3_000, 300, 3_750, 6_000, 15_000),
    ("anthropic", "claude-haiku-4-5"): Price(1_000, 100, 1_250, 2_000, 5_000),
    ("openai", "gpt-5.5"): Price(5_000, 500, 5_000, 5_000, 30_000),
    ("openai", "gpt-5.4"): Price(2_500, 250, 2_500, 2_500, 15_000),
    ("openai", "gpt-5.4-mini"): Price(750, 75, 750, 750, 4_500),
    ("openrouter", "deepseek/deepseek-v3.2-exp"): Price(270, 270, 270, 270, 410),
    ("openrouter", "x-ai/grok-code-fast-1"): Price(200, 20, 200, 200, 1_500),
    ("cursor", "claude-4.5-sonnet"): Price(3_000, 300, 3_750, 3_750, 15_000),
    ("cursor", "gpt-5.4"): Price(2_500, 250, 2_500, 2_500, 15_000),
    ("anthropic", "claude-unheard-of-7"): Price(7_000, 700, 8_750, 14_000, 35_000),
}
"""The last one is in no public list."""
UNKNOWN: Final = Price(15_000, 15_000, 15_000, 15_000, 75_000)
"""What a policy charges for a model that no list has: all input at one price."""


def parts_of(usage: Usage, price: Price, factor: Factor) -> dict[TokenClass, int]:
    """What each class costs, in parts of a nano-dollar, those with a count alone."""
    scaled = times(PARTS, factor)
    counts = (
        usage.input_tokens, usage.cache_read_tokens, usage.cache_write_5m_tokens, usage.cache_write_1h_tokens,
        usage.output_tokens,
    )  # fmt: skip
    units = (price.input, price.cache_read, price.write_5m, price.write_1h, price.output)
    return {name: count * unit * scaled for name, count, unit in zip(CLASSES, counts, units, strict=True) if count}


def times(parts: int, factor: Factor) -> int:
    """Exactly. Raises ValueError where the product is no whole number of parts."""
    product, rest = divmod(parts * factor[0], factor[1])
    if rest:
        raise ValueError(f"{parts} parts times {factor[0]}/{factor[1]} are not whole")
    return product


def search_parts(usage: Usage) -> int:
    """What its web searches cost; no factor applies to them."""
    return (usage.web_searches or 0) * SEARCH_NANOS * PARTS


def total_parts(usage: Usage, price: Price, factor: Factor) -> int:
    """All of it."""
    return sum(parts_of(usage, price, factor).values()) + search_parts(usage)
