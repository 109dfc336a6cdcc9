"""Lines: the first of each is woken, who leaves makes room for the next, and a place is kept."""

from __future__ import annotations

from msgspec.structs import replace

from spendgate.gate.line import Lines, Place, keys
from spendgate.standing import Hold, Scope

A = Scope("a", "alice", "2026-11", 0, None, None, 1, Hold.EXPECTED, 0, True, False, 0)
B = replace(A, budget="b")


def test_only_the_first_is_woken():
    """A freed hold costs one try, not one for each waiter."""
    lines, places = Lines(), [Place() for _ in range(3)]
    for place in places:
        lines.stand(place, (A,))
    lines.wake(keys((A,)))

    assert [place.woken.is_set() for place in places] == [True, False, False]


def test_who_leaves_wakes_the_next():
    """Leaving a line, for whatever reason, lets the next one try, in every line that the call stood in."""
    lines, first, behind_a, behind_b = Lines(), Place(), Place(), Place()
    lines.stand(first, (A, B))
    lines.stand(behind_a, (A,))
    lines.stand(behind_b, (B,))
    lines.leave(first)

    assert behind_a.woken.is_set()
    assert behind_b.woken.is_set()
    assert len(lines) == 2


def test_a_place_is_kept():
    """Standing again in a line changes nothing; windows of one budget share a line."""
    lines, first, second = Lines(), Place(), Place()
    lines.stand(first, (A,))
    lines.stand(second, (A,))
    lines.stand(first, (replace(A, window="2026-12"), B))

    assert lines.is_head(first)
    assert not lines.is_head(second)
    lines.leave(first)
    assert lines.is_head(second)


def test_lines_are_forgotten():
    """A line that nobody stands in takes no memory."""
    lines, place = Lines(), Place()
    lines.stand(place, (A, B))
    lines.leave(place)
    lines.leave(place)

    assert len(lines) == 0
    assert not lines._lines
