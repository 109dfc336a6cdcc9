"""What the readers of all dialects' streams share: which events are passed over, and how much text they hold.

A dialect gives `EventReader.event` for one event's data. Readers never raise: a fault becomes a flag, reading stops, and the call
is counted as an estimate.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Final

from msgspec.structs import replace

from spendgate.errors import WireError
from spendgate.providers.interface import Headers
from spendgate.providers.readers import from_headers
from spendgate.providers.reading import Reading
from spendgate.providers.sse import Events, Oversized

_BACKSLASH: Final = 0x5C
_SPACED: Final = b'": '
"""JSON with a space after the colon, as few providers write it, is brought into the other form before it is searched."""
_STRING_REST: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)

_LONG_BYTES: Final = 16 * 1024
_LONG_STRING_BYTES: Final = 256
_QUOTES_MAX = 256
"""Of one event that are looked for one by one."""
_FORMS_MAX: Final = 32
"""How many forms of events one reader learns: where each event is numbered, as in Responses, no form comes twice."""
_NONE_LEARNED: Final = b"\0"
"""No event begins so, and no rest is empty."""


class EventReader(ABC):
    """Reads a stream of events. A dialect fills in `marks`, `texts` and `event`, and keeps `self.current` up to date.

    Most events carry text alone and are not split or parsed; only their text is measured. Two tests tell them, both of
    chunks of whole events: they hold none of `marks` (an unescaped key cannot stand inside an answer's text, so a mark that is
    missing is really missing), or they are, but for the text and spaces, the very bytes of one that held none.
    """

    marks: tuple[bytes, ...] = ()
    """An event that holds none of these (written without spaces) changes nothing but `output_bytes`."""
    texts: tuple[bytes, ...] = ()
    """Keys of generated text. It is measured as JSON-escaped bytes, so up to twice as long as the text itself."""

    def __init__(self, headers: Headers) -> None:
        self.current = from_headers(headers)
        self.output_bytes = 0
        self.failed = False
        self._first = True
        self._events = Events()
        self._between = False
        self._tight = tuple(b'"' + key + b'":"' for key in self.texts)
        self._forms = _FORMS_MAX
        # Around the text of the last event that was learned: up to its opening quote, and from its closing one without spaces.
        self._opening, self._text_at, self._ending = _NONE_LEARNED, 0, b""

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. True when counts changed."""
        if self._between:
            if data.startswith(self._opening):
                end = data.find(b'"', self._text_at)
                rest = data[end:]
                # A text that begins with a colon and a space is measured without the space, on the long way.
                if (
                    (rest == self._ending or rest.replace(b" ", b"") == self._ending)
                    and data[end - 1] != _BACKSLASH
                    and not data.startswith(b": ", self._text_at)
                ):
                    self.output_bytes += end - self._text_at
                    return False
            if data.endswith(b"\n\n"):
                tight = data.replace(_SPACED, b'":')
                # `find`, not `in`: bytes first try their operand as a number, which takes six times as long.
                for mark in self.marks:
                    if tight.find(mark) >= 0:
                        break
                else:
                    self.output_bytes += text_bytes(tight, self._tight)
                    if self._forms:
                        self._learn(tight)
                    return False
        if self.failed:
            return False
        changed = self._read(self._events.feed(data))
        self._between = not self._first and not self.failed and self._events.between
        return changed

    def reading(self) -> Reading:
        """What has been read so far."""
        return replace(self.current, output_bytes=self.output_bytes)

    def close(self) -> Reading:
        """Read what stands before the end without a blank line, and give the whole."""
        if not self.failed:
            self._read(self._events.close())
        return self.reading()

    @abstractmethod
    def event(self, data: bytes) -> bool:
        """Read one event that holds a mark, or the first. True when counts changed. May raise WireError."""

    def oversized(self, event: Oversized) -> bool:
        """Read an event of which only the ends were kept. True when counts changed."""
        self.flag("an event too long to keep")
        return False

    def flag(self, text: str) -> None:
        """Note what did not fit, once."""
        if text not in self.current.flags:
            self.current = replace(self.current, flags=(*self.current.flags, text))

    def _learn(self, data: bytes) -> None:
        """Remember what stands around the text of these unmarked bytes, where they hold one text."""
        if data.startswith(self._opening):
            return
        self._forms -= 1
        found = [(data.find(key) + len(key), data.count(key)) for key in self._tight if data.find(key) >= 0]
        if len(found) == 1 and found[0][1] == 1:
            start = found[0][0]
            end = data.find(b'"', start)
            if data[end - 1] != _BACKSLASH:
                self._opening, self._text_at, self._ending = data[:start], start, data[end:].replace(b" ", b"")

    def _read(self, events: list[bytes | Oversized]) -> bool:
        before = self.current.parts
        for event in events:
            try:
                if isinstance(event, Oversized):
                    self.oversized(event)
                    continue
                tight = tightened(event if self.texts or len(event) < _LONG_BYTES else _without_long_strings(event))
                self.output_bytes += text_bytes(tight, self._tight)
                if self._first or any(tight.find(mark) >= 0 for mark in self.marks):
                    self._first = False
                    self.event(event)
            except WireError:
                self.flag("an event that is not JSON")
            except Exception as fault:  # noqa: BLE001  a fault of ours must never break a person's stream
                self.failed = True
                self.flag(f"reader failed: {type(fault).__name__}")
                break
        return self.current.parts != before


def _without_long_strings(event: bytes) -> bytes:
    """An event whose text is not measured, as it is searched for marks: none stands in a long piece without quotes.

    A search for one sign takes a fraction of one for a mark, and an image is 100 KB without a quote; `split` takes twenty times
    as long as `find` for it, and is for events of many strings.
    """
    kept, at = list[bytes](), 0
    for _ in range(_QUOTES_MAX):
        quote = event.find(b'"', at)
        if quote < 0:
            return b'"'.join([*kept, _unless_long(event[at:])])
        kept.append(event[at:quote] if quote - at < _LONG_STRING_BYTES else b"")
        at = quote + 1
    return b'"'.join([*kept, *map(_unless_long, event[at:].split(b'"'))])


def _unless_long(part: bytes) -> bytes:
    return part if len(part) < _LONG_STRING_BYTES else b""


def tightened(data: bytes) -> bytes:
    """JSON as it is searched: without the space after a colon."""
    return data.replace(_SPACED, b'":')


def text_bytes(data: bytes, keys: tuple[bytes, ...]) -> int:
    """Bytes of the JSON strings that follow `keys` (each with its quotes, colon and opening quote: `"text":"`)."""
    total = 0
    for key in keys:
        at = data.find(key)
        while at >= 0:
            start = at + len(key)
            end = data.find(b'"', start)
            if end > 0 and data[end - 1] == _BACKSLASH:
                closed = _STRING_REST.match(data, start)
                end = closed.end() if closed else len(data)
            if end < 0:
                end = len(data)
            total += end - start
            at = data.find(key, end)
    return total
