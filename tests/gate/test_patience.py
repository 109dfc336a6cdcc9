"""`patiently`: a busy ledger is tried again, and only one that serves nobody counts as unavailable."""

from __future__ import annotations

from itertools import count

import pytest

from spendgate.errors import LedgerBusy, LedgerUnavailable
from spendgate.gate.clock import Clock
from spendgate.gate.patience import BUSY_PATIENCE_MS, BUSY_TRIES_LEAST, patiently


def lagging() -> Clock:
    """A clock on which seconds pass between two looks, as in a process with a thousand calls."""
    return Clock(boot_ms=count(0, BUSY_PATIENCE_MS).__next__, random=lambda: 0.0)


def busy_for(tries: int):
    """Work that the first tries find busy."""
    left = iter(range(tries))

    def work() -> str:
        if next(left, None) is not None:
            raise LedgerBusy("busy")
        return "done"

    return work


async def test_a_loop_that_lags_does_not_make_a_busy_ledger_a_failed_one():
    """However much time passes between two tries, so few of them prove nothing: the work is done once it can be."""
    assert await patiently(busy_for(BUSY_TRIES_LEAST - 1), lagging()) == "done"


async def test_a_ledger_that_stays_busy_is_unavailable():
    """After time and tries enough a caller gets its answer, from `on_failure`."""
    with pytest.raises(LedgerUnavailable):
        await patiently(busy_for(10**6), lagging())
