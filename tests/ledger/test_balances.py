"""Windows: rolling sums exact to the millisecond, and a clock that steps frees nothing."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.kit import DAY, HOUR, NOW, admit, open_ledger, row, scope, settled, standing_of
from spendgate.ledger import Ledger
from spendgate.ledger.check import check
from spendgate.ledger.queries import Reader

ROLLING = scope("person/1h", rolling_ms=HOUR)


def test_rolling_window_ends_to_the_millisecond(ledger: Ledger) -> None:
    """A call booked at t counts until t + length, and not one millisecond longer."""
    ledger.hold(row("a"), (ROLLING,), admit(70), NOW)
    ledger.settle("a", settled(70, ROLLING))
    assert standing_of(ledger, ROLLING, NOW + HOUR - 1).settled_nanos == 70
    assert standing_of(ledger, ROLLING, NOW + HOUR).settled_nanos == 0


def test_clock_set_back_frees_nothing(ledger: Ledger) -> None:
    """What a rolling window has counted counts again when the clock returns to before its end, and if set before its booking."""
    ledger.hold(row("a"), (ROLLING,), admit(70), NOW)
    ledger.settle("a", settled(70, ROLLING))
    seen = [standing_of(ledger, ROLLING, at).settled_nanos for at in (NOW + 2 * HOUR, NOW + 1, NOW - DAY, NOW)]
    assert seen == [0, 70, 70, 70]


def test_hold_granted_after_a_step_back_is_counted(ledger: Ledger) -> None:
    """Calls booked before the edge that an earlier, later clock had left are counted too."""
    standing_of(ledger, ROLLING, NOW + DAY)
    ledger.hold(row("a"), (ROLLING,), admit(70), NOW)
    assert standing_of(ledger, ROLLING, NOW).held_nanos == 70


def test_open_call_that_outlives_its_window_settles_outside(ledger: Ledger) -> None:
    """Its hold leaves the window with its booking, and its charge does not come back into a later one."""
    ledger.hold(row("a"), (ROLLING,), admit(70), NOW)
    later = standing_of(ledger, ROLLING, NOW + 2 * HOUR)
    assert (later.held_nanos, later.open_calls) == (0, 0)
    ledger.settle("a", settled(60, ROLLING))
    assert standing_of(ledger, ROLLING, NOW + 2 * HOUR).settled_nanos == 0
    assert standing_of(ledger, ROLLING, NOW + 1).settled_nanos == 60


def test_reader_sees_the_window_of_now(ledger: Ledger, reader: Reader) -> None:
    """`status` reads the same sum as a decision, though it cannot move the window."""
    for name, at in (("a", NOW), ("b", NOW + 1000)):
        ledger.hold(row(name), (ROLLING,), admit(70), at)
        ledger.settle(name, settled(70, ROLLING))
    read = [reader.standings((ROLLING,), at)[0].settled_nanos for at in (NOW + 2000, NOW + HOUR, NOW + DAY)]
    assert read == [140, 70, 0]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-3 * HOUR, 3 * HOUR), st.integers(0, 10**12), st.sampled_from(["open", "settled", "failed"])
        ),
        max_size=30,
    )
)
def test_rolling_equals_the_plain_sum(calls: list[tuple[int, int, str]]) -> None:
    """At any sequence of clock readings, forward and back, the window is the sum over booked_at > now - length."""
    with tempfile.TemporaryDirectory() as folder, closing(open_ledger(Path(folder))) as ledger:
        booked: list[tuple[int, int, str]] = []
        for number, (offset, nanos, fate) in enumerate(calls):
            now = NOW + offset
            standing = standing_of(ledger, ROLLING, now)
            inside = [(cost, state) for at, cost, state in booked if at > now - HOUR]
            assert standing.settled_nanos == sum(cost for cost, state in inside if state == "settled")
            assert standing.held_nanos == sum(cost for cost, state in inside if state == "open")
            ledger.hold(row(str(number)), (ROLLING,), admit(nanos), now)
            if fate != "open":
                ledger.settle(str(number), settled(nanos if fate == "settled" else 0, ROLLING, state=fate))
            booked.append((now, nanos, fate))
        with closing(sqlite3.connect(Path(folder) / "ledger.db", isolation_level=None)) as conn:
            assert check(conn) == ()


LENGTHS = (HOUR, 3 * HOUR, DAY)
SEVERAL = tuple(scope(f"person/{length}", rolling_ms=length) for length in LENGTHS)
_moves = st.one_of(
    st.tuples(st.just("hold"), st.integers(0, 10**12)),
    st.tuples(st.sampled_from(["settle", "fail"]), st.integers(0, 20)),
    st.tuples(st.just("look"), st.just(0)),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-30 * HOUR, 30 * HOUR), _moves), max_size=40))
def test_several_rolling_windows_equal_the_plain_sums(walk: list[tuple[int, tuple[str, int]]]) -> None:
    """Holds that end late and in any order, windows of several lengths on one call, a clock that steps either way."""
    with tempfile.TemporaryDirectory() as folder, closing(open_ledger(Path(folder))) as ledger:
        booked: dict[str, int] = {}
        held: dict[str, int] = {}
        spent: dict[str, int] = {}
        for number, (offset, (what, much)) in enumerate(walk):
            now, call = NOW + offset, str(number)
            if what == "hold":
                ledger.hold(row(call), SEVERAL, admit(much), now)
                booked[call], held[call] = now, much
            elif what != "look" and held:
                call = list(held)[much % len(held)]
                was_held = held.pop(call)
                spent[call] = was_held // 2 if what == "settle" else 0
                state = "settled" if what == "settle" else "failed"
                ledger.settle(call, settled(spent[call], *SEVERAL, state=state, ended_ms=now))
            for each, length in zip(SEVERAL, LENGTHS, strict=True):
                found = standing_of(ledger, each, now)
                inside = {call for call, at in booked.items() if at > now - length}
                assert found.settled_nanos == sum(spent.get(call, 0) for call in inside)
                assert found.held_nanos == sum(held.get(call, 0) for call in inside)
                assert found.open_calls == len(inside & held.keys())
        with closing(sqlite3.connect(Path(folder) / "ledger.db", isolation_level=None)) as conn:
            assert check(conn) == ()
