"""The explainer against months whose causes are known: every cause alone, all of them together, and what holds of any result."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconcile.scoring import UNEXPLAINED, Score, faults, in_memory, through_ledger
from reconcile.simulator import causes_counts, causes_scope
from reconcile.simulator.causes import ALL, mixed, month_with
from reconcile.simulator.month import Month, make
from reconcile.simulator.traffic import Size
from reconcile.test_simulator import MIDDLING, months
from spendgate.reconcile.result import Cause, State
from spendgate.statement import DAY_MS

RIGHT_LEAST = 0.95
"""The share of a mixture's dollars that must be in the right cause."""
ANY_MONTH_NOT = {"past_both_midnights"}
"""Of 70 small months of the latter four told as price a call that alone had its price, on a day that lacks one of its own."""


WORLDS_OF = {"plain": Size(people=12, days=14, calls=20, plain=True), "rich": MIDDLING}


def ways() -> list[Any]:
    """Each way of each cause, in each world, as a parameter."""
    return [
        pytest.param(world, cause, inject, id=f"{world}-{inject.__name__}")
        for world in WORLDS_OF
        for cause, inject in ALL
    ]


def mixture(seed: int, size: Size) -> Score:
    """All causes in every way, through a real ledger."""
    with tempfile.TemporaryDirectory() as folder:
        return through_ledger(mixed(seed, size), Path(folder))


@pytest.mark.parametrize("world", WORLDS_OF)
def test_without_a_cause_nothing_is_found(world: str) -> None:
    """`rich`: flex beside plain calls, fast mode in the US, web searches, refused requests: no difference, no finding."""
    score = in_memory(make(3, WORLDS_OF[world]))
    assert faults(score) == []
    assert score.found == {}
    assert {each.unexplained_nanos for each in score.result.days} <= {0}


@pytest.mark.parametrize(("world", "cause", "inject"), ways())
def test_a_cause_alone_is_found_with_its_dollars(world: str, cause: Cause, inject: Callable[[Month], None]) -> None:
    """To the nano-dollar, under its own name and no other, nothing is left unexplained, and all of it adds up."""
    score = in_memory(month_with(3, WORLDS_OF[world], [inject]))
    assert faults(score) == []
    assert score.found == score.injected, score.off
    assert set(score.found) == {cause}


def test_what_moved_over_midnight_is_told_on_both_days() -> None:
    """A cut-off comes to next to nothing in the month: each day has its own part of it."""
    score = in_memory(month_with(3, WORLDS_OF["plain"], [causes_counts.past_midnight]))
    assert score.right_by_day == 1
    assert sum(abs(each.nanos) for each in score.result.findings) > 2 * abs(score.injected[Cause.CUTOFF])


@pytest.mark.parametrize(
    "inject", [causes_scope.gate_down_by_trail, causes_scope.capture_lapsed_by_trail], ids=["no gate", "nothing led"]
)
def test_a_gap_in_the_audit_trail_is_an_outage(tmp_path: Path, inject: Callable[[Month], None]) -> None:
    """A ledger of one machine says itself when no gate ran, or was led nothing; a bill that says when each request was made
    shows the rest."""
    month = make(11, Size(people=7, days=5, calls=40))
    month.keep("p06")  # who has one machine, and works with OpenRouter alone
    inject(month)
    score = through_ledger(month, tmp_path)
    assert faults(score) == []
    assert score.found == score.injected
    assert score.found, "something was injected"


def test_a_lapse_in_which_calls_were_refused_explains_nothing(tmp_path: Path) -> None:
    """What the bill has of those hours came past the gate some other way."""
    month = make(11, Size(people=7, days=5, calls=40))
    month.keep("p06")
    causes_scope.capture_lapsed_by_trail(month, held=True)
    score = through_ledger(month, tmp_path)
    assert Cause.UNCAPTURED in score.injected
    assert score.found == score.injected


def test_a_day_that_is_still_open_is_left_out() -> None:
    """Neither its bill nor its calls are compared."""
    month = make(3, WORLDS_OF["plain"])
    whole = in_memory(month)
    month.fresh = True
    month.size = replace(month.size, days=month.size.days - 1)
    shorter = in_memory(month)
    assert {each.day_ms for each in whole.result.days} - {each.day_ms for each in shorter.result.days} == {
        month.until_ms
    }
    assert shorter.result.state is State.SETTLING
    assert shorter.found == {}
    assert max(each.day_ms for each in shorter.result.days) == month.until_ms - DAY_MS


MIXED = Size(people=16, days=14, calls=30)


@pytest.mark.parametrize("seed", (1, 2, 3))
def test_a_mixture_is_told_apart(seed: int) -> None:
    """Nineteen dollars of twenty under the right name, and no more than the twentieth left unexplained."""
    score = mixture(seed, MIXED)
    assert faults(score) == []
    assert score.right >= RIGHT_LEAST, score.off
    assert abs(score.found.get(UNEXPLAINED, 0)) <= (1 - RIGHT_LEAST) * sum(map(abs, score.injected.values()))


@given(months)
@settings(max_examples=60)
def test_causes_and_unexplained_are_the_gap(month: Month) -> None:
    """Whatever is mixed: to the nano-dollar, in total and by day, and both totals are those of the books."""
    assert faults(in_memory(month)) == []


@pytest.mark.heavy
@given(months)
@settings(max_examples=3_000)
def test_causes_and_unexplained_are_the_gap_in_thousands_of_months(month: Month) -> None:
    assert faults(in_memory(month)) == []


@pytest.mark.parametrize(
    ("way", "seed"),
    [
        pytest.param("not_yet_there", 15407, id="lines of $0 of calls that are late, beside dearer ones"),
        pytest.param("past_midnight", 11889, id="a line of $0 of a call that the next day has"),
        pytest.param("past_midnight", 815618029, id="the same of a dearer call"),
        pytest.param("compaction", 1691232375, id="sub-calls of a fast call beside sub-calls of slow ones"),
    ],
)
def test_months_that_were_told_wrongly_once(way: str, seed: int) -> None:
    (inject,) = (each for _, each in ALL if each.__name__ == way)
    score = in_memory(month_with(seed, Size(people=6, days=7, calls=12), [inject]))
    assert score.found == score.injected, score.off


@pytest.mark.heavy
@given(st.integers(0, 2**32), st.sampled_from([inject for _, inject in ALL if inject.__name__ not in ANY_MONTH_NOT]))
@settings(max_examples=500)
def test_a_cause_alone_is_found_in_any_month(seed: int, inject: Callable[[Month], None]) -> None:
    """The dollars of one cause, exactly, in months of any shape."""
    size = Size(people=6, days=7, calls=12)
    score = in_memory(month_with(seed, size, [inject]))
    assert score.found == score.injected, score.off


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(4, 7))
def test_a_month_of_forty_people_is_told_apart(seed: int) -> None:
    score = mixture(seed, Size())
    assert faults(score) == []
    assert score.right >= RIGHT_LEAST, score.off
