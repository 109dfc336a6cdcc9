"""The lifecycle is the table, and an end is an end."""

from __future__ import annotations

import pytest

from spendgate.exchange import TRANSITIONS, State, advance

ENDS = {State.SETTLED, State.REFUSED, State.FAILED, State.INTERRUPTED, State.FREE, State.UNRECOGNIZED}


def test_every_state_is_in_the_table() -> None:
    """No state without its line, no line without a state."""
    assert set(TRANSITIONS) == set(State)
    assert {state for state, ways in TRANSITIONS.items() if not ways} == ENDS


@pytest.mark.parametrize(("state", "to"), [(a, b) for a in State for b in State if b not in TRANSITIONS[a]])
def test_what_the_table_does_not_hold_is_refused(state: State, to: State) -> None:
    """A sent call never becomes free, a settled one never anything."""
    with pytest.raises(ValueError, match="cannot become"):
        advance(state, to)


def test_money_in_flight_is_stored_as_open() -> None:
    """Held and sent calls are one word in the ledger."""
    assert {state.stored for state in State} == {"seen", "open", *(end.value for end in ENDS)}
