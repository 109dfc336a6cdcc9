"""What of a body is still to be read: decoded and read in slices, for a few milliseconds in each turn of the loop.

A body of 25 KB may decode to 10 MB, and 10 MB of the smallest events take 20 s to read: as long nothing else would run, were they
read as they come. So what is not read in its turn waits, encoded, for the next ones, while its bytes are with the client
already. At the end of the body a last, longer turn reads what still waits; what even that does not reach is left, and said so.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spendgate.providers.decoding import Decoder

SLICE_BYTES = 4 * 1024
"""Decoded bytes that are read at once: 0.2 ms where they are of a usual stream, up to 5 ms of the dearest events."""
TURN_NS = 5_000_000
LAST_NS = 200_000_000
"""Of the last turn: 5 MB of a usual stream."""
LAST_BYTES_LEAST = 64 * 1024
"""So much the last turn reads whatever the time, which a busy machine may have taken: 70 ms of the dearest events."""
WAITING_BYTES_MAX = 8 * 1024 * 1024


def _soon(act: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(act)


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Turns:
    """The loop's turns, and a clock for how long one lasts."""

    next: Callable[[Callable[[], None]], None] = _soon
    """Call this in the next turn."""
    now_ns: Callable[[], int] = time.perf_counter_ns


LOOP = Turns()


class Unread:
    """The chunks of one body that wait. `read` takes decoded bytes and says whether counts moved; what it raises passes."""

    __slots__ = ("_chunks", "_chunks_bytes", "_decoder", "_go_on", "_read", "_slices", "_turns", "left", "waiting")

    def __init__(
        self, read: Callable[[bytes], bool], decoder: Decoder | None, turns: Turns, go_on: Callable[[], None]
    ) -> None:
        """`decoder` None: the body is not encoded. `go_on` is called in the next turn where something waits: it calls `turn`."""
        self.waiting = False
        """Whether chunks that came wait for a further turn."""
        self.left = False
        """Whether some of the body was given up and will not be read."""
        self._read = read
        self._decoder = decoder
        self._turns = turns
        self._go_on = go_on
        self._chunks: deque[bytes] = deque()
        self._chunks_bytes = 0
        self._slices: Iterator[bytes] = iter(())

    def take(self, data: bytes) -> bool:
        """Read these next bytes as far as one turn goes, behind those that wait. True when counts moved."""
        self._chunks.append(data)
        self._chunks_bytes += len(data)
        if not self.waiting:
            self._slices = self._sliced()
            return self.turn()
        if self._chunks_bytes > WAITING_BYTES_MAX:
            self.give_up()
        return False

    def turn(self) -> bool:
        """Read for one turn. True when counts moved."""
        moved = self._go(TURN_NS, 0)
        if self.waiting:
            self._turns.next(self._go_on)
        return moved

    def finish(self) -> None:
        """Read for the last turn, and leave the rest."""
        if self.waiting:
            self._go(LAST_NS, LAST_BYTES_LEAST)
        if self.waiting:
            self.give_up()

    def give_up(self) -> None:
        """Read no more of this body."""
        self.left, self.waiting = True, False
        self._chunks.clear()
        self._slices = iter(())

    def over(self) -> None:
        """No further turn will be asked for: let go of whom it would be asked."""
        self._go_on = _nothing

    def _go(self, turn_ns: int, least: int) -> bool:
        until = self._turns.now_ns() + turn_ns
        moved, done = False, 0
        self.waiting = False
        for piece in self._slices:
            if piece:
                moved = self._read(piece) or moved
            done += len(piece)
            if self._turns.now_ns() >= until and done >= least:
                self.waiting = True
                break
        return moved

    def _sliced(self) -> Iterator[bytes]:
        """All that waits, decoded; empty where decoding took its time and gave nothing."""
        while self._chunks:
            chunk = self._chunks.popleft()
            self._chunks_bytes -= len(chunk)
            for piece in self._decoder.feed(chunk) if self._decoder else (chunk,):
                if len(piece) <= SLICE_BYTES:
                    yield piece
                else:
                    yield from (piece[at : at + SLICE_BYTES] for at in range(0, len(piece), SLICE_BYTES))
