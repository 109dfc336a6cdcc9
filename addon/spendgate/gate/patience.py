"""A ledger that another gate is writing to is tried again with jitter: the loop never waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from spendgate.errors import LedgerBusy, LedgerUnavailable
from spendgate.gate.clock import Clock

BUSY_PATIENCE_MS = 2_000
"""How long a ledger may be busy before it counts as unavailable."""
_BUSY_S = (0.001, 0.01)


async def patiently[T](work: Callable[[], T], clock: Clock, patience_ms: int = BUSY_PATIENCE_MS) -> T:
    """Do one transaction, again while another process writes. Raises LedgerUnavailable after `patience_ms`.

    Once the work is done the caller goes on at once: nothing else of this loop runs in between.
    """
    until_ms: int | None = None
    while True:
        try:
            return work()
        except LedgerBusy as fault:
            now_ms = clock.boot_ms()
            until_ms = now_ms + patience_ms if until_ms is None else until_ms
            if now_ms >= until_ms:
                raise LedgerUnavailable(str(fault)) from fault
        low, high = _BUSY_S
        await asyncio.sleep(low + clock.random() * (high - low))
