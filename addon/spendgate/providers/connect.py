"""Connect-RPC: streams of envelopes, read as they pass. Nothing here knows a schema.

An envelope is `u8 flags | u32 length | payload`; flag 1: the payload is compressed with the stream's `connect-content-encoding`;
flag 2: it is the last one, JSON with the stream's error, if any. Unary calls are one bare message. A stream's `text/event-stream`
answer holds the same binary envelopes and no events. Sources: connectrpc.com/docs/protocol; facts/wire-formats.md 7.2, 7.4.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from typing import Final, NamedTuple

from msgspec.structs import replace

from spendgate.errors import WireError
from spendgate.providers.boundaries import Boundaries
from spendgate.providers.decoding import PIECE_BYTES_MAX
from spendgate.providers.interface import Headers
from spendgate.providers.readers import from_headers
from spendgate.providers.reading import Reading
from spendgate.providers.shapes import TEXT, Shape, record

COMPRESSED, END = 1, 2
HEAD_BYTES: Final = 5
KEPT_BYTES_MAX: Final = 1024 * 1024
"""A longer payload, as it came or decompressed, is passed over: its bytes are counted, its fields are not read."""
FIRST_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of a request's first message, which tells the model behind the prompt. What is longer is decided on its beginning."""
_GZIP: Final = ("gzip", "x-gzip")
_END: Final = Shape(error=record(code=TEXT))


class Envelope(NamedTuple):
    """One envelope. `data` is decompressed; None: too long to keep, or it cannot be decompressed."""

    end: bool
    data: bytes | None
    size: int
    """Bytes of the payload as it came."""


class Envelopes:
    """Reads a stream of envelopes in any cut. Keeps at most `kept_max` bytes. Never raises."""

    __slots__ = ("_at", "_head", "_kept", "_kept_max", "_left", "_plain", "_size")

    def __init__(self, encoding: str | None, kept_max: int = KEPT_BYTES_MAX) -> None:
        """`encoding`: the stream's `connect-content-encoding`."""
        self._plain = (encoding or "identity").strip().lower() not in _GZIP
        self._kept_max = kept_max
        self._head = bytearray()
        self._kept = bytearray()
        self._size = self._left = 0

    def feed(self, data: bytes) -> Iterator[Envelope]:
        """The envelopes that these next bytes complete."""
        at, end = 0, len(data)
        while at < end:
            if len(self._head) < HEAD_BYTES:
                step = min(HEAD_BYTES - len(self._head), end - at)
                self._head += data[at : at + step]
                at += step
                if len(self._head) < HEAD_BYTES:
                    return
                self._size = self._left = int.from_bytes(self._head[1:])
            step = min(self._left, end - at)
            if self._size <= self._kept_max:
                self._kept += data[at : at + step]
            at += step
            self._left -= step
            if not self._left:
                yield self._done()

    def _done(self) -> Envelope:
        flags, size, payload = self._head[0], self._size, bytes(self._kept)
        self._head.clear()
        self._kept.clear()
        return Envelope(bool(flags & END), self._undone(flags, payload) if size <= self._kept_max else None, size)

    def _undone(self, flags: int, payload: bytes) -> bytes | None:
        if not flags & COMPRESSED:
            return payload
        return None if self._plain else decompressed(payload, self._kept_max)


def decompressed(payload: bytes, bytes_max: int) -> bytes | None:
    """A gzip payload's content; None where it is none, or longer than `bytes_max`."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        data = inflater.decompress(payload, bytes_max)
    except zlib.error:
        return None
    return data if inflater.eof else None


def first_size(begun: bytes | bytearray) -> int | None:
    """Bytes of a stream's first envelope with its head; None: its head is not there yet."""
    return None if len(begun) < HEAD_BYTES else HEAD_BYTES + int.from_bytes(begun[1:HEAD_BYTES])


First = tuple[bytes, bool]
"""A stream's first message, as far as it is here, and whether that is all of it."""


