"""Large tables of cases: the suite of every change runs a part of each, spread evenly; `scripts/test-heavy` runs the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import pytest


def one_in(share: int, *axes: Mapping[str, Any]) -> list[Any]:
    """Each combination of the axes' values as a parameter, `heavy` but for one in `share` of them.

    Those are on diagonals: each value meets values of the other axes, and none is left out where another is as long as `share`.
    """
    return [
        pytest.param(*values, id="-".join(names), marks=[pytest.mark.heavy] * (sum(at) % share != 0))
        for at, names, values in zip(*(product(*each) for each in _axes(axes)), strict=True)
    ]


def _axes(axes: Iterable[Mapping[str, Any]]) -> Iterable[list[Iterable[Any]]]:
    """The places, the names and the values of each axis."""
    listed = list(axes)
    return (
        [range(len(each)) for each in listed],
        [list(each) for each in listed],
        [list(each.values()) for each in listed],
    )
