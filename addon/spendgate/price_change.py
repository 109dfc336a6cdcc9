"""What a policy makes of a list price: a factor on all of it, or rates of its own. Values only.

A factor is on everything that the list prices: tokens, searches, requests. Rates are those of a contract: they hold in every
tier of input size and every service tier, and what they do not name keeps its list price.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property

from msgspec import Struct

from spendgate.money import dollars

MILLION = 1_000_000
RATES = ("input", "cache_read", "cache_write", "cache_write_1h", "input_audio", "output", "output_audio")
"""The classes of tokens that a policy can set a price for. `cache_write` is every write, but for those of an hour where
`cache_write_1h` is set, too."""


class PriceChange(Struct, frozen=True, dict=True):
    """One `pricing.adjust` entry's effect. Exactly one of `factor` and `rates` says something."""

    where: str
    """Which entry: `pricing.adjust[1]`."""
    factor_millionths: int | None = None
    """What the list price is multiplied by, in millionths: 850,000 is 0.85."""
    rates: tuple[tuple[str, int], ...] = ()
    """Nano-dollars for a million tokens, by a word of `RATES`."""

    @cached_property
    def factor(self) -> Fraction:
        """What the list price is multiplied by; 1 where rates are set."""
        return Fraction(MILLION if self.factor_millionths is None else self.factor_millionths, MILLION)

    @property
    def whole(self) -> bool:
        """Whether it prices a model by itself, which no list has: input and output are set."""
        return {"input", "output"} <= {name for name, _ in self.rates}

    @property
    def words(self) -> str:
        """`x 0.85`, `input $1 output $8`: without commas and semicolons, since a row's `prices` separates by them."""
        if self.factor_millionths is not None:
            return f"x {decimal(self.factor_millionths)}"
        return " ".join(f"{name} {plain_dollars(nanos)}" for name, nanos in self.rates)

    @property
    def source(self) -> str:
        """How a row's `prices` tells it."""
        return f"{self.where}={self.words}"


def decimal(millionths: int) -> str:
    """`850000` -> `0.85`."""
    whole, part = divmod(millionths, MILLION)
    return f"{whole}.{part:06d}".rstrip("0").rstrip(".")


def plain_dollars(nanos: int) -> str:
    """`$1000`, `$0.1`: no thousands separator."""
    return dollars(nanos, places_min=0).replace(",", "")
