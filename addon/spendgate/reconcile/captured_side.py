"""The captured side of a group, by price: counts, what they cost by class, and what a token was charged at.

Calls without a price are taken at the bill's own; what that adds to them is the gap that the missing price made.
"""

from __future__ import annotations

from fractions import Fraction

from spendgate.reconcile.folding import Part
from spendgate.reconcile.groups import Group, Side
from spendgate.reconcile.kinds import COUNTS, Kind
from spendgate.reconcile.naming import Price
from spendgate.reconcile.prices import Units, weights
from spendgate.reconcile.vectors import SIZE, add, zeros


class Cap:
    """The captured side of a cell."""

    def __init__(self) -> None:
        self.counts = zeros()
        self.by_class: list[Fraction] | None = [Fraction(0)] * SIZE
        self.cost = Fraction(0)
        self.units: list[Fraction | None] = [None] * SIZE
        self.rows = 0

    def take(self, part: Part, units: Units | None) -> None:
        add(self.counts, part.counts)
        self.cost += part.cost
        self.rows += part.rows
        by = weights(units, part.counts)
        if by is None or self.by_class is None or (not sum(by) and part.cost):
            self.by_class = None if part.cost or self.by_class is None else self.by_class
        else:
            over = sum(by)
            for place, each in enumerate(by):
                self.by_class[place] += Fraction(part.cost) * each / over if over else 0
        for place, unit in enumerate(units or ()):
            self.units[place] = self.units[place] if unit is None else unit

    def merge(self, other: Cap) -> None:
        add(self.counts, other.counts)
        self.cost += other.cost
        self.rows += other.rows
        if self.by_class is None or other.by_class is None:
            self.by_class = None
        else:
            self.by_class = [mine + its for mine, its in zip(self.by_class, other.by_class, strict=True)]
        self.units = [its if mine is None else mine for mine, its in zip(self.units, other.units, strict=True)]

    def unit(self, place: int) -> Fraction | None:
        if self.by_class is not None and self.counts[place]:
            return self.by_class[place] / self.counts[place]
        return self.units[place]


def captured_sides(group: Group, units: dict[str, Units | None]) -> tuple[dict[Price, Cap], Fraction]:
    caps: dict[Price, Cap] = {}
    unpriced = Fraction(0)
    for (price, text), kinds in group.parts.items():
        for kind, part in kinds.items():
            if kind not in COUNTS:
                continue
            cap = caps.setdefault(price, Cap())
            if kind is Kind.UNPRICED:
                unpriced += _take_unpriced(cap, part, group)
            else:
                cap.take(part, units.get(text))
    return caps, unpriced


def _take_unpriced(cap: Cap, part: Part, group: Group) -> Fraction:
    """Take calls without a price at the bill's own; what that adds to them is the gap that the missing price made."""
    billed = Side()
    for side in group.billed.values():
        billed.merge(side)
    if not billed.counted or not sum(billed.counts):
        value = Fraction(billed.listed)
        by = None
    elif billed.split and all(billed.counts[place] or not count for place, count in enumerate(part.counts)):
        by = [
            count * Fraction(billed.list_by[place], billed.counts[place] or 1)
            for place, count in enumerate(part.counts)
        ]
        value = sum(by, Fraction(0))
    else:
        value, by = Fraction(billed.listed) * sum(part.counts) / sum(billed.counts), None
    add(cap.counts, part.counts)
    cap.cost += value
    cap.rows += part.rows
    if by is None or cap.by_class is None:
        cap.by_class = None
    else:
        cap.by_class = [mine + its for mine, its in zip(cap.by_class, by, strict=True)]
    return value - part.cost
