"""What is admitted without asking `admission.decide` is what it admits, with the same holds."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from spendgate.adaptive import Mean, MeanOf
from spendgate.admission import Admit, decide
from spendgate.replay import roomy
from spendgate.replay.books import Balance, Located
from spendgate.standing import Hold, KindStanding, Scope, Size

SCOPE = Scope("person", "alice", "2026-11", 0, 10**12, None, 100, Hold.EXPECTED, 0, True, False, 0)
SMALL = st.integers(0, 30)
MAYBE = st.none() | SMALL
SIZES = st.builds(
    Size, MAYBE, MAYBE, largest_nanos=MAYBE, typical_nanos=MAYBE, guess_nanos=MAYBE, spread_nanos=SMALL, seen=SMALL,
    own_seen=SMALL,
)  # fmt: skip
BALANCES = st.tuples(
    SMALL, SMALL, SMALL, st.integers(0, 5), st.booleans(), st.integers(0, 120), st.sampled_from([Hold.EXPECTED, Hold.CEILING])
)  # fmt: skip


@example(Size(0, 0), [(0, 0, 0, 0, True, 0, Hold.EXPECTED)], 0, 0)
@given(SIZES, st.lists(BALANCES, min_size=1, max_size=4), st.integers(0, 40), st.integers(0, 5))
def test_what_plainly_fits_is_what_the_decision_admits(
    size: Size, drawn: list[tuple[int, int, int, int, bool, int, Hold]], settled: int, running: int
) -> None:
    """Each budget admits and holds the same, whatever its kind has shown and whoever enforces it."""
    balances, scopes = [], []
    for spent, held, more, open_calls, enforced, limit, hold in drawn:
        balances.append(Balance(0, None, settled=spent, held=held, bound=held + more, open_calls=open_calls))
        scopes.append(replace(SCOPE, limit_nanos=limit, hold=hold, enforced=enforced))
    found = roomy.holds(Located.of(tuple(scopes), balances), size)
    standings = tuple(at.standing(scope, None) for at, scope in zip(balances, scopes, strict=True))
    decision = decide(standings, KindStanding("kind", settled, running), size, now_ms=1, patient=True)
    if found is not None:
        assert isinstance(decision, Admit)
        assert decision.would_refuse is None
        assert [nanos for _, nanos in decision.holds] == found


@pytest.mark.parametrize(
    ("limit", "hold", "waits", "found"),
    [
        (30, Hold.EXPECTED, False, [5]),
        (30, Hold.CEILING, False, [10]),
        (29, Hold.CEILING, False, None),
        (30, Hold.CEILING, True, None),
    ],
    ids=["expected", "ceiling", "a nano-dollar less", "somebody stands in line"],
)
def test_room_for_all_bounds_is_what_fits_plainly(limit: int, hold: Hold, waits: bool, found: list[int] | None) -> None:
    """$12 settled and bounds of $8 beside a bound of $10: to the nano-dollar, and never past those who wait."""
    at = Balance(0, None, settled=12, held=3, bound=8, open_calls=2, line={1} if waits else set())
    located = Located.of((replace(SCOPE, limit_nanos=limit, hold=hold),), [at])
    assert roomy.holds(located, Size(10, 5, largest_nanos=10)) == found


def test_a_limit_that_moves_is_never_plain() -> None:
    """It has to be found first."""
    moving = replace(SCOPE, mean=MeanOf(Mean(4000, 7, 0, 10**9), 1440, "person", "", "2026-11-30", ()))
    assert roomy.holds(Located.of((moving,), [Balance(0, None)]), Size(10, 5)) is None
