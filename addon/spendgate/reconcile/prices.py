"""What one token of each class cost the ledger: exact unit prices, so that a call's one amount falls into classes.

Asked of the price list that the gate prices by; where that does not make the ledger's own amounts (a contract's prices, another
snapshot), solved from those amounts, and checked against every one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from typing import Final

from spendgate.pricing import PriceBook, UnknownPrice
from spendgate.reconcile.vectors import CLASSES, SEARCHES, SIZE
from spendgate.statement import TokenClass

Units = tuple[Fraction | None, ...]
"""Nano-dollars for one token, by class; None: not known."""
Row = tuple[Sequence[int], int, int]
"""Counts by class, what they cost, how many rows that is the sum of."""
_GRID: Final = 1000
"""Prices are whole thousandths of a nano-dollar a token: a ten-thousandth of a cent for a million."""
_ROWS_MAX: Final = 400
_MULTIPLES: Final = tuple(Fraction(*each) for each in ((1, 2), (2, 1), (11, 10), (11, 20), (11, 5)))
"""Batch and flex, priority, one region, and both (facts/reconciliation.md 10.4)."""


class Prices:
    """Unit prices of the ledger's calls, found once for each price."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._listed = lru_cache(maxsize=4096)(self._ask)

    def units(self, provider: str, model: str, prices: str, day_ms: int, rows: Sequence[Row]) -> Units | None:
        """What makes the amounts of all these rows; None: nothing linear does."""
        for listed in self._candidates(provider, model, prices, day_ms):
            if _makes(listed, rows):
                return listed
        return solved(rows) or self._multiple(provider, model, prices, day_ms, rows)

    def _multiple(self, provider: str, model: str, prices: str, day_ms: int, rows: Sequence[Row]) -> Units | None:
        """The list's plain price times what tiers and regions are: too few rows to solve, and a list without that tier."""
        plain = self._listed(provider, model, prices.split(",", maxsplit=1)[0].split(";", maxsplit=1)[0], day_ms, 0)
        if plain is None:
            return None
        made = (_scaled(plain, ratio) for ratio in _MULTIPLES)
        return next((each for each in made if _makes(each, rows)), None)

    def _candidates(self, provider: str, model: str, prices: str, day_ms: int) -> list[Units]:
        found = [self._listed(provider, model, prices, day_ms, size) for size in (0, 200_001, 272_001)]
        return [each for each in dict.fromkeys(found) if each is not None]

    def _ask(self, provider: str, model: str, prices: str, day_ms: int, size: int) -> Units | None:
        name, *words = prices.split(",", maxsplit=1)[0].split(";")
        owner, _, listed = name.rpartition(":")[2].partition("/")
        context = dict(word.split("=", 1) for word in words if "=" in word)
        geo = context.pop("geo", None)
        at = datetime.fromtimestamp(day_ms / 1000, UTC)
        asked, of = (owner, listed.partition("+")[0]) if listed else (provider, model)
        each = self._book.units(asked, of, size, at=at, context=context or None, geo=geo)
        if isinstance(each, UnknownPrice) or not each:
            return None
        inputs = each.get("input_tokens")
        write = each.get("cache_write_tokens", inputs)
        fallback = {
            TokenClass.CACHE_READ: inputs,
            TokenClass.CACHE_WRITE: write,
            TokenClass.CACHE_WRITE_5M: write,
            TokenClass.CACHE_WRITE_1H: write,
        }
        tokens = [each.get(token_class.value, fallback.get(token_class)) for token_class in CLASSES]
        return (*tokens, each.get("web_searches"))


def _scaled(units: Units, ratio: Fraction) -> Units:
    """Tokens alone: a search costs the same in every tier."""
    return (*(None if each is None else each * ratio for each in units[:SEARCHES]), units[SEARCHES])


def _makes(units: Units, rows: Sequence[Row]) -> bool:
    """Whether these prices make these amounts, each row rounded on its own."""
    for counts, cost, number in rows:
        made = Fraction(0)
        for place, count in enumerate(counts):
            unit = units[place]
            if count and unit is None:
                return False
            made += count * (unit or 0)
        if abs(made - cost) > Fraction(number, 2) + Fraction(1, 2):
            return False
    return True


def solved(rows: Sequence[Row]) -> Units | None:
    """Prices from amounts: least squares in exact fractions, put on the grid of prices, then checked against every row."""
    used = [place for place in range(SIZE) if any(counts[place] for counts, _, _ in rows)]
    some = sorted(rows, key=lambda row: (-row[1], tuple(row[0])))[:_ROWS_MAX]
    if not used or len(some) < len(used):
        return None
    answer = _solve(
        [[sum(Fraction(counts[i] * counts[j], number) for counts, _, number in some) for j in used] for i in used],
        [sum((Fraction(counts[i] * cost, number) for counts, cost, number in some), Fraction(0)) for i in used],
    )
    if answer is None:
        return None
    for grid in (1, 10, 20, 100, _GRID):
        found: list[Fraction | None] = [None] * SIZE
        for place, value in zip(used, answer, strict=True):
            found[place] = Fraction(round(value * grid), grid)
        if all((found[place] or 0) >= 0 for place in used) and _makes(tuple(found), rows):
            return tuple(found)
    return None


def _solve(matrix: list[list[Fraction | int]], right: list[Fraction]) -> list[Fraction] | None:
    """Gauss, exactly; None where the rows do not tell the classes apart."""
    size = len(right)
    rows = [[Fraction(each) for each in row] + [value] for row, value in zip(matrix, right, strict=True)]
    for at in range(size):
        pivot = next((place for place in range(at, size) if rows[place][at]), None)
        if pivot is None:
            return None
        rows[at], rows[pivot] = rows[pivot], rows[at]
        for place in range(size):
            if place != at and rows[place][at]:
                factor = rows[place][at] / rows[at][at]
                rows[place] = [mine - factor * theirs for mine, theirs in zip(rows[place], rows[at], strict=True)]
    return [rows[place][size] / rows[place][place] for place in range(size)]


def weights(units: Units | None, counts: Sequence[int]) -> list[Fraction] | None:
    """By what shares one amount falls into classes; None: not known."""
    if units is None or any(count and units[place] is None for place, count in enumerate(counts)):
        return None
    return [count * (units[place] or Fraction(0)) for place, count in enumerate(counts)]
