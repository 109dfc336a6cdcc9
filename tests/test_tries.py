"""By which size a call was tried at each moment of its wait is read back from its row."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.world import budget, policy
from spendgate.replay.past_terms import KnownPast
from spendgate.replay.replayed import Replayed, sizes_of
from spendgate.review.cases import Calls, step_of
from spendgate.standing import Size
from spendgate.tries import KEPT_MAX, Earlier, earlier_of, followed, text

COST, COUNT = st.none() | st.integers(0, 2**53), st.integers(0, 99)
SIZES = st.builds(
    lambda learned, largest, typical, spread, seen, own, tokens, reads: Size(
        900, learned, largest, typical, 800, spread, 70, seen, own, 700, tokens, reads
    ),
    COST, COST, COST, COUNT, COUNT, COUNT, COST, COUNT,
)  # fmt: skip
"""Of one call: what rests on its request alone is the same."""


def tried(*tries: tuple[int, Size]) -> tuple[Size, Earlier]:
    """The last size and those before, of a call that was tried then: milliseconds after it had asked."""
    earlier: Earlier = ()
    for (was_ms, was), (now_ms, size) in pairwise(tries):
        earlier = followed(earlier, was, was_ms, size, now_ms)
    return tries[-1][1], earlier


def replayed(row: str, arrived_ms: int = 0) -> Replayed:
    """The past call whose row has this size."""
    step = step_of(Calls(0, {}, 100), "codex|gpt-5", "call", arrived_ms, arrived_ms + 10)._replace(size=row)
    terms = KnownPast(policy(budget(1))).of(step)
    return Replayed(step, terms, Size.of_text(row), sizes_of(step, terms))


@given(st.lists(st.tuples(st.integers(0, 5), SIZES), min_size=2, max_size=KEPT_MAX + 1), st.integers(0, 10**13))
def test_each_try_is_made_again_by_its_size(each: list[tuple[int, Size]], arrived_ms: int) -> None:
    """Of tries in one millisecond the last counts, but for the very first: that one is asked when the call comes."""
    now_ms, tries = 0, []
    for later_ms, size in each:
        tries.append((now_ms, size))
        now_ms += later_ms
    last, earlier = tried(*tries)
    call = replayed(text(last, earlier), arrived_ms)
    assert call.size == last
    if not earlier:
        assert call.sizes == () and {size for _, size in tries} == {last}
        return
    assert call.size_at(arrived_ms) == tries[0][1]
    call.place = 0
    for at_ms, size in dict(tries).items():
        assert call.size_at(arrived_ms + at_ms) == size
    assert call.size_at(arrived_ms + now_ms + 1) == last


def test_what_happens_between_two_tries_is_met_by_the_next() -> None:
    """A gate learns when a call ends, and looks some milliseconds later: a replay asks when it ended."""
    call = replayed(text(*tried((0, Size(9, 1)), (40, Size(9, 1)), (43, Size(9, 2)))))
    call.place = 0
    assert [call.size_at(at_ms).learned_nanos for at_ms in (1, 40, 41, 43)] == [1, 1, 2, 2]


def test_of_many_sizes_the_first_and_the_latest_are_kept() -> None:
    """A row stays small however often a call is tried; what lies between is taken as tried by the next that is kept."""
    last, earlier = tried(*((at_ms, Size(None, 10**9 + at_ms)) for at_ms in range(1_000)))
    row = text(last, earlier)
    assert [size.learned_nanos for size in earlier] == [10**9 + at_ms for at_ms in (0, *range(1_000 - KEPT_MAX, 999))]
    assert len(row) < 100 * KEPT_MAX
    call = replayed(row)
    call.place = 0
    assert [call.size_at(at_ms) for at_ms in (1, 500, 999)] == [earlier[1].beside(last), earlier[1].beside(last), last]


def test_a_call_that_was_tried_by_one_size_has_the_row_that_it_had() -> None:
    """Rows from before read as ever; a program from before reads the last size of a row from now."""
    size, other = Size(9, 5, seen=3, own_seen=3), Size(9, 7, seen=4, own_seen=4)
    assert tried((0, size), (5, size)) == (size, ())
    assert text(size, ()) == size.text
    assert earlier_of(size.text) == earlier_of("[9,5]") == ()
    assert Size.of_text(text(size, tried((0, other), (5, size))[1])) == size


@pytest.mark.parametrize("row", ["[]]", "[9,5,null,null,null,0,null,0,0,null,null,0,[[1]]]", "[9,5,[[]]", "]]"])
def test_what_is_no_size_is_told(row: str) -> None:
    """Not taken for a row without earlier sizes."""
    with pytest.raises(ValueError, match="not the sizes that a call was tried by"):
        earlier_of(row)
