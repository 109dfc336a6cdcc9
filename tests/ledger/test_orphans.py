"""Calls of a dead gate: ended once, by its lock and never by age, and never free once sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.kit import DAY, NOW, admit, open_ledger, row, scope, standing_of
from spendgate.errors import StateError
from spendgate.ledger import Ledger
from spendgate.ledger.orphans import Resolved
from spendgate.ledger.queries import Reader
from spendgate.standing import Hold

EXPECTED, CEILING = scope("expected"), scope("ceiling", hold=Hold.CEILING)


def orphan(folder: Path, *, sent: bool = True, resized: int | None = None, **changes: object) -> None:
    """A gate that holds 700 in two budgets for one call, and dies."""
    gate = open_ledger(folder)
    gate.hold(row("orphan", **changes), (EXPECTED, CEILING), admit(700), NOW)
    if sent:
        gate.sent("orphan", NOW + 1)
    if resized is not None:
        gate.resize("orphan", ((EXPECTED, resized),), NOW + 2)
    gate.close()


@pytest.mark.parametrize(
    ("made", "expected", "basis"),
    [
        pytest.param({}, 700, "estimated", id="nothing known: what was held"),
        pytest.param({"ceiling_nanos": 700}, 700, "ceiling", id="its ceiling"),
        pytest.param({"ceiling_nanos": 900}, 700, "estimated", id="a ceiling above the hold"),
        pytest.param({"typical_nanos": 90}, 90, "estimated", id="the median"),
        pytest.param(
            {"typical_nanos": 900}, 900, "estimated", id="a median above the hold, which was cut to what was left"
        ),
        pytest.param({"typical_nanos": 90, "resized": 250}, 250, "estimated", id="what had been streamed"),
    ],
)
def test_sent_orphan_is_charged(
    ledger: Ledger, tmp_path: Path, made: dict[str, int], expected: int, basis: str
) -> None:
    """Its charge follows each budget's own word (`ceiling`: what was held); the row says how it is known."""
    orphan(tmp_path, **made)  # type: ignore[arg-type]
    assert ledger.resolve_orphans(NOW + 5) == Resolved(gates=1, interrupted=1)
    assert tuple(standing_of(ledger, each).settled_nanos for each in (EXPECTED, CEILING)) == (expected, 700)
    with Reader(tmp_path / "ledger.db") as reader:
        found = reader.call("orphan")[0]
    flags = "orphan,overrun" if expected > 700 else "orphan"
    said = (found["state"], found["basis"], found["flags"], found["cost_nanos"])
    assert said == ("interrupted", basis, flags, max(expected, 700))


@pytest.mark.parametrize(
    ("known", "cost", "basis"),
    [
        pytest.param({"ceiling_nanos": 12, "estimate_nanos": 60}, 12, "ceiling", id="its ceiling"),
        pytest.param({"ceiling_nanos": None, "estimate_nanos": 60}, 60, "estimated", id="its guess"),
        pytest.param({"ceiling_nanos": 12, "typical_nanos": 5}, 5, "estimated", id="the median"),
    ],
)
def test_a_share_of_a_budget_that_a_cold_orphan_held_is_no_charge(
    ledger: Ledger, tmp_path: Path, known: dict[str, int], cost: int, basis: str
) -> None:
    """Under `expected` it costs what calls like it do, else at most its bound; `ceiling` is said only of the ceiling."""
    gate = open_ledger(tmp_path)
    gate.hold(row("orphan", **known), (EXPECTED,), admit(700), NOW)
    gate.sent("orphan", NOW + 1)
    gate.close()
    ledger.resolve_orphans(NOW + 5)
    assert standing_of(ledger, EXPECTED).settled_nanos == cost
    with Reader(tmp_path / "ledger.db") as reader:
        found = reader.call("orphan")[0]
    assert (found["cost_nanos"], found["basis"]) == (cost, basis)


def test_an_orphan_that_left_with_its_hold_is_charged(ledger: Ledger, tmp_path: Path) -> None:
    """Its gate died between the hold and the head: nobody can tell whether it went, so it is not free."""
    gate = open_ledger(tmp_path)
    gate.hold(row("orphan"), (EXPECTED,), admit(700), NOW, leaves=True)
    gate.close()
    assert ledger.resolve_orphans(NOW + 5) == Resolved(gates=1, interrupted=1)
    assert standing_of(ledger, EXPECTED).settled_nanos == 700


def test_unsent_orphan_is_released(ledger: Ledger, reader: Reader, tmp_path: Path) -> None:
    """Nothing had gone upstream: nothing is charged."""
    orphan(tmp_path, sent=False)
    assert ledger.resolve_orphans(NOW + 5) == Resolved(gates=1, released=1)
    assert standing_of(ledger, CEILING).settled_nanos == 0
    assert reader.call("orphan")[0]["state"] == "failed"


@pytest.mark.parametrize(("billing", "cost"), [("metered", 90), ("subscription", 0)])
def test_orphan_without_budgets_costs_what_it_is_likely_to(
    ledger: Ledger, reader: Reader, tmp_path: Path, billing: str, cost: int
) -> None:
    """No budget fits it: its row still says what it cost, and its value also where no budget would count it."""
    gate = open_ledger(tmp_path)
    gate.hold(row("orphan", typical_nanos=90, billing=billing), (), admit(0), NOW)
    gate.sent("orphan", NOW)
    gate.close()
    ledger.resolve_orphans(NOW)
    found = reader.call("orphan")[0]
    assert (found["cost_nanos"], found["value_nanos"]) == (cost, 90)


def test_hold_of_a_living_gate_has_no_age(ledger: Ledger, tmp_path: Path) -> None:
    """A laptop may sleep for a month: while the gate's lock is held its calls are its own."""
    other = open_ledger(tmp_path)
    other.hold(row("theirs"), (EXPECTED,), admit(700), NOW)
    assert ledger.resolve_orphans(NOW + 30 * DAY) == Resolved()
    assert standing_of(ledger, EXPECTED).held_nanos == 700
    other.close()


def test_own_calls_are_never_orphans(ledger: Ledger) -> None:
    """A gate does not resolve itself."""
    ledger.hold(row("mine"), (EXPECTED,), admit(700), NOW)
    assert ledger.resolve_orphans(NOW) == Resolved()


def test_missing_lock_file_of_a_living_process_frees_nothing(ledger: Ledger, tmp_path: Path) -> None:
    """Where lock files were lost, the process with that id and start time decides."""
    other = open_ledger(tmp_path)
    other.hold(row("theirs"), (EXPECTED,), admit(700), NOW)
    for lock in (tmp_path / "gates").iterdir():
        lock.unlink()
    assert ledger.resolve_orphans(NOW) == Resolved()
    other.close()


def test_a_place_without_locks_is_refused(tmp_path: Path) -> None:
    """A gate that could not prove that it lives does not start."""
    (tmp_path / "gates").write_text("in the way")
    with pytest.raises(StateError, match="lock file"):
        open_ledger(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
def test_files_are_private(ledger: Ledger, tmp_path: Path) -> None:
    """Ledger, reserve and locks are readable by their owner alone."""
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3
    assert {path.stat().st_mode & 0o077 for path in files} == {0}
