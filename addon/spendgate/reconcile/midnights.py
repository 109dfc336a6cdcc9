"""Calls near midnight that the bill has on the other day.

First whole runs of days whose differences are calls over their midnights and nothing else, to the token; a day in the middle of
such a run has a call of the day before and lacks one of its own. Then, beside other differences, calls that one day is short of
and the other has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import combinations
from typing import Final

from spendgate.reconcile.decompose import Split
from spendgate.reconcile.folding import Edge
from spendgate.reconcile.groups import Group, GroupKey
from spendgate.reconcile.identities import Identities
from spendgate.reconcile.vectors import SIZE
from spendgate.statement import DAY_MS

Moved = dict[GroupKey, list[tuple[Fraction, tuple[int, ...], int, str]]]
_FEW: Final = 24
_MANY: Final = 80
"""Of how many calls near a day's midnights up to three, and up to two, are tried together."""


def moved_calls(
    edges: Iterable[Edge], groups: dict[GroupKey, Group], splits: dict[GroupKey, Split], names: dict[str, Identities],
    young: Callable[[GroupKey], bool],
) -> Moved:  # fmt: skip
    """Calls near midnight that the bill has on the other day: it is short of exactly them here, and has them over there.

    Where the other day is not compared, a day that is off by nothing but its calls next to that midnight shows it, unless the
    provider may still be adding to it.
    """
    found: Moved = defaultdict(list)
    rest = {
        key: (list(split.vector), split.requests)
        for key, split in splits.items()
        if split.vector is not None and not key.match
    }
    series: dict[tuple[GroupKey, GroupKey], list[Edge]] = defaultdict(list)
    for edge in edges:
        who = names.get(edge.raw.provider)
        if who is None:
            continue
        account = who.of_call(edge.raw)
        model = edge.raw.model
        here = GroupKey(edge.raw.day_ms, edge.raw.provider, account, model)
        if here not in groups and here._replace(model="") in groups:
            here = here._replace(model="")
        series[here, here._replace(day_ms=edge.other_day_ms)].append(edge)
    for its in series.values():
        its.sort(key=lambda edge: (edge.away_ms, edge.id))
    days = {(key.provider, key.day_ms) for key in groups}
    _Chains(series, {key: its for key, its in rest.items() if not young(key)}, days).solve(
        lambda edge, key, sign: _move(edge, key, sign, rest, found, splits=splits)
    )
    for (here, there), its in sorted(series.items()):
        if here in rest and there in rest:
            _both(its, here, there, rest, found, splits=splits)
        elif (
            not young(here if here in rest else there)
            and (here in rest or there in rest)
            and not {here[1::-1], there[1::-1]} <= days
        ):
            _one(its, here, there, rest, found, splits=splits)
    return found


_Rest = dict[GroupKey, tuple[list[int], int | None]]

Move = tuple[Edge, GroupKey, int]
"""A call, a day, and whether the bill has it there (1) or the ledger has (-1)."""


