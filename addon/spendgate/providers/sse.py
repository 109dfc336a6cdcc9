"""Server-sent events as bytes: chunks in, the `data` of whole events out.

Lines end with \\n, \\r or \\r\\n and with nothing else (text splitters also break at U+2028, which stands in answers). Chunks may
break anywhere, also between \\r and \\n. Event names are not read: every dialect here repeats them in the data. Memory is
bounded: of an event longer than `EVENT_BYTES_MAX` only both ends are kept, where its counts stand, and reading goes on with the
next one. An event that the end of the stream cuts short of its blank line is given by `close`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

EVENT_BYTES_MAX: Final = 1024 * 1024
END_BYTES: Final = 64 * 1024
_NEWLINE: Final = re.compile(rb"\r\n|\n|\r")
_FIELD: Final = b"data:"


@dataclass(frozen=True, slots=True)
class Oversized:
    """The first and the last bytes of an event's data that was too long to keep."""

    head: bytes
    tail: bytes


Data = bytes | Oversized


class Events:
    """The events of one stream."""

    __slots__ = ("_after_cr", "_data", "_head", "_line")

    def __init__(self) -> None:
        self._line = bytearray()
        self._data = bytearray()
        self._head: bytes | None = None
        self._after_cr = False

    @property
    def between(self) -> bool:
        """Whether the last chunk ended with an event's end, so that the next one begins a new event."""
        return not self._line and not self._data and self._head is None and not self._after_cr

    def feed(self, chunk: bytes) -> list[Data]:
        """The data of the events that this chunk completes, in order."""
        if self._after_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]
            self._after_cr = False
        if not chunk:
            return []
        if chunk.find(b"\n") < 0 and chunk.find(b"\r") < 0:
            self._after_cr = False
            self._extend(chunk)
            return []
        self._after_cr = chunk[-1:] == b"\r"
        lines = _NEWLINE.split(chunk) if b"\r" in chunk else chunk.split(b"\n")
        found: list[Data] = []
        for line in lines[:-1]:
            if self._line:
                self._extend(line)
                whole, self._line = self._line, bytearray()
                self._end_line(whole, found)
            else:
                self._end_line(line, found)
        self._extend(lines[-1])
        return found

    def close(self) -> list[Data]:
        """The last event, where the stream ended without its blank line."""
        found: list[Data] = []
        self._end_line(bytes(self._line), found)
        self._line.clear()
        self._end_line(b"", found)
        return found

    def _extend(self, part: bytes) -> None:
        """Take more of a line that has not ended; of other fields than `data` only the first bytes are kept."""
        line = self._line
        if len(line) >= len(_FIELD) and not line.startswith(_FIELD) and self._head is None:
            return
        line += part
        if not line.startswith(_FIELD[: len(line)]) and self._head is None:
            del line[len(_FIELD) :]
        elif len(line) > EVENT_BYTES_MAX:
            if self._head is None:
                self._head = bytes(line[len(_FIELD) : len(_FIELD) + END_BYTES]).lstrip(b" ")
            del line[:-END_BYTES]

    def _end_line(self, line: bytes | bytearray, found: list[Data]) -> None:
        if not line:
            self._dispatch(found)
        elif self._head is not None:
            # The line in hand is the rest of an oversized one, or one more line of its event.
            self._data += line
            if len(self._data) > 2 * END_BYTES:
                del self._data[:-END_BYTES]
        elif line.startswith(_FIELD):
            start = 6 if line[5:6] == b" " else 5
            if isinstance(line, bytearray) and not self._data:
                del line[:start]  # a long one that came in pieces is not copied again
                self._data = line
            else:
                if self._data:
                    self._data += b"\n"
                self._data += line[start:]
            if len(self._data) > EVENT_BYTES_MAX:
                self._head = bytes(self._data[:END_BYTES])
                del self._data[:-END_BYTES]

    def _dispatch(self, found: list[Data]) -> None:
        if self._head is not None:
            found.append(Oversized(self._head, bytes(self._data[-END_BYTES:])))
            self._head = None
        elif self._data:
            found.append(bytes(self._data))
        self._data = bytearray()
