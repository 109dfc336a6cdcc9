"""The cells in which both sides can be compared: price axes are told apart as far as both tell them apart the same way."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import combinations
from typing import Final

from msgspec.structs import replace

from spendgate.reconcile.captured_side import Cap
from spendgate.reconcile.groups import Side
from spendgate.reconcile.naming import LIST, Price
from spendgate.reconcile.prices import Units
from spendgate.reconcile.vectors import SIZE, shares

_AXES: Final = Price.__struct_fields__

_MUCH_LESS: Final = 8


def cells_of(
    billed: dict[Price, Side], caps: dict[Price, Cap], known: dict[Price, Units]
) -> list[tuple[list[tuple[Price, Side]], Cap]]:
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


def _sides_differ(billed: dict[Price, Side], caps: dict[Price, Cap]) -> bool:
    """Whether one side has prices that the other has none of."""
    ours = {price for price, cap in caps.items() if cap.rows}
    theirs = {price for price, side in billed.items() if side.counted}
    return bool(ours) and bool(theirs) and not (ours <= theirs or theirs <= ours)


def _without_axes(
    billed: dict[Price, Side], caps: dict[Price, Cap], dropped: tuple[str, ...]
) -> list[tuple[list[tuple[Price, Side]], Cap]]:
    """The cells where these axes tell nothing apart."""
    less = dict.fromkeys(dropped, "")
    cells: dict[Price, tuple[list[tuple[Price, Side]], Cap]] = {}
    ours: dict[Price, list[Price]] = {}
    for price, cap in sorted(caps.items(), key=lambda pair: pair[0]):
        cells.setdefault(replace(price, **less), ([], Cap()))[1].merge(cap)
        ours.setdefault(replace(price, **less), []).append(price)
    for price, side in sorted(billed.items()):
        at = replace(price, **less)
        cells.setdefault(at, ([], Cap()))[0].append((_other_axes(price, ours.get(at, [])), side))
    return [each for _, each in sorted(cells.items())] or [([], Cap())]


def _other_axes(billed: Price, ours: list[Price]) -> Price:
    """Those of the bill's axes that the calls of the cell were not all charged by: what the two sides have alike is no reason."""
    alike = {axis: "" for axis in _AXES if ours and all(getattr(each, axis) == getattr(billed, axis) for each in ours)}
    return replace(billed, **alike)


def _merged(sides: Iterable[Side]) -> Side:
    one = Side()
    for side in sides:
        one.merge(side)
    return one


def _spread(billed: dict[Price, Side], caps: dict[Price, Cap], known: dict[Price, Units]) -> dict[Price, Side] | None:
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


def _apart(cells: list[tuple[list[tuple[Price, Side]], Cap]]) -> int:
    """How many tokens differ."""
    found = 0
    for sides, cap in cells:
        for place in range(SIZE):
            found += abs(sum(side.counts[place] for _, side in sides) - cap.counts[place])
    return found
