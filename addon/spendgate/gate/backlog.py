"""Writes that are not made at once: nothing that was admitted is lost while the ledger is busy or full, and an end has company.

A write goes straight to the ledger while nothing is queued before it. From the first one that fails, writes queue, and a task
tries them again until they are written. There are two lines. Ends of calls that the ledger knows go first: they may use the
reserve of a full disk. All else waits for room behind them: refusals, and whatever is told of calls that left without the
ledger. Bounded: `room` is false when no new call should be let in without its row.

While anything is queued nobody decides by the ledger, which does not know it yet (`joined`).

The end of a call is written `soon`: when what has come meanwhile has had its turn of the loop, or in the transaction of
whatever reads the balances before that. On a busy gate the end of one call and the hold of the next then share a commit, and
many that end at once have one; on an idle one the end is written while its client reads the answer. A gate that is killed in
between leaves an open call, charged as an orphan, as if killed a moment before.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from spendgate.errors import LedgerBusy, LedgerUnavailable
from spendgate.gate.clock import Clock
from spendgate.gate.unwritten import Moved, Unwritten

logger = logging.getLogger(__name__)

WRITES_MAX = 20_000
_BUSY_S = (0.002, 0.03)
_UNAVAILABLE_S = (0.5, 2.0)
_FLUSH_SLICE = 8
"""Writes of one visit to the loop."""
_FIRST = "what was told the ledger before is not yet written"

Write = Callable[[], object]


class _Told(NamedTuple):
    """One write, and what it moves."""

    write: Write
    moved: Moved | None = None


class Together(Protocol):
    """Several writes as one transaction."""

    def __call__[T](self, work: Callable[[], T]) -> T: ...


class Backlog:
    """The queue of late writes, and the task that empties it. Of one event loop."""

    def __init__(self, clock: Clock, together: Together) -> None:
        """`together` runs what it is given, and all its writes as one transaction (`LedgerPort.together`)."""
        self._clock = clock
        self._together = together
        self._soon: list[_Told] = []
        self._turn: asyncio.Handle | None = None
        self._ends: deque[_Told] = deque()
        self._rest: deque[_Told] = deque()
        self._task: asyncio.Task[None] | None = None
        self._written = 0
        self.unwritten = Unwritten()
        """What the queued writes will move. Once `write_out` has returned nothing is missing in it."""
        self.failing = ""
        """Why the last try found the ledger unavailable, not only busy; empty: it did not."""
        self.refused = 0
        """Writes that the ledger will never take (a row it does not believe): dropped, counted, logged."""

    @property
    def room(self) -> bool:
        """Whether another call's writes will fit."""
        return len(self) < WRITES_MAX

    def __len__(self) -> int:
        return len(self._ends) + len(self._rest) + len(self._soon)

    def write(self, write: Write, moved: Moved | None = None) -> bool:
        """Write now, or later in order; it moves so much. Never raises, never waits. True: written now."""
        return self._now_or_later(_Told(write, moved), self._rest, clear=not (self._ends or self._rest))

    def end(self, write: Write) -> bool:
        """As `write`, for what ends or corrects a call that the ledger knows: before all that needs room of its own."""
        return self._end(_Told(write))

    def later(self, write: Write, moved: Moved) -> None:
        """Queue behind whatever is queued, without trying now."""
        self._queue(_Told(write, moved), self._rest)

    def _end(self, told: _Told) -> bool:
        return self._now_or_later(told, self._ends, clear=not self._ends)

    def _now_or_later(self, told: _Told, line: deque[_Told], *, clear: bool) -> bool:
        if clear:
            try:
                self._do(told.write)
                return True
            except LedgerUnavailable:
                pass  # the task tries again; `fallback` decides about new calls meanwhile
        self._queue(told, line)
        return False

    def _queue(self, told: _Told, line: deque[_Told]) -> None:
        line.append(told)
        if told.moved is not None:
            self.unwritten.add(told.moved)
        self._start()

    def soon(self, write: Write, moved: Moved | None = None) -> None:
        """As `end`, in the next transaction that is `joined`, at the latest in the loop's turn after next. Never raises."""
        told = _Told(write, moved)
        if self._ends:
            self._queue(told, self._ends)
            return
        self._soon.append(told)
        if len(self._soon) >= _FLUSH_SLICE:
            self.write_out()
        elif self._turn is None:
            loop = asyncio.get_running_loop()
            # Two turns: in the next one the loop asks its sockets, and what they have comes behind what is due already.
            self._turn = loop.call_soon(self._after, loop)

    def joined[T](self, work: Callable[[], T]) -> T:
        """Do one transaction, and in it what is to be written soon.

        Raises what `work` raises; LedgerBusy while something is queued that can be written, LedgerUnavailable where it cannot.
        """
        self._catch_up()
        if not self._soon:
            return work()
        try:
            done = self._together(lambda: self._with_soon(work))
        except LedgerBusy:
            raise
        except Exception:  # noqa: BLE001 - whose fault it was does not show: each by itself, and `work` raises its own again
            self.write_out()
            self._catch_up()
            return work()
        self._taken()
        return done

    def alone[T](self, work: Callable[[], T]) -> T:
        """Do what is a transaction, or several, of its own, once nothing is left to be written. Raises as `joined`."""
        self.write_out()
        self._catch_up()
        return work()

    def _catch_up(self) -> None:
        """Write some of what is queued. Raises LedgerUnavailable (LedgerBusy where it may soon be done) if that is not all."""
        if self._ends or self._rest:
            self._flush()
        if self._ends or self._rest:
            raise LedgerUnavailable(_FIRST) if self.failing else LedgerBusy(_FIRST)

    def _with_soon[T](self, work: Callable[[], T]) -> T:
        for told in self._soon:
            told.write()
        return work()

    def _after(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turn = loop.call_soon(self.write_out)

    def _taken(self) -> list[_Told]:
        """What was to be written soon; nothing is from here on."""
        if self._turn is not None:
            self._turn.cancel()
        soon, self._soon, self._turn = self._soon, [], None
        return soon

    def write_out(self) -> None:
        """Write now what is to be written soon, or later in order. Never raises, never waits."""
        soon = self._taken()
        if len(soon) > 1 and not self._ends:
            try:
                self._together(lambda: [told.write() for told in soon])
                soon = []
            except Exception as fault:  # noqa: BLE001 - nothing of it is written: each by itself, with its own fault
                logger.debug("%d writes did not go together: %s", len(soon), type(fault).__name__)
        for told in soon:
            self._end(told)

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
            if not (self._ends or self._rest):
                return
            await asyncio.sleep(pause_s)

    def _flush(self) -> float:
        """Write a few; how many seconds to leave the loop to others."""
        for _ in range(_FLUSH_SLICE):
            line = self._ends or self._rest
            if not line:
                break
            try:
                self._do(line[0].write)
            except LedgerBusy:
                return self._between(_BUSY_S)
            except LedgerUnavailable as fault:
                self.failing = str(fault)
                return self._between(_UNAVAILABLE_S)
            told = line.popleft()
            if told.moved is not None:
                self.unwritten.written(told.moved)
            self._written += 1
            self.failing = ""
        return 0

    async def caught_up(self, patience_s: float) -> bool:
        """Wait until all that is queued now is written. False: the ledger fails, or was busy for so long."""
        last = self._written + len(self._ends) + len(self._rest)
        until_ms = self._clock.boot_ms() + patience_s * 1000
        while self._written < last:
            if self.failing or self._clock.boot_ms() >= until_ms:
                return False
            await asyncio.sleep(_BUSY_S[0])
        return True

    def _between(self, bounds: tuple[float, float]) -> float:
        low, high = bounds
        return low + self._clock.random() * (high - low)

    async def drain(self, patience_s: float, last_resort: Callable[[], None]) -> int:
        """Wait until all is written, at most so long; then try once more after `last_resort`. How many writes are left."""
        self.write_out()
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait({task}, timeout=patience_s)
            task.cancel()
        if self:
            last_resort()
            left = len(self) + 1
            while self and len(self) < left:
                left = len(self)
                self._flush()
        return len(self)
