"""The gap of one group in parts that add up exactly: quantity, price, discount, unpriced (facts/reconciliation.md 10.5).

Convention (Laspeyres/Paasche): quantity differences at captured prices, price differences at billed quantities. With B billed, L
at list price, C captured, Q tokens, P prices of one token:

    B - C = sum over classes of (Qb - Qc) * Pc  +  sum of (L - Qb * Pc)  +  (Qc * Pc - C)  +  (B - L)
            quantity                               price                   rounding          discount

A class that nothing was captured of is taken at the bill's own price, so that it is quantity alone. Without counts on the bill,
requests stand in for tokens; without either, nobody can tell quantity from price: it is price if one ratio shows it again and
again.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Final, NamedTuple

from spendgate.reconcile.captured_side import Cap, captured_sides
from spendgate.reconcile.common_grain import cells_of
from spendgate.reconcile.groups import Group, Side
from spendgate.reconcile.kinds import ASKED, Kind
from spendgate.reconcile.naming import LIST, Price
from spendgate.reconcile.prices import Units
from spendgate.reconcile.vectors import ANY_WRITE, SIZE, WRITES, add, zeros

NONE_KNOWN: Final[dict[Price, Units]] = {}

WHOLE: Final = -1
"""The place of money that is for all classes together."""


class PriceGap(NamedTuple):
    """Where the bill's unit price is not the ledger's."""

    price: Price
    """The bill's axes, as far as calls were not charged by the same."""
    place: int
    """The class, or WHOLE."""
    nanos: Fraction
    at_ours: Fraction
    """What the billed quantity costs at captured prices."""
    rounding: int
    """The most that rounding can have made."""
    sized: bool = True
    """Whether the bill tells how much was used, by counts or requests. Else it may as well be a difference of quantity."""

    @property
    def ratio(self) -> Fraction | None:
        """The bill's price over the ledger's."""
        return (self.at_ours + self.nanos) / self.at_ours if self.at_ours else None


class Split(NamedTuple):
    """The parts, in nano-dollars; all of them and what kinds without counts cost make B - C."""

    quantity: Fraction
    vector: tuple[int, ...] | None
    """Billed less captured tokens by class; None: the bill does not count."""
    units: Units
    """What a token of the residual is taken at."""
    prices: tuple[PriceGap, ...]
    discount: int
    unpriced: Fraction
    requests: int | None
    """Billed less captured requests."""
    mean: Fraction | None
    """What one captured request costs."""
    same_counts: bool
    """Every class is billed as it was captured."""
    charged: Mapping[str, Units | None] = MappingProxyType({})
    """What a token was charged at, by the text of the price."""


def split(group: Group, units: dict[str, Units | None], known: dict[Price, Units] = NONE_KNOWN) -> Split:
    """The parts of a group. `units` by the text of the price that calls were charged by, `known` of this model on any day."""
    caps, unpriced = captured_sides(group, units)
    asked = sum(part.calls for kinds in group.parts.values() for kind, part in kinds.items() if kind in ASKED)
    said = group.requests if group.billed else 0  # a bill without a line of it has none of its requests
    requests = None if said is None else said - asked
    counted = group.kind(Kind.COUNTED)
    mean = Fraction(counted.cost, counted.calls) if counted.calls and counted.cost else None
    discount = group.net - group.listed
    cells = cells_of(dict(group.billed), caps, known)
    parts = [_cell(sides, cap, requests, mean) for sides, cap in cells]
    vectors = [part[1] for part in parts]
    vector = None
    if all(each is not None for each in vectors):
        vector = tuple(sum(each[place] for each in vectors if each is not None) for place in range(SIZE))
    taken = [next((each[2][place] for each in parts if each[2][place] is not None), None) for place in range(SIZE)]
    return Split(
        sum((each[0] for each in parts), Fraction(0)), vector, tuple(taken), tuple(gap for each in parts for gap in each[3]),
        discount, unpriced, requests, mean, all(each is not None and not any(each) for each in vectors), units,
    )  # fmt: skip


_Cell = tuple[Fraction, tuple[int, ...] | None, list[Fraction | None], list[PriceGap]]


