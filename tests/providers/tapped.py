"""A tap over the reader of any wire's answer, which watches what the reader costs while every byte passes."""

from __future__ import annotations

import time

from load.wires import Wire
from providers.test_fuzz import MB, STILL
from spendgate.capture.tap import Tap
from spendgate.providers.ask import Ask
from spendgate.providers.decoding import Decoder
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Head, Reader
from spendgate.providers.reading import Reading
from spendgate.providers.spoken import OpenDialect

PEAK_BYTES = 12 * MB
"""Of memory, while chunks of `CHUNK_BYTES` are read."""
CHUNK_BYTES = 64 * 1024


def head(wire: Wire) -> Head:
    """The head of the wire's request."""
    headers = CaseInsensitive({"content-type": wire.asks, "connect-content-encoding": "gzip"})
    return Head(wire.method, wire.host, wire.path, wire.query, headers)


def reader(wire: Wire) -> Reader:
    """The reader of the wire's answer to its own request."""
    headers = CaseInsensitive({"content-type": wire.answers, "connect-content-encoding": "gzip"})
    dialect = DIALECTS[wire.dialect]
    spoken = dialect.spoken(head(wire)) if isinstance(dialect, OpenDialect) else dialect
    ask = Ask(model="m", streamed=True) if wire.result else dialect.ask(head(wire), wire.body("hi"))
    return spoken.reader(ask, 200, headers)


class Bounded:
    """A tap, of which each call's CPU and the memory of all are looked at."""

    def __init__(self, wire: Wire, encoding: str | None = None) -> None:
        self._tap = Tap(reader(wire), lambda _reading: None, Decoder(encoding), turns=STILL)
        self.longest_s = 0.0
        self.taken_s = 0.0

    def feed(self, data: bytes) -> None:
        began = time.thread_time()
        assert self._tap(data) is data
        taken = time.thread_time() - began
        self.longest_s = max(self.longest_s, taken)
        self.taken_s += taken

    def close(self) -> Reading:
        reading = self._tap.close()
        assert not any("reader failed" in flag for flag in reading.flags), reading.flags
        return reading
