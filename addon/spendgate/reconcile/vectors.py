"""Counts and amounts by token class, in the order of `TokenClass`, then web searches: plain lists, for there are many of them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from spendgate.money import half_even
from spendgate.statement import TokenClass
from spendgate.usage import Usage

CLASSES: Final = tuple(TokenClass)
PLACE: Final = {each: place for place, each in enumerate(CLASSES)}
SEARCHES: Final = len(CLASSES)
"""The place of web searches: a call's cost has them in it, so they are counted and priced like a class of tokens."""
SIZE: Final = SEARCHES + 1
NAMES: Final = (*(each.value for each in CLASSES), "web_searches")
"""Of the places, as in `Usage`."""
WRITES: Final = (PLACE[TokenClass.CACHE_WRITE_5M], PLACE[TokenClass.CACHE_WRITE_1H], PLACE[TokenClass.CACHE_WRITE])
ANY_WRITE: Final = PLACE[TokenClass.CACHE_WRITE]
OUTPUT: Final = PLACE[TokenClass.OUTPUT]


def zeros() -> list[int]:
    """Nothing of any class."""
    return [0] * SIZE


def counts_of(usage: Usage) -> list[int]:
    """Counts; one that is not given is none."""
    return [
        usage.input_tokens or 0,
        usage.cache_read_tokens or 0,
        usage.cache_write_5m_tokens or 0,
        usage.cache_write_1h_tokens or 0,
        usage.cache_write_tokens or 0,
        usage.output_tokens or 0,
        usage.web_searches or 0,
    ]


def add(into: list[int], other: Sequence[int]) -> None:
    """In place."""
    for place, each in enumerate(other):
        into[place] += each


def whole(value: Fraction) -> int:
    """The nearest whole, ties to even."""
    return half_even(value.numerator, value.denominator)


def shares(total: int, weights: Sequence[Fraction]) -> list[int]:
    """`total` in whole parts by these weights (zero or more); the parts add up to it exactly."""
    over = sum(weights)
    if not over:
        return [total, *[0] * (len(weights) - 1)] if weights else []
    found, given, reached = [], 0, Fraction(0)
    for weight in weights:
        reached += weight
        upto = whole(total * reached / over)
        found.append(upto - given)
        given = upto
    return found