def _cell(sides: list[tuple[Price, Side]], cap: Cap, requests: int | None, mean: Fraction | None) -> _Cell:
    """Quantity, residual tokens, the prices they are taken at, price gaps."""
    listed = sum(side.listed for _, side in sides)
    nothing: list[Fraction | None] = [None] * SIZE
    # Lines of no money and no counts, and as many requests fewer as there are calls: the bill has none of them.
    none_of_it = not listed and requests is not None and -requests >= cap.rows
    if none_of_it or any(side.counted for _, side in sides) or all(side.empty for _, side in sides):
        sides = _same_writes(sides, cap)
        return _by_tokens(sides, cap, listed)
    if not cap.cost:
        return Fraction(listed), None, nothing, []
    rounding = sum(side.rounding for _, side in sides)
    quantity = requests * mean if requests and mean else Fraction(0)
    if not listed and requests is not None and -requests >= cap.rows:
        quantity = Fraction(
            -cap.cost
        )  # lines of no money, and none of its calls is billed: the mean may be of dearer ones
    gap = PriceGap(
        sides[0][0], WHOLE, listed - cap.cost - quantity, cap.cost + quantity, rounding + cap.rows, requests is not None
    )
    return quantity, None, nothing, [gap]


def _by_tokens(sides: list[tuple[Price, Side]], cap: Cap, listed: int) -> _Cell:
    counts = zeros()
    for _, side in sides:
        add(counts, side.counts)
    vector = tuple(mine - its for mine, its in zip(counts, cap.counts, strict=True))
    units = [cap.unit(place) for place in range(SIZE)]
    if not any(cap.counts) and not cap.cost:
        return Fraction(listed), vector, _billed_units(sides, counts, listed), []
    for place, own in enumerate(_billed_units(sides, counts, listed)):
        units[place] = own if units[place] is None else units[place]
    if any(units[place] is None and (counts[place] or cap.counts[place]) for place in range(SIZE)):
        return _without_units(sides, cap, listed, vector)
    quantity = sum((each * (units[place] or Fraction(0)) for place, each in enumerate(vector)), Fraction(0))
    gaps: list[PriceGap] = []
    for price, side in sides:
        ours = [each * (units[place] or Fraction(0)) for place, each in enumerate(side.counts)]
        total = sum(ours, Fraction(0))
        if side.split and not side.whole:
            for place, each in enumerate(ours):
                if each or side.list_by[place]:
                    gaps.append(PriceGap(price, place, side.list_by[place] - each, each, side.rounding + cap.rows))
        else:
            gaps.append(PriceGap(price, WHOLE, side.listed - total, total, side.rounding + cap.rows))
    left = listed - cap.cost - quantity - sum((gap.nanos for gap in gaps), Fraction(0))
    if left:
        gaps.append(PriceGap(LIST, WHOLE, left, cap.cost, cap.rows))
    return quantity, vector, units, gaps


def _billed_units(sides: list[tuple[Price, Side]], counts: list[int], listed: int) -> list[Fraction | None]:
    if not all(side.split and not side.whole for _, side in sides if side.listed) or not listed:
        return [None] * SIZE
    by = zeros()
    for _, side in sides:
        add(by, side.list_by)
    return [Fraction(by[place], count) if count and by[place] else None for place, count in enumerate(counts)]


def _without_units(sides: list[tuple[Price, Side]], cap: Cap, listed: int, vector: tuple[int, ...]) -> _Cell:
    """No price by class on either side: equal counts make it price, other counts quantity at the mean price of a token."""
    total = sum(cap.counts)
    mean = cap.cost / total if total else Fraction(0)
    quantity = sum(vector) * mean if total else Fraction(listed) - cap.cost
    rounding = sum(side.rounding for _, side in sides) + cap.rows
    price = sides[0][0] if sides else LIST
    gap = PriceGap(price, WHOLE, listed - cap.cost - quantity, cap.cost + quantity, rounding)
    return quantity, vector, [mean if total else None] * SIZE, [gap] if gap.nanos else []


def _same_writes(sides: list[tuple[Price, Side]], cap: Cap) -> list[tuple[Price, Side]]:
    """Where the two sides tell the times to live of cache writes apart in other ways, one class of writes on both."""
    billed = [sum(side.counts[place] for _, side in sides) for place in WRITES]
    ours = [cap.counts[place] for place in WRITES]
    differ = [bool(each) for each in billed] != [bool(each) for each in ours] or billed != ours
    same_sum = sum(billed) == sum(ours) and billed != ours and bool(ours[2] or billed[2])
    untold = bool(ours[2]) != bool(billed[2]) and any(billed) and any(ours)
    if not differ or not (same_sum or untold):
        return sides
    _one_write(cap.counts)
    if cap.by_class is not None:
        _one_write(cap.by_class)
    cap.units[ANY_WRITE] = None
    made = []
    for price, side in sides:
        one = Side()
        one.merge(side)
        for each in (one.counts, one.list_by, one.net_by):
            _one_write(each)
        made.append((price, one))
    return made


def _one_write[T: (int, Fraction)](values: list[T]) -> None:
    total = values[WRITES[0]] + values[WRITES[1]] + values[WRITES[2]]
    for place in WRITES:
        values[place] -= values[place]
    values[ANY_WRITE] += total
