"""genai-prices' own answers, exact: what a usage costs by one entry of a price list, in nano-dollars as a fraction."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import ceil

from genai_prices import Usage as ListedUsage
from genai_prices.types import ModelPrice

from spendgate.money import NANOS_PER_DOLLAR
from spendgate.usage import Usage

CACHED_AUDIO = "cache_audio_read_tokens"
AUDIO_MS = "audio_ms"
"""Our whole unit of audio, in place of genai-prices' seconds, which need not be whole."""


def listed(prices: ModelPrice, usage: Usage, units: Mapping[str, Decimal | int] | None = None) -> Fraction:
    """genai-prices' own answer in nano-dollars, exact. It counts inclusively: its input holds the cached and the written."""
    given = {
        "input_tokens": usage.input_total,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.writes or None,
        "cache_write_5m_tokens": usage.cache_write_5m_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "input_audio_tokens": usage.input_audio_tokens,
        "output_tokens": usage.output_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
        "output_audio_tokens": usage.output_audio_tokens,
        "web_searches": usage.web_searches,
    }
    # A unit's zero is said: genai-prices asks how many of an image's tokens were cached, say, where some tokens were.
    counted = ListedUsage(**({name: count for name, count in given.items() if count} | dict(units or {})))
    total: Decimal = prices.calc_price(counted)["total_price"]
    return Fraction(total) * NANOS_PER_DOLLAR


def listed_units(prices: ModelPrice, usage: Usage, units: Mapping[str, int]) -> Fraction:
    """genai-prices' own answer in nano-dollars for a usage with units that have no place in it, exact."""
    more: dict[str, Decimal | int] = {name: count for name, count in units.items() if name != AUDIO_MS}
    heard = units.get(CACHED_AUDIO, 0)
    if heard or (usage.input_audio_tokens and usage.cache_read_tokens):
        # Its audio holds the cached, too.
        more |= {"input_audio_tokens": (usage.input_audio_tokens or 0) + heard, CACHED_AUDIO: heard}
    if AUDIO_MS in units:
        seconds = Decimal(units[AUDIO_MS]) / 1000
        more |= {"audio_seconds": seconds, "input_audio_seconds": seconds}
    return listed(prices, usage, more)


def media_rates(prices: ModelPrice) -> tuple[int, int]:
    """What a unit of input and of output costs at most where it is an image's token, or a character: nano-dollars a million."""
    given = max(_dearest_unit(prices, "input_image_tokens", "input_tokens"), _dearest_unit(prices, "input_characters"))
    return ceil(given * 1_000_000), ceil(_dearest_unit(prices, "output_image_tokens", "output_tokens") * 1_000_000)


def _dearest_unit(prices: ModelPrice, unit: str, whole: str | None = None) -> Fraction:
    """The price of one more of this unit, which may be part of another, in nano-dollars, beside what each request costs."""
    return listed(prices, Usage(**({whole: 1} if whole else {})), {unit: 1}) - listed(prices, Usage())
