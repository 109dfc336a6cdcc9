"""The gap of one group in parts that add up exactly: quantity, price, discount, unpriced (facts/reconciliation.md 10.5).

Convention (Laspeyres/Paasche): quantity differences at captured prices, price differences at billed quantities. With B billed, L
at list price, C captured, Q tokens, P prices of one token:

    B - C = sum over classes of (Qb - Qc) * Pc  +  sum of (L - Qb * Pc)  +  (Qc * Pc - C)  +  (B - L)
            quantity                               price                   rounding          discount

A class that nothing was captured of is taken at the bill's own price, so that it is quantity alone. Without counts on the bill,
requests stand in for tokens; without either, whatever is not explained otherwise is price if a ratio shows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import combinations
from typing import Final, NamedTuple

from msgspec.structs import replace

from spendgate.reconcile.folding import Part
from spendgate.reconcile.groups import Group, Side
from spendgate.reconcile.kinds import ASKED, COUNTS, Kind
from spendgate.reconcile.naming import LIST, Price
from spendgate.reconcile.prices import Units, weights
from spendgate.reconcile.vectors import ANY_WRITE, SIZE, WRITES, add, shares, zeros

_AXES: Final = Price.__struct_fields__
NONE_KNOWN: Final[dict[Price, Units]] = {}
_MUCH_LESS: Final = 8
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


class _Cap:
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

    def merge(self, other: _Cap) -> None:
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


def split(group: Group, units: dict[str, Units | None], known: dict[Price, Units] = NONE_KNOWN) -> Split:
    """The parts of a group. `units` by the text of the price that calls were charged by, `known` of this model on any day."""
    caps, unpriced = _captured(group, units)
    asked = sum(part.calls for kinds in group.parts.values() for kind, part in kinds.items() if kind in ASKED)
    said = group.requests if group.billed else 0  # a bill without a line of it has none of its requests
    requests = None if said is None else said - asked
    counted = group.kind(Kind.COUNTED)
    mean = Fraction(counted.cost, counted.calls) if counted.calls and counted.cost else None
    discount = group.net - group.listed
    cells = _cells(dict(group.billed), caps, known)
    parts = [_cell(sides, cap, requests, mean) for sides, cap in cells]
    vectors = [part[1] for part in parts]
    vector = None
    if all(each is not None for each in vectors):
        vector = tuple(sum(each[place] for each in vectors if each is not None) for place in range(SIZE))
    taken = [next((each[2][place] for each in parts if each[2][place] is not None), None) for place in range(SIZE)]
    return Split(
        sum((each[0] for each in parts), Fraction(0)), vector, tuple(taken), tuple(gap for each in parts for gap in each[3]),
        discount, unpriced, requests, mean, all(each is not None and not any(each) for each in vectors),
    )  # fmt: skip


def _captured(group: Group, units: dict[str, Units | None]) -> tuple[dict[Price, _Cap], Fraction]:
    caps: dict[Price, _Cap] = {}
    unpriced = Fraction(0)
    for (price, text), kinds in group.parts.items():
        for kind, part in kinds.items():
            if kind not in COUNTS:
                continue
            cap = caps.setdefault(price, _Cap())
            if kind is Kind.UNPRICED:
                unpriced += _take_unpriced(cap, part, group)
            else:
                cap.take(part, units.get(text))
    return caps, unpriced


def _take_unpriced(cap: _Cap, part: Part, group: Group) -> Fraction:
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


def _cells(
    billed: dict[Price, Side], caps: dict[Price, _Cap], known: dict[Price, Units]
) -> list[tuple[list[tuple[Price, Side]], _Cap]]:
    """Price axes apart as far as both sides tell them apart the same way: the common grain."""
    money = {price for price, side in billed.items() if side.split or side.whole}
    counted = {price for price, side in billed.items() if side.counted}
    if counted and money == {LIST} and counted - money:
        billed = _spread(billed, caps, known) or {LIST: _merged(billed.values())}
    elif counted and money - counted:
        # Counts without axes and money with them: only their sums can be compared.
        billed = {LIST: _merged(billed.values())}
    if not counted:
        return _without_axes(billed, caps, _AXES)
    choices = [
        _without_axes(billed, caps, dropped)
        for number in range(len(_AXES) + 1)
        for dropped in combinations(_AXES, number)
    ]
    # Calls missing at one price and too many at another nearly cancel out, too: axes are dropped for much less alone.
    finest, best = choices[0], min(choices, key=_apart)
    return best if _MUCH_LESS * _apart(best) < _apart(finest) or _sides_differ(billed, caps) else finest


def _sides_differ(billed: dict[Price, Side], caps: dict[Price, _Cap]) -> bool:
    """Whether one side has prices that the other has none of."""
    ours = {price for price, cap in caps.items() if cap.rows}
    theirs = {price for price, side in billed.items() if side.counted}
    return bool(ours) and bool(theirs) and not (ours <= theirs or theirs <= ours)


def _without_axes(
    billed: dict[Price, Side], caps: dict[Price, _Cap], dropped: tuple[str, ...]
) -> list[tuple[list[tuple[Price, Side]], _Cap]]:
    """The cells where these axes tell nothing apart."""
    less = dict.fromkeys(dropped, "")
    cells: dict[Price, tuple[list[tuple[Price, Side]], _Cap]] = {}
    ours: dict[Price, list[Price]] = {}
    for price, cap in sorted(caps.items(), key=lambda pair: pair[0]):
        cells.setdefault(replace(price, **less), ([], _Cap()))[1].merge(cap)
        ours.setdefault(replace(price, **less), []).append(price)
    for price, side in sorted(billed.items()):
        at = replace(price, **less)
        cells.setdefault(at, ([], _Cap()))[0].append((_other_axes(price, ours.get(at, [])), side))
    return [each for _, each in sorted(cells.items())] or [([], _Cap())]


def _other_axes(billed: Price, ours: list[Price]) -> Price:
    """Those of the bill's axes that the calls of the cell were not all charged by: what the two sides have alike is no reason."""
    alike = {axis: "" for axis in _AXES if ours and all(getattr(each, axis) == getattr(billed, axis) for each in ours)}
    return replace(billed, **alike)