def first_message(begun: bytes, encoding: str | None) -> Generator[None, None, First]:
    """The first message, decompressed in steps of well under a millisecond. Raises WireError where there is none."""
    size = first_size(begun)
    if size is None:
        raise WireError("a Connect stream without a message")
    payload, whole = begun[HEAD_BYTES:size], len(begun) >= size
    if not begun[0] & COMPRESSED:
        return payload, whole
    if (encoding or "").strip().lower() not in _GZIP:
        raise WireError("a Connect message in a compression that is not known")
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    parts: list[bytes] = []
    left = FIRST_BYTES_MAX
    try:
        while payload and left > 0 and not inflater.eof:
            parts.append(inflater.decompress(payload, min(left, PIECE_BYTES_MAX)))
            left -= len(parts[-1])
            payload = inflater.unconsumed_tail
            yield
    except zlib.error:
        raise WireError("a Connect message whose compression is broken") from None
    return b"".join(parts), whole and inflater.eof


class BetweenEnvelopes(Boundaries):
    """Where whole envelopes end in a stream that passes: after one of them a stream may be cut."""

    __slots__ = ("_ended", "_head", "_left")

    def __init__(self) -> None:
        self._head, self._left, self._ended = b"", 0, False

    def passed(self, data: bytes) -> None:
        """These bytes went to the client."""
        self._head, self._left, self._ended, _ = self._walk(data)

    def whole(self, data: bytes) -> int | None:
        """How many of `data` complete the last whole envelope, 0 where one has just ended; None where none ends in it, or where
        the stream's own last one is in it or has passed."""
        *_, ended, at = self._walk(data)
        return None if ended else at

    def _walk(self, data: bytes) -> tuple[bytes, int, bool, int | None]:
        head, left, ended = self._head, self._left, self._ended
        at, size = 0, len(data)
        whole = 0 if not head and not left else None
        while at < size:
            if not left:
                step = min(HEAD_BYTES - len(head), size - at)
                head += data[at : at + step]
                at += step
                if len(head) < HEAD_BYTES:
                    break
                left, ended, head = int.from_bytes(head[1:]), ended or bool(head[0] & END), b""
            step = min(left, size - at)
            at += step
            left -= step
            if not left:
                whole = at
        return head, left, ended, whole


class ConnectReader(ABC):
    """Reads the answer to a streaming call. A dialect gives `message`, keeps `self.current` up to date, and sets `self._moved`
    where counts moved enough to tell. Never raises.
    """

    def __init__(self, headers: Headers) -> None:
        self.current = from_headers(headers)
        self.output_bytes = 0
        self._failed = False
        self._moved = False
        self._envelopes = Envelopes(headers.get("connect-content-encoding"))

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. True when counts changed."""
        if self._failed:
            return False
        self._moved = False
        try:
            for envelope in self._envelopes.feed(data):
                self._take(envelope)
        except Exception as fault:  # noqa: BLE001  a fault of ours must never break a person's stream
            self._failed = True
            self.flag(f"reader failed: {type(fault).__name__}")
        return self._moved

    def reading(self) -> Reading:
        """What has been read so far."""
        return replace(self.current, output_bytes=self.output_bytes)

    def close(self) -> Reading:
        """No more bytes will come. An envelope that is cut off told nothing."""
        return self.reading()

    @abstractmethod
    def message(self, data: bytes) -> None:
        """Read one message. May raise WireError."""

    def flag(self, text: str) -> None:
        """Note what did not fit, once."""
        if text not in self.current.flags:
            self.current = replace(self.current, flags=(*self.current.flags, text))

    def _take(self, envelope: Envelope) -> None:
        if envelope.data is None:
            # What it holds is not known; too much is counted rather than nothing.
            self.output_bytes += min(envelope.size, KEPT_BYTES_MAX)
            self.flag("a message too long to keep, or not to be decompressed")
        elif envelope.end:
            self._end(envelope.data)
        else:
            try:
                self.message(envelope.data)
            except WireError:
                self.output_bytes += len(envelope.data)
                self.flag("a message that is not protobuf")

    def _end(self, data: bytes) -> None:
        found = _END.read_or_none(data)
        failed = found is None or found.get("error") is not None
        nothing = failed and not self.output_bytes and not self.reading().parts
        # An error before any output is the provider's own refusal: it did no work.
        self.current = replace(self.current, ended=True, free=nothing, final=self.current.final or nothing)
