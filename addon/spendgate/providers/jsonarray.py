"""A JSON array that is streamed element by element: chunks in, whole objects out. Google's form without `alt=sse`.

Bounded as `sse` is: of an element longer than `EVENT_BYTES_MAX` only both ends are kept. Each byte is looked at once.
A cut is one more element, Google's own form of an error in such a stream, and the array's end.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from spendgate.providers.boundaries import Boundaries
from spendgate.providers.sse import END_BYTES, EVENT_BYTES_MAX, Data, Events, Oversized

_OUTSIDE: Final = re.compile(rb'["{}]')
_INSIDE: Final = re.compile(rb'["\\]')
# Up to the next bracket that is in no string, over whole strings: many members in one step.
_BRACKET: Final = re.compile(rb'[^"{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"{}]*+)*+([{}])', re.DOTALL)


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
        whole = True
        while hit := self._next(chunk, at, whole):
            at = hit.end()
            sign = hit[hit.lastindex or 0]
            # Once a string was seen to go on in the next chunk, the rest of this one is gone over sign by sign, and only once.
            whole = whole and (hit.re is _BRACKET or not self._depth or self._string)
            if sign == b"\\":
                self._escaped = at == len(chunk)
                at += 1
            elif sign == b'"':
                self._string = not self._string and self._depth > 0
            elif sign == b"{":
                start = at - 1 if self._depth == 0 else start
                self._depth += 1
            elif self._depth:
                self._depth -= 1
                if self._depth == 0:
                    self._keep(chunk[start:at])
                    found.append(self._take())
        if self._depth:
            self._keep(chunk[start:])
        return found

    def _next(self, chunk: bytes, at: int, whole: bool) -> re.Match[bytes] | None:
        if self._string:
            return _INSIDE.search(chunk, at)
        return (_BRACKET.match(chunk, at) if whole and self._depth else None) or _OUTSIDE.search(chunk, at)

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


class _Place(NamedTuple):
    """How far into an array of objects some bytes have come."""

    last: bytes = b""
    """The last sign of the array itself: `[`, `}` of a whole element, `,`, `]`; empty before it, `?`: it is no such array."""
    depth: int = 0
    string: bool = False
    escaped: bool = False


_ADDABLE: Final = (b"[", b"}", b",")
_SIGN: Final = re.compile(rb"\S")


class BetweenElements(Boundaries):
    """Where whole elements end. A body that is no array of objects is broken off."""

    __slots__ = ("_place",)

    def __init__(self) -> None:
        self._place = _Place()

    def passed(self, data: bytes) -> None:
        """These bytes went to the client."""
        self._place, _ = _walked(self._place, data)

    def whole(self, data: bytes) -> int | None:
        """How many of `data` complete the last whole element; None also where the array's end is in it or has passed."""
        place, at = _walked(self._place, data)
        return None if place.last == b"]" else at

    def ending(self, frame: bytes) -> bytes:
        """The data of the event that the dialect's cut is, as the last element."""
        element = frame.partition(b"data: ")[2].strip()
        match self._place.last:
            case b"}":
                return b"," + element + b"]"
            case b"[" | b",":
                return element + b"]"
        return b""


def _walked(place: _Place, data: bytes) -> tuple[_Place, int | None]:
    """The place after these bytes, and how many of them end at the last place where an element may follow."""
    last, depth, string, escaped = place
    whole = 0 if last == b"?" or (last in _ADDABLE and not depth) else None
    at = 1 if escaped and data else 0
    escaped = escaped and not data
    while hit := (_INSIDE if string else _OUTSIDE if depth else _SIGN).search(data, at):
        at, sign = hit.end(), hit[0]
        if string:
            escaped = sign == b"\\" and at == len(data)
            at += sign == b"\\"
            string = sign != b'"'
        elif depth:
            string = sign == b'"'
            depth += (sign == b"{") - (sign == b"}")
            last, whole = (b"}", at) if not depth else (last, whole)
        elif sign == b"{" and last in (b"[", b","):
            depth = 1
        elif (last, sign) in _FOLLOWS:
            last, whole = sign, at
        else:
            return _Place(b"?"), len(data)
    return _Place(last, depth, string, escaped), whole


_FOLLOWS: Final = frozenset({(b"", b"["), (b"[", b"]"), (b"}", b","), (b"}", b"]")})
"""Which sign of the array may come after which, beside elements."""
