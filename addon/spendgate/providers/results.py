"""What is read back of work that was ordered before: whole answers, one by one or as lines of a file.

A reader of results gives each as soon as it is whole, so that a file of any length passes in bounded memory. Readers never
raise: what cannot be read gives no result. Sources: facts/wire-formats.md 1.1, 2.1, 18 (#6).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from spendgate.providers.interface import Headers, Reader
from spendgate.providers.readers import WHOLE_BYTES_MAX
from spendgate.providers.reading import Result
from spendgate.providers.sse import END_BYTES

RESULTS_MAX: Final = 200_000
"""Results that are read of one file; Anthropic takes 100,000 requests in a batch, OpenAI 50,000."""
LINE_BYTES_LEAST: Final = 64
"""No line with counts is shorter."""
COUNTED: Final = b'"usage"'
"""In every line with counts; other files, which may be of any size, are not parsed for them."""


def response_key(response_id: str) -> str:
    """The key of a response that is worked off in the background."""
    return f"response {response_id}"


class NoResults:
    """Reads an answer that gives nothing back: an error."""

    def feed(self, data: bytes) -> tuple[Result, ...]:
        """Nothing in it counts."""
        return ()

    def close(self) -> tuple[Result, ...]:
        """Nothing."""
        return ()


class OneResult:
    """Reads one response, as a document or as a stream, with the dialect's own reader."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def feed(self, data: bytes) -> tuple[Result, ...]:
        """Its counts stand at its end."""
        self._reader.feed(data)
        return ()

    def close(self) -> tuple[Result, ...]:
        """The response, once the provider has said its last counts."""
        reading = self._reader.close()
        if not reading.final or not reading.response_id:
            return ()
        return (Result(response_key(reading.response_id), reading, awaited=True),)


class Lines:
    """Reads a file of one JSON document a line. A line that is very long is read from its two ends."""

    def __init__(
        self, headers: Headers, whole: Callable[[bytes], Result | None], ends: Callable[[bytes, bytes], Result | None]
    ) -> None:
        """`whole` reads a line, `ends` the first and last `END_BYTES` of one that was not kept; both may raise."""
        self._whole = whole
        self._ends = ends
        self._line = bytearray()
        self._head: bytes | None = None
        self._given = 0

    def feed(self, data: bytes) -> tuple[Result, ...]:
        """Take the next bytes; the results of the lines that end in them."""
        if self._given >= RESULTS_MAX:
            return ()
        # To look for one byte takes a tenth of the time that splitting takes, and nearly all pieces have no more than one end.
        first, ends, rest = data.partition(b"\n")
        if not ends:
            self._add(first)
            return ()
        found: list[Result] = []
        self._line_end(first, found)
        if b"\n" in rest:
            *others, rest = rest.split(b"\n")
            for line in others:
                self._line_end(line, found)
        if rest:
            self._add(rest)
        self._given += len(found)
        return tuple(found)

    def close(self) -> tuple[Result, ...]:
        """A last line needs no end."""
        found: list[Result] = []
        self._end(found)
        return tuple(found)

    def _add(self, part: bytes) -> None:
        self._line += part
        if self._head is not None:
            if len(self._line) > 4 * END_BYTES:
                del self._line[:-END_BYTES]
        elif len(self._line) > WHOLE_BYTES_MAX:
            self._head = bytes(self._line[:END_BYTES])
            del self._line[:-END_BYTES]

    def _line_end(self, part: bytes, found: list[Result]) -> None:
        """The end of a line, or all of it."""
        if self._line or self._head is not None or len(part) > WHOLE_BYTES_MAX:
            self._add(part)
            self._end(found)
        else:
            self._read(part, None, found)

    def _end(self, found: list[Result]) -> None:
        line, head = bytes(self._line), self._head
        if line:
            self._line.clear()
        self._head = None
        self._read(line, head, found)

    def _read(self, line: bytes, head: bytes | None, found: list[Result]) -> None:
        if head is None and (len(line) < LINE_BYTES_LEAST or line.rfind(COUNTED) < 0):
            return
        try:
            result = self._whole(line) if head is None else self._ends(head, line[-END_BYTES:])
        except Exception:  # noqa: BLE001  a line that is not what was expected gives nothing, and hinders none after it
            return
        if result is not None:
            found.append(result)