class _Chains:
    """Runs of days of one account and model that calls over midnight explain whole."""

    def __init__(
        self, series: dict[tuple[GroupKey, GroupKey], list[Edge]], rest: _Rest, days: set[tuple[str, int]]
    ) -> None:
        self._series, self._rest, self._days = series, rest, days

    def solve(self, move: Callable[[Edge, GroupKey, int], None]) -> None:
        """Call `move` for each side of each such call."""
        left = {key: (list(vector), requests) for key, (vector, requests) in self._rest.items()}
        run: list[Move] = []
        for key in sorted(left, key=lambda one: (one[1:], one.day_ms)):
            if not self._off(left, key):
                self._keep(run, move)
                run = []
                continue
            chosen = self._chosen(left, key)
            if chosen is None and run:
                _undo(run, left)
                run, chosen = [], self._chosen(left, key)
            if chosen is None:
                run = []
                continue
            for each in chosen:
                run.append(each)
                _apply(each, left, 1)
            if not any(at != key for _, at, _ in chosen):
                self._keep(run, move)
                run = []

    @staticmethod
    def _off(left: _Rest, key: GroupKey) -> bool:
        vector, requests = left[key]
        return any(vector) or bool(requests)

    @staticmethod
    def _keep(run: list[Move], move: Callable[[Edge, GroupKey, int], None]) -> None:
        for each in run:
            move(*each)

    def _chosen(self, left: _Rest, key: GroupKey) -> list[Move] | None:
        """The fewest calls over the next midnight, or over one to no compared day, that are all that the day is off by."""
        vector, requests = left[key]
        ours = [*self._over(key, key._replace(day_ms=key.day_ms + DAY_MS), left)]
        before = key._replace(day_ms=key.day_ms - DAY_MS)
        if (before.provider, before.day_ms) not in self._days:
            ours += self._over(key, before, left)
        if len(ours) > _MANY:
            return None
        for number in range(1, 4 if len(ours) <= _FEW else 3):
            for some in combinations(ours, number):
                if requests not in (None, sum(sign for _, sign, _ in some)):
                    continue
                if all(
                    sum(sign * edge.counts[place] for edge, sign, _ in some) == vector[place] for place in range(SIZE)
                ):
                    return [each for edge, sign, other in some for each in self._sides(edge, sign, key, other, left)]
        return None

    def _over(self, key: GroupKey, other: GroupKey, left: _Rest) -> Iterator[tuple[Edge, int, GroupKey]]:
        if other not in left and (other.provider, other.day_ms) in self._days:
            return
        for edge in self._series.get((key, other), ()):
            yield edge, -1, other
        for edge in self._series.get((other, key), ()):
            yield edge, 1, other

    @staticmethod
    def _sides(edge: Edge, sign: int, key: GroupKey, other: GroupKey, left: _Rest) -> list[Move]:
        return [(edge, key, sign), *([(edge, other, -sign)] if other in left else [])]


def _apply(each: Move, left: _Rest, times: int) -> None:
    edge, key, sign = each
    vector, requests = left[key]
    left[key] = (
        [mine - times * sign * count for mine, count in zip(vector, edge.counts, strict=True)],
        None if requests is None else requests - times * sign,
    )


def _undo(run: list[Move], left: _Rest) -> None:
    for each in run:
        _apply(each, left, -1)


def _both(
    its: list[Edge], here: GroupKey, there: GroupKey, rest: _Rest, found: Moved, *, splits: dict[GroupKey, Split]
) -> None:
    for edge in its:
        (short, fewer), (over, more) = rest[here], rest[there]
        if (fewer is not None and fewer >= 0) or (more is not None and more <= 0):
            return
        if not all(-short[place] >= edge.counts[place] <= over[place] for place in range(SIZE)):
            continue
        _move(edge, here, -1, rest, found, splits=splits)
        _move(edge, there, 1, rest, found, splits=splits)


def _one(
    its: list[Edge], here: GroupKey, there: GroupKey, rest: _Rest, found: Moved, *, splits: dict[GroupKey, Split]
) -> None:
    """Only one of the two days is compared: the calls nearest to midnight make up all that it is off by."""
    key, sign = (here, -1) if here in rest else (there, 1)
    vector, requests = rest[key]
    total = [0] * SIZE
    for number, edge in enumerate(its, 1):
        total = [mine + sign * count for mine, count in zip(total, edge.counts, strict=True)]
        if total == vector and any(total) and requests in (None, sign * number):
            for each in its[:number]:
                _move(each, key, sign, rest, found, splits=splits)
            return


def _move(edge: Edge, key: GroupKey, sign: int, rest: _Rest, found: Moved, *, splits: dict[GroupKey, Split]) -> None:
    vector, requests = rest[key]
    rest[key] = (
        [mine - sign * count for mine, count in zip(vector, edge.counts, strict=True)],
        None if requests is None else requests - sign,
    )
    units = splits[key].units
    worth = sum((count * (units[place] or Fraction(0)) for place, count in enumerate(edge.counts)), Fraction(0))
    if abs(worth - edge.cost) > 1:
        worth = Fraction(edge.cost)  # one of several prices that the group has
    found[key].append((sign * worth, tuple(sign * count for count in edge.counts), sign, edge.id))
