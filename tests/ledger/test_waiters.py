"""Waiting: first come first served in each balance's line, across gates; nobody waits behind the dead."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.kit import FAILED, NOW, admit, open_ledger, refuse, row, scope, standing_of, wait
from spendgate.admission import Decision
from spendgate.ledger import Ledger, gates
from spendgate.standing import KindStanding, Scope, Standing

A, B = scope("a"), scope("b")


def ahead(ledger: Ledger, call: str, of: Scope, now_ms: int = NOW) -> int:
    """How many stand before this call, by a look that leaves no trace (a waiter keeps its place)."""
    seen: list[int] = []

    def look(standings: tuple[Standing, ...], kind: KindStanding) -> Decision:
        seen.append(standings[0].ahead)
        return wait(of)(standings, kind)

    ledger.hold(row(call), (of,), look, now_ms)
    return seen[0]


def test_places_are_kept_in_order_across_gates(ledger: Ledger, tmp_path: Path) -> None:
    """Who came first stays first, however often each one asks and through whichever gate."""
    other = open_ledger(tmp_path)
    for gate, call in ((ledger, "first"), (other, "second"), (ledger, "third")):
        gate.hold(row(call), (A,), wait(A), NOW)
    for _ in range(2):
        assert [ahead(gate, call, A) for gate, call in ((ledger, "third"), (ledger, "first"), (other, "second"))] == [
            2,
            0,
            1,
        ]
    assert standing_of(ledger, A).ahead == 3
    other.close()


def test_only_blocking_budgets_have_a_line(ledger: Ledger) -> None:
    """A call that waits for one budget is in nobody's way in another; one that two block stands in both lines."""
    ledger.hold(row("one"), (A, B), wait(A), NOW)
    assert (standing_of(ledger, A).ahead, standing_of(ledger, B).ahead) == (1, 0)
    ledger.hold(row("two"), (A, B), wait(A, B), NOW)
    assert (standing_of(ledger, A).ahead, standing_of(ledger, B).ahead) == (2, 1)


@pytest.mark.parametrize("ending", ["admitted", "refused", "left"])
def test_place_ends_with_the_wait(ledger: Ledger, ending: str) -> None:
    """Admission, refusal and leaving each give up the place."""
    ledger.hold(row("one"), (A,), wait(A), NOW)
    if ending == "admitted":
        ledger.hold(row("one"), (A,), admit(5), NOW)
        ledger.settle("one", FAILED)
    elif ending == "refused":
        ledger.hold(row("one"), (A,), lambda standings, kind: refuse(standings[0], 5), NOW)
    else:
        ledger.leave("one")
    assert standing_of(ledger, A).ahead == 0


def test_waiting_writes_no_row_and_holds_nothing(ledger: Ledger) -> None:
    """A waiter is not a call yet."""
    ledger.hold(row("one"), (A,), wait(A), NOW)
    standing = standing_of(ledger, A)
    assert (standing.held_nanos, standing.open_calls) == (0, 0)


def test_place_does_not_outlive_its_wait(ledger: Ledger) -> None:
    """A gate that forgets a waiter blocks the line for its wait and a few seconds, not for ever."""
    ledger.hold(row("one"), (A,), wait(A), NOW)
    assert standing_of(ledger, A, NOW + A.wait_ms).ahead == 1
    assert standing_of(ledger, A, NOW + A.wait_ms + 60_000).ahead == 0


def test_waiters_of_a_dead_gate_are_in_nobodys_way(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next hold finds the dead gate's lock free and drops its waiters at once."""
    monkeypatch.setattr(gates, "PROBE_EVERY_S", 0.0)
    other = open_ledger(tmp_path)
    other.hold(row("theirs"), (A,), wait(A), NOW)
    assert standing_of(ledger, A).ahead == 1
    other.close()
    assert standing_of(ledger, A).ahead == 0
