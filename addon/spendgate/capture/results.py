"""What stands beside an answer that gives results back, and reads a copy of it.

The bytes that come in go on, whatever fails in here. Unlike the tap of a running call it puts nothing off: a line takes some 5
microseconds to read, and a file of any length is read at the pace of its bytes, so that no result is left out because it came
too fast. What is to be written waits in a queue of small results; where that is full the loop writes before it reads on.

Seventy-two results in one transaction cost a fifth less than in four. So results wait until so many are there, the answer is
over, or `LINGER_S` is. A gate that is killed meanwhile has not written them, as it has not written what it was killed
before reading; its client has not got the answer whole either, and what it reads again is counted then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from spendgate.providers.decoding import Decoder
from spendgate.providers.interface import ResultReader
from spendgate.providers.reading import Result

WAITING_MAX = 10_000
"""Results, of about a kilobyte each, that wait to be written."""
TURN = 72
"""Results that are written in one turn of the loop: some 1.4 ms of it."""
LINGER_S = 0.02
"""How long fewer of them wait for others while their answer goes on."""


class Results:
    """Mitmproxy's stream callable for one answer."""

    __slots__ = ("_closed", "_collect", "_decoder", "_due", "_failed", "_hurries", "_reader", "_waiting", "bytes")

    def __init__(
        self, reader: ResultReader, decoder: Decoder | None, collect: Callable[[tuple[Result, ...]], None]
    ) -> None:
        """`decoder` None: the body is not encoded. `collect` meters, and never raises."""
        self.bytes = 0
        """Bytes of the body passed so far, as they came."""
        self._reader = reader
        self._decoder = None if decoder is None or decoder.plain else decoder
        self._collect = collect
        self._waiting: list[Result] = []
        self._due: asyncio.Handle | None = None
        self._hurries = False
        """Whether `_due` is in the loop's next turn."""
        self._closed = False
        self._failed: str | None = None

    def __call__(self, data: bytes) -> bytes:
        """The very bytes that it was given."""
        self.bytes += len(data)
        if data and self._failed is None:
            try:
                for piece in self._decoder.feed(data) if self._decoder else (data,):
                    self._take(self._reader.feed(piece))
            except Exception as fault:  # noqa: BLE001 - the core drops the rest of a stream whose callable raises
                self._fail(fault)
        return data

    def close(self) -> tuple[str, ...]:
        """The answer is over, whole or not: what is complete is metered. Flags of its row. Never raises."""
        self._closed = True
        try:
            self._take(self._reader.close())
        except Exception as fault:  # noqa: BLE001 - the boundary
            self._fail(fault)
        flags = self._decoder.flags if self._decoder else ()
        return (*flags, self._failed) if self._failed else tuple(flags)

    def flush(self) -> None:
        """Write all that waits, however long that takes: the gate stops. Never raises."""
        while self._waiting:
            self._write()

    def _take(self, results: tuple[Result, ...]) -> None:
        self._waiting.extend(results)
        while len(self._waiting) > WAITING_MAX:
            self._write()
        if self._waiting and not self._hurries:
            self._plan()

    def _plan(self) -> None:
        """Have what waits written in the loop's next turn, or a little later where more may come."""
        self._hurries = self._closed or len(self._waiting) >= TURN
        if self._due is not None:
            if not self._hurries:
                return
            self._due.cancel()
        loop = asyncio.get_running_loop()
        self._due = loop.call_soon(self._turn) if self._hurries else loop.call_later(LINGER_S, self._turn)

    def _turn(self) -> None:
        self._due, self._hurries = None, False
        self._write()
        self._take(())

    def _write(self) -> None:
        some = tuple(self._waiting[:TURN])
        if some:
            del self._waiting[:TURN]
            self._collect(some)

    def _fail(self, fault: Exception) -> None:
        # The class alone: a fault's text may quote the content.
        self._failed = f"reader failed: {type(fault).__name__}"
