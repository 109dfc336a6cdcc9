"""The heads in HTTP/2 without TLS: whom each request names, from a client's frames. Pure; no mitmproxy.

Nothing but HEADERS and CONTINUATION is kept, each until it is whole; of all other frames only the length is looked at.
"""

from __future__ import annotations

from typing import Final

import hpack

from spendgate.capture.plain_heads import HEAD_BYTES_MAX, authority, names_in

FRAME_HEAD_BYTES: Final = 9
_HEADERS: Final = 0x1
_CONTINUATION: Final = 0x9
_END_HEADERS: Final = 0x4
_PADDED: Final = 0x8
_PRIORITY: Final = 0x20
_TABLE_BYTES_MAX: Final = 1 << 20
"""Of what a server lets its client's fields be looked up in; it is for the server to say, and usual are 4 KB."""


class Frames:
    """A client's frames, one after the other."""

    def __init__(self) -> None:
        self._decoder = hpack.Decoder(max_header_list_size=4 * HEAD_BYTES_MAX)
        self._decoder.max_allowed_table_size = _TABLE_BYTES_MAX
        self._block = b""

    def frame(self, held: bytes) -> tuple[int, int, tuple[str, ...]] | None:
        """Of the frame that begins here: bytes that must be held to read it, bytes after those that are its own and nobody's
        concern, and whom it names. None: more bytes are needed. Raises ValueError for what no server reads."""
        if len(held) < FRAME_HEAD_BYTES:
            return None
        length, kind, flags = int.from_bytes(held[:3]), held[3], held[4]
        if kind not in (_HEADERS, _CONTINUATION):
            return FRAME_HEAD_BYTES, length, ()
        if length + len(self._block) > HEAD_BYTES_MAX:
            raise ValueError("a head that is too long")
        if len(held) < FRAME_HEAD_BYTES + length:
            return None
        payload = held[FRAME_HEAD_BYTES : FRAME_HEAD_BYTES + length]
        self._block += _fragment(payload, flags) if kind == _HEADERS else payload
        hosts: tuple[str, ...] = ()
        if flags & _END_HEADERS:
            hosts, self._block = self._named(), b""
        return FRAME_HEAD_BYTES + length, 0, hosts

    def _named(self) -> tuple[str, ...]:
        try:
            fields = [(bytes(name), bytes(value)) for name, value, *_ in self._decoder.decode(self._block, raw=True)]
        except hpack.HPACKError:
            raise ValueError("fields that cannot be read") from None
        said = {name: value for name, value in fields if name.startswith(b":")}
        values = [value for name, value in fields if name in (b":authority", b"host")]
        values.append(authority(said.get(b":path", b"")))
        return tuple(name for value in values for name in names_in(value))


def _fragment(payload: bytes, flags: int) -> bytes:
    padding = payload[0] if flags & _PADDED and payload else 0
    start = (1 if flags & _PADDED else 0) + (5 if flags & _PRIORITY else 0)
    if start + padding > len(payload):
        raise ValueError("more padding than frame")
    return payload[start : len(payload) - padding]
