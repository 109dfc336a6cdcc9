"""A JSON array that is streamed element by element: chunks in, whole objects out. Google's form without `alt=sse`.

Bounded as `sse` is: of an element longer than `EVENT_BYTES_MAX` only both ends are kept. Each byte is looked at once.
"""

from __future__ import annotations

import re
from typing import Final

from spendgate.providers.sse import END_BYTES, EVENT_BYTES_MAX, Data, Events, Oversized

_OUTSIDE: Final = re.compile(rb'["{}]')
_INSIDE: Final = re.compile(rb'["\\]')


class Elements(Events):
    """The objects of one array, in the place of a stream's events. What stands between them is passed over."""

    __slots__ = ("_begin", "_depth", "_escaped", "_object", "_string")

    def __init__(self) -> None:
        super().__init__()
        self._object = bytearray()
        self._begin: bytes | None = None
        self._depth = 0
        self._string = self._escaped = False

    @property
    def between(self) -> bool:
        """Never: what is known of the ends of events does not hold here."""
        return False

    def feed(self, chunk: bytes) -> list[Data]:
        """The objects that this chunk completes, in order."""
        found: list[Data] = []
        start = at = 0
        if self._escaped and chunk:
            at, self._escaped = 1, False
        while hit := (_INSIDE if self._string else _OUTSIDE).search(chunk, at):
            at = hit.end()
            sign = hit[0]
            if sign == b"\\":
                self._escaped = at == len(chunk)
                at += 1
            elif sign == b'"':
                self._string = not self._string and self._depth > 0
            elif sign == b"{":
                start = hit.start() if self._depth == 0 else start
                self._depth += 1
            elif self._depth:
                self._depth -= 1
                if self._depth == 0:
                    self._keep(chunk[start:at])
                    found.append(self._take())
        if self._depth:
            self._keep(chunk[start:])
        return found

    def close(self) -> list[Data]:
        """An object that is cut short is none."""
        return []

    def _keep(self, part: bytes) -> None:
        self._object += part
        if len(self._object) > EVENT_BYTES_MAX or self._begin is not None:
            if self._begin is None:
                self._begin = bytes(self._object[:END_BYTES])
            if len(self._object) > 2 * END_BYTES:
                del self._object[:-END_BYTES]

    def _take(self) -> Data:
        whole = bytes(self._object)
        begin, self._begin, self._object = self._begin, None, bytearray()
        return whole if begin is None else Oversized(begin, whole[-END_BYTES:])
