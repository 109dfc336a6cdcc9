"""The arithmetic of a limit by the mean: bounded, rounded once, and told as it is."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.adaptive import Mean, MeanOf, Settled, limit_of, settled_of, told

DOLLAR = 10**9


def of(factor: int = 4000, days: int = 7, minutes: int = 1440, least: int = 0, most: int = 200 * DOLLAR) -> MeanOf:
    """The mean of one allowance."""
    return MeanOf(Mean(factor, days, least, most), minutes, "b", "w", "2026-12-07", ())


sums = st.lists(st.integers(0, 10**12), min_size=3, max_size=90)


@given(sums, st.integers(1, 9_999_999), st.integers(1, 600_000), st.integers(0, 10**14), st.integers(0, 10**14))
def test_it_is_the_exact_mean_within_its_bounds(
    daily: list[int], factor: int, minutes: int, least: int, more: int
) -> None:
    """Factor times mean a day times the window's days, off by less than one nano-dollar; no order of days matters."""
    found = settled_of(daily)
    made = of(factor, len(daily), minutes, least, least + more)
    limit = limit_of(made, found)
    assert least <= limit <= least + more
    assert limit == limit_of(made, settled_of(reversed(daily)))
    if found.days < 3:
        assert limit == least + more
    else:
        exact = Fraction(factor, 1000) * Fraction(sum(daily), len(daily)) * Fraction(minutes, 1440)
        assert abs(limit - min(max(exact, least), least + more)) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("made", "settled", "said"),
    [
        pytest.param(of(), Settled(0, 0), "at_most, since 0 days of the 7 before had spend (4x mean of 7d)", id="none"),
        pytest.param(
            of(), Settled(9, 1), "at_most, since 1 day of the 7 before had spend (4x mean of 7d)", id="one day"
        ),
        pytest.param(of(1500), Settled(7 * DOLLAR, 3), "1.5x mean of 7d, which is $1.00 a day", id="the mean"),
        pytest.param(of(), Settled(700 * DOLLAR, 7), "at_most (4x mean of 7d, which is $100.00 a day)", id="at most"),
        pytest.param(
            of(1250, least=9 * DOLLAR),
            Settled(7 * DOLLAR, 7),
            "at_least (1.25x mean of 7d, which is $1.00 a day)",
            id="at least",
        ),
    ],
)
def test_its_source_is_told(made: MeanOf, settled: Settled, said: str) -> None:
    """By the policy's own words."""
    assert told(made, settled) == said
