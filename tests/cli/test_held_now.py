"""What an open call holds, after its hold was corrected downwards: the same figure wherever it is read."""

from __future__ import annotations

import json

import pytest

from cli.kit import NOW_MS, drawn_by_alice, ran, settlement
from spendgate.cli import in_force
from spendgate.config.paths import State
from spendgate.ledger.ledger import Ledger

GRANTED, NOW = 250_000_000, 90_000_000


@pytest.fixture(autouse=True)
def corrected(state: State) -> None:
    """The open call's holds, granted at 250,000,000, shrink to 90,000,000."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    drawn = drawn_by_alice(in_force.policy(state))
    ledger.resize("0b1b2c3d-open", tuple((scope, NOW) for scope in drawn), NOW_MS)
    ledger.close()


def test_spend_and_status_tell_the_same_of_what_is_held(state: State) -> None:
    """What is held now, not the largest hold that was ever granted."""
    (spent,) = json.loads(ran(state, "spend", "--format", "json"))
    said = json.loads(ran(state, "status", "--format", "json"))
    day = next(budget for budget in said["budgets"] if budget["budget"] == "person/day")

    assert spent["held_nanos"] == day["held_nanos"] == NOW


def test_what_open_calls_could_still_cost_goes_by_what_they_hold(state: State) -> None:
    """The ceiling of 400,000,000 less the corrected hold."""
    said = json.loads(ran(state, "status", "--format", "json"))

    assert said["open_calls_above_holds_nanos"] == 400_000_000 - NOW


def test_a_call_explained_tells_what_it_holds_from_what_it_held_at_most(state: State) -> None:
    """Its budgets have the corrected hold and say so; its own figure is the largest hold, and says so."""
    said = ran(state, "calls", "show", "0b")

    assert "budgets  held now\n" in said and "held $0.09 (" in said
    assert "  held at most       $0.25\n" in said


def test_a_call_that_has_ended_tells_what_it_held_at_its_end(state: State) -> None:
    """The hold that was released, beside the charge that it became."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    ledger.settle("0b1b2c3d-open", settlement(drawn_by_alice(in_force.policy(state))))
    ledger.close()

    said = ran(state, "calls", "show", "0b")

    assert "budgets  held when it ended, and what that became\n" in said
    assert "held $0.09 (expected), charged $0.123456789" in said