def _merged(sides: Iterable[Side]) -> Side:
    one = Side()
    for side in sides:
        one.merge(side)
    return one


def _spread(billed: dict[Price, Side], caps: dict[Price, _Cap], known: dict[Price, Units]) -> dict[Price, Side] | None:
    """Counts by axes and money without them: each class' money by what its counts cost the ledger; None: that is not known."""
    of_all = billed[LIST]
    made: dict[Price, Side] = {}
    for price, side in billed.items():
        one = made[price] = Side()
        one.counts, one.counted, one.requests = list(side.counts), side.counted, side.requests
        one.requests_money, one.split, one.rounding = side.requests_money, True, of_all.rounding + 1
    for place in range(SIZE):
        weights: list[Fraction] = []
        unknown: list[int] = []
        for at, (price, side) in enumerate(made.items()):
            unit = caps[price].unit(place) if price in caps else None
            if unit is None:
                unit = known[price][place] if price in known else None
            if side.counts[place] and unit is None:
                unknown.append(at)
            weights.append(side.counts[place] * (unit or Fraction(0)))
        left = of_all.list_by[place] - sum(weights, Fraction(0))
        if len(unknown) > 1 or (unknown and left <= 0):
            return None
        for at in unknown:
            weights[at] = left  # the one price that no call shows is what the others leave
        listed, net = shares(of_all.list_by[place], weights), shares(of_all.net_by[place], weights)
        for one, its_list, its_net in zip(made.values(), listed, net, strict=True):
            one.list_by[place], one.net_by[place] = its_list, its_net
    return None if of_all.whole else made


def _apart(cells: list[tuple[list[tuple[Price, Side]], _Cap]]) -> int:
    """How many tokens differ."""
    found = 0
    for sides, cap in cells:
        for place in range(SIZE):
            found += abs(sum(side.counts[place] for _, side in sides) - cap.counts[place])
    return found


_Cell = tuple[Fraction, tuple[int, ...] | None, list[Fraction | None], list[PriceGap]]


def _cell(sides: list[tuple[Price, Side]], cap: _Cap, requests: int | None, mean: Fraction | None) -> _Cell:
    """Quantity, residual tokens, the prices they are taken at, price gaps."""
    listed = sum(side.listed for _, side in sides)
    nothing: list[Fraction | None] = [None] * SIZE
    if any(side.counted for _, side in sides) or all(side.empty for _, side in sides):
        sides = _same_writes(sides, cap)
        return _by_tokens(sides, cap, listed)
    if not cap.cost:
        return Fraction(listed), None, nothing, []
    rounding = sum(side.rounding for _, side in sides)
    quantity = requests * mean if requests and mean else Fraction(0)
    gap = PriceGap(sides[0][0], WHOLE, listed - cap.cost - quantity, cap.cost + quantity, rounding + cap.rows)
    return quantity, None, nothing, [gap]


def _by_tokens(sides: list[tuple[Price, Side]], cap: _Cap, listed: int) -> _Cell:
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


def _without_units(sides: list[tuple[Price, Side]], cap: _Cap, listed: int, vector: tuple[int, ...]) -> _Cell:
    """No price by class on either side: equal counts make it price, other counts quantity at the mean price of a token."""
    total = sum(cap.counts)
    mean = cap.cost / total if total else Fraction(0)
    quantity = sum(vector) * mean if total else Fraction(listed) - cap.cost
    rounding = sum(side.rounding for _, side in sides) + cap.rows
    price = sides[0][0] if sides else LIST
    gap = PriceGap(price, WHOLE, listed - cap.cost - quantity, cap.cost + quantity, rounding)
    return quantity, vector, [mean if total else None] * SIZE, [gap] if gap.nanos else []


def _same_writes(sides: list[tuple[Price, Side]], cap: _Cap) -> list[tuple[Price, Side]]:
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
