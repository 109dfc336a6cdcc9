"""One call's lifecycle as a transition table.

    SEEN ──hold──▶ HELD ──sent──▶ SENT ──settle──▶ SETTLED
      │              │              └──orphan/no end──▶ INTERRUPTED
      │              └──nothing was sent──▶ FAILED        (hold released, cost 0)
      ├──▶ REFUSED   ├──▶ FREE   └──▶ UNRECOGNIZED

Rule 1: every transition is in this file. Rule 2: an end state has no way out (`SETTLED` once, whatever happens after).
Rule 3: from SENT on a call is never free: what the provider may have begun is charged, counted or estimated.
Keep in sync with the ledger's `state` column: HELD and SENT are stored as `open`.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a call is. The values of end states are the ledger's own words."""

    SEEN = "seen"
    HELD = "held"
    SENT = "sent"
    SETTLED = "settled"
    REFUSED = "refused"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    FREE = "free"
    UNRECOGNIZED = "unrecognized"

    @property
    def stored(self) -> str:
        """The word in the ledger's `state` column."""
        return "open" if self in (State.HELD, State.SENT) else self.value


TRANSITIONS: dict[State, frozenset[State]] = {
    State.SEEN: frozenset({State.HELD, State.REFUSED, State.FREE, State.UNRECOGNIZED, State.FAILED}),
    State.HELD: frozenset({State.SENT, State.FAILED, State.INTERRUPTED}),
    State.SENT: frozenset({State.SETTLED, State.INTERRUPTED}),
    State.SETTLED: frozenset(),
    State.REFUSED: frozenset(),
    State.FAILED: frozenset(),
    State.INTERRUPTED: frozenset(),
    State.FREE: frozenset(),
    State.UNRECOGNIZED: frozenset(),
}


def advance(state: State, to: State) -> State:
    """The next state. Raises ValueError for a transition that the table does not hold."""
    if to not in TRANSITIONS[state]:
        raise ValueError(f"a call in state {state} cannot become {to}")
    return to
