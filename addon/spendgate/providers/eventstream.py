"""AWS's event stream (`application/vnd.amazon.eventstream`) as bytes: chunks in, whole frames out; and one frame written.

A frame, all big-endian (facts/wire-formats.md 5): u32 total length, u32 length of the headers, u32 CRC-32 of these 8 bytes,
headers, payload, u32 CRC-32 of everything before. Chunks may break anywhere. Memory is bounded: a frame longer than
`FRAME_BYTES_MAX` is passed over, with only its first CRC checked. Bytes that are no frame end the reading, for nothing tells
where the next frame begins; what the client gets is not touched by that.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from zlib import crc32

from spendgate.providers.boundaries import Boundaries

FRAME_BYTES_MAX: Final = 1024 * 1024
"""A longer frame is passed over."""
CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"

_PRELUDE: Final = struct.Struct(">III")
_CRC: Final = struct.Struct(">I")
_OVERHEAD: Final = _PRELUDE.size + _CRC.size
# What AWS allows: 128 KiB of headers, 24 MiB of payload.
_HEADERS_MAX: Final = 128 * 1024
_TOTAL_MAX: Final = 24 * 1024 * 1024 + _HEADERS_MAX + _OVERHEAD
_TEXT: Final = 7
_USUAL_BYTES: Final = 256
# Bytes of a value by its type; 6 (bytes) and 7 (text) say their own length.
_WIDTHS: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: its headers of type text, and its payload."""

    headers: Mapping[str, str]
    payload: bytes


class FrameReader:
    """Cuts a stream into frames. Never raises."""

    __slots__ = ("_kept", "_skip", "fault", "skipped")

    def __init__(self) -> None:
        self._kept = bytearray()
        self._skip = 0
        self.fault: str | None = None
        """Why reading stopped; None: it goes on."""
        self.skipped = 0
        """Frames that were too long to keep."""

    @property
    def between(self) -> bool:
        """Whether the last byte taken was a frame's last."""
        return self.fault is None and not self._kept and not self._skip

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete."""
        frames: list[Frame] = []
        if self.fault is not None:
            return frames
        view = memoryview(data)
        while view and self.fault is None:
            if self._skip:
                passed = min(self._skip, len(view))
                self._skip -= passed
                view = view[passed:]
                continue
            want = self._wanted()
            taken = view[: want - len(self._kept)]
            self._kept += taken
            view = view[len(taken) :]
            if len(self._kept) == want:
                self._complete(want, frames)
        return frames

    def _wanted(self) -> int:
        """Bytes to keep until something can be decided: a prelude, or a whole frame whose prelude was checked."""
        if len(self._kept) < _PRELUDE.size:
            return _PRELUDE.size
        total: int = _PRELUDE.unpack_from(self._kept)[0]
        return total

    def _complete(self, size: int, frames: list[Frame]) -> None:
        total, headers_size, crc = _PRELUDE.unpack_from(self._kept)
        if size == _PRELUDE.size:
            if crc32(self._kept[:8]) != crc:
                self._fail("a frame with a wrong prelude CRC")
            elif headers_size > _HEADERS_MAX or not headers_size + _OVERHEAD <= total <= _TOTAL_MAX:
                self._fail("a frame of impossible length")
            elif total > FRAME_BYTES_MAX:
                self.skipped += 1
                self._skip = total - size
                self._kept = bytearray()
            return
        whole = bytes(self._kept)
        self._kept = bytearray()
        end = total - _CRC.size
        if crc32(whole[:end]) != _CRC.unpack_from(whole, end)[0]:
            self._fail("a frame with a wrong message CRC")
            return
        start = _PRELUDE.size + headers_size
        headers = _headers(whole[_PRELUDE.size : start])
        if headers is None:
            self._fail("a frame with unreadable headers")
            return
        frames.append(Frame(headers, whole[start:end]))

    def _fail(self, reason: str) -> None:
        self.fault = reason
        self._kept = bytearray()


class BetweenFrames(Boundaries):
    """Where whole frames end in a stream that passes. After bytes that are no frame nothing can be added: it is broken off."""

    __slots__ = ("_broken", "_head", "_left")

    def __init__(self) -> None:
        self._head, self._left, self._broken = b"", 0, False

    def passed(self, data: bytes) -> None:
        """These bytes went to the client."""
        self._head, self._left, self._broken, _ = self._walk(data)

    def whole(self, data: bytes) -> int | None:
        """How many of `data` complete the last whole frame; all of them where they are no frames."""
        *_, broken, at = self._walk(data)
        return len(data) if broken else at

    def ending(self, frame: bytes) -> bytes:
        """The frame itself."""
        return b"" if self._broken else frame

    def _walk(self, data: bytes) -> tuple[bytes, int, bool, int | None]:
        head, left, broken = self._head, self._left, self._broken
        at, size = 0, len(data)
        whole = 0 if not head and not left else None
        while at < size and not broken:
            if not left:
                step = min(_PRELUDE.size - len(head), size - at)
                head += data[at : at + step]
                at += step
                if len(head) < _PRELUDE.size:
                    break
                total, headers_size, crc = _PRELUDE.unpack(head)
                broken = crc32(head[:8]) != crc or not headers_size + _OVERHEAD <= total <= _TOTAL_MAX
                left, head = total - _PRELUDE.size, b""
            step = min(left, size - at)
            at += step
            left -= step
            if not left:
                whole = at
        return head, left, broken, whole


def _headers(block: bytes) -> Mapping[str, str] | None:
    """The headers of type text; None where the block is not one of headers."""
    return _usual_headers(block) if len(block) <= _USUAL_BYTES else _read_headers(block)


@lru_cache(maxsize=256)
def _usual_headers(block: bytes) -> Mapping[str, str] | None:
    """All frames of one kind have the same headers, which are half of the time that a frame takes."""
    return _read_headers(block)


def _read_headers(block: bytes) -> Mapping[str, str] | None:
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(block):
            name_end = at + 1 + block[at]
            name, kind = block[at + 1 : name_end], block[name_end]
            at = name_end + 1
            if kind in (6, _TEXT):
                size = int.from_bytes(block[at : at + 2])
                at += 2
            else:
                size = _WIDTHS[kind]
            if at + size > len(block):
                return None
            if kind == _TEXT:
                found[name.decode("utf-8", "replace")] = block[at : at + size].decode("utf-8", "replace")
            at += size
    except (IndexError, KeyError):
        return None
    return found


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame with text headers. Names are at most 255 bytes, values 65,535."""
    block = b"".join(
        bytes([len(name.encode())]) + name.encode() + bytes([_TEXT]) + len(value.encode()).to_bytes(2) + value.encode()
        for name, value in headers.items()
    )
    lengths = struct.pack(">II", len(block) + len(payload) + _OVERHEAD, len(block))
    front = lengths + _CRC.pack(crc32(lengths)) + block + payload
    return front + _CRC.pack(crc32(front))
