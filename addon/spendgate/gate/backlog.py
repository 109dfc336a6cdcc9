"""Writes that the ledger could not take at once, in their order: nothing that was admitted is lost while it is busy or full.

A write goes straight to the ledger while nothing is queued. From the first one that fails, all writes queue behind it, and a
task tries them again until they are written. Bounded: `room` is false when no new call should be let in without its row.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from spendgate.errors import LedgerBusy, LedgerUnavailable
from spendgate.gate.clock import Clock

logger = logging.getLogger(__name__)

WRITES_MAX = 20_000
_BUSY_S = (0.002, 0.03)
_UNAVAILABLE_S = (0.5, 2.0)
_FLUSH_SLICE = 8
"""Writes of one visit to the loop."""

Write = Callable[[], object]


class Backlog:
    """The queue of late writes, and the task that empties it. Of one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._writes: deque[Write] = deque()
        self._task: asyncio.Task[None] | None = None
        self._written = 0
        self._failing = False
        """The last try found the ledger unavailable, not only busy."""
        self.refused = 0
        """Writes that the ledger will never take (a row it does not believe): dropped, counted, logged."""

    @property
    def room(self) -> bool:
        """Whether another call's writes will fit."""
        return len(self._writes) < WRITES_MAX

    def __len__(self) -> int:
        return len(self._writes)

    def write(self, write: Write) -> bool:
        """Write now, or later in order. Never raises, never waits. True: written now."""
        if not self._writes:
            try:
                self._do(write)
                return True
            except LedgerUnavailable:
                pass  # the task tries again; `fallback` decides about new calls meanwhile
        self._writes.append(write)
        self._start()
        return False

    def later(self, write: Write) -> None:
        """Queue behind whatever is queued, without trying now."""
        self._writes.append(write)
        self._start()

    def _do(self, write: Write) -> None:
        try:
            write()
        except LedgerUnavailable:
            raise
        except Exception as fault:  # noqa: BLE001 - one row that the ledger refuses must not block all that follow
            self.refused += 1
            logger.error("the ledger refused a row: %s: %s", type(fault).__name__, fault)

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._empty(), name="ledger-backlog")

    async def _empty(self) -> None:
        while True:
            pause_s = self._flush()
            if not self._writes:
                return
            await asyncio.sleep(pause_s)

    def _flush(self) -> float:
        """Write a few; how many seconds to leave the loop to others."""
        for _ in range(min(_FLUSH_SLICE, len(self._writes))):
            try:
                self._do(self._writes[0])
            except LedgerBusy:
                return self._between(_BUSY_S)
            except LedgerUnavailable:
                self._failing = True
                return self._between(_UNAVAILABLE_S)
            self._writes.popleft()
            self._written += 1
            self._failing = False
        return 0

    async def caught_up(self, patience_s: float) -> bool:
        """Wait until all that is queued now is written. False: the ledger fails, or was busy for so long."""
        last = self._written + len(self._writes)
        until_ms = self._clock.boot_ms() + patience_s * 1000
        while self._written < last:
            if self._failing or self._clock.boot_ms() >= until_ms:
                return False
            await asyncio.sleep(_BUSY_S[0])
        return True

    def _between(self, bounds: tuple[float, float]) -> float:
        low, high = bounds
        return low + self._clock.random() * (high - low)

    async def drain(self, patience_s: float) -> int:
        """Wait until all is written, at most so long. How many writes are left."""
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait({task}, timeout=patience_s)
            task.cancel()
        return len(self._writes)
