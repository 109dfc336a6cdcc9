"""Each cause by itself, from evidence made by hand: its dollars to the nano-dollar, and nothing beside it."""

from __future__ import annotations

from reconcile.kit_explain import (
    USAGE,
    billed,
    calls,
    only,
    price,
    run,
    times,
)  # fmt: skip
from spendgate.reconcile.result import Cause, State


def test_nothing_to_explain() -> None:
    """The bill has what was captured."""
    result = run(calls(3), billed(times(USAGE, 3), 3))

    assert result.gap_nanos == 0
    assert not result.findings
    assert result.state is State.FINAL


def test_uncaptured() -> None:
    """Requests that the ledger has none of."""
    result = run(calls(3), billed(times(USAGE, 5), 5))

    found = only(result, Cause.UNCAPTURED)
    assert found.requests == 2
    assert found.nanos == 2 * price(USAGE)
