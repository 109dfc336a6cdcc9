"""A ledger that another gate is writing to is tried again with jitter: the loop never waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from spendgate.errors import LedgerBusy, LedgerUnavailable
from spendgate.gate.clock import Clock

BUSY_PATIENCE_MS = 2_000
"""How long a ledger may be busy before it counts as unavailable."""
BUSY_TRIES_LEAST = 100
"""And so often it must have been tried: where a thousand calls share the loop, two seconds may be a handful of tries, each met by
another gate's write, and a ledger that serves others has not failed."""
_BUSY_S = (0.001, 0.01)


async def patiently[T](work: Callable[[], T], clock: Clock, patience_ms: int = BUSY_PATIENCE_MS) -> T:
    """Do one transaction, again while another process writes.

    Raises LedgerUnavailable after `patience_ms`, and BUSY_TRIES_LEAST tries.
    Once the work is done the caller goes on at once: nothing else of this loop runs in between.
    """
    until_ms: int | None = None
    tries = 0
    while True:
        try:
            return work()
        except LedgerBusy as fault:
            now_ms, tries = clock.boot_ms(), tries + 1
            until_ms = now_ms + patience_ms if until_ms is None else until_ms
            if now_ms >= until_ms and tries >= BUSY_TRIES_LEAST:
                raise LedgerUnavailable(str(fault)) from fault
        low, high = _BUSY_S
        await asyncio.sleep(low + clock.random() * (high - low))
