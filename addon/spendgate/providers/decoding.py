"""Undoes content-encodings of bodies as they pass: gzip, deflate, br, zstd, identity, and any stack of them.

The relayed bytes are never touched; this works on a copy. Two bounds keep a small body from becoming a large one: each step
gives about `PIECE_BYTES_MAX` bytes, at most twice that (zstd: what 256 bytes of input can hold, at most 8 MiB). So memory is
bounded whatever comes, and three more bounds keep a bomb from taking the loop's time: decoding stops where one feed grows
beyond `FEED_BYTES_MAX`, where a body grows beyond `RATIO_MAX` times its size after `FREE_BYTES`, and where it is many members
of gzip that hold nothing. An answer of a gigabyte that compresses a thousandfold is still read to its end, where its counts
are. What cannot be decoded is flagged, and the call is then counted as an estimate (design.md, promise 9).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Final

import brotli  # type: ignore[import-untyped]  # it ships no types
import zstandard

from spendgate.errors import WireError

PIECE_BYTES_MAX: Final = 64 * 1024
RATIO_MAX: Final = 200
FREE_BYTES: Final = 2 * 1024 * 1024 * 1024
"""About a second of decoding in all, in steps that FEED_BYTES_MAX bounds."""
FEED_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of one feed, which is at most what one read of a socket gave: some 30 ms of decoding."""
_SLICE_BYTES: Final = 64 * 1024
_MEMBERS_FREE: Final = 16 * 1024
_MEMBER_BYTES: Final = 1024
"""Members of a gzip body beyond the free ones must hold so much each: twenty bytes are a whole one that holds nothing."""
_ZSTD_INPUT_BYTES: Final = 256
_ZSTD_WINDOW_MAX: Final = 8 * 1024 * 1024
_LAYERS_MAX: Final = 4

Layer = Callable[[bytes], Iterator[bytes]]


def _slices(data: bytes) -> Iterator[bytes]:
    """The input in short pieces: zlib copies what it has not taken yet after each step, in time with the square of its length."""
    for start in range(0, len(data), _SLICE_BYTES):
        yield data[start : start + _SLICE_BYTES]


def _gzip() -> Layer:
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    members, given = 1, 0

    def inflate(data: bytes) -> Iterator[bytes]:
        nonlocal inflater, members, given
        for piece in _slices(data):
            rest = piece
            while rest:
                if inflater.eof:
                    # One body may hold several gzip members; zero bytes between and after them are padding.
                    rest = rest.lstrip(b"\0")
                    if not rest:
                        break
                    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
                    members += 1
                    if members > _MEMBERS_FREE + given // _MEMBER_BYTES:
                        raise zlib.error("members that hold nothing")
                plain = inflater.decompress(rest, PIECE_BYTES_MAX)
                given += len(plain)
                yield plain
                rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail

    return inflate


def _deflate() -> Layer:
    inflater = zlib.decompressobj()
    begun = b""

    def inflate(data: bytes) -> Iterator[bytes]:
        nonlocal inflater, begun
        if len(begun) < 2:
            begun += data
            if len(begun) < 2:
                return
            # `deflate` means zlib's format, but many servers send it without zlib's header.
            if begun[0] & 0x0F != 8 or int.from_bytes(begun[:2]) % 31:
                inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            data = begun
        for piece in _slices(data):
            rest = piece
            while rest and not inflater.eof:
                yield inflater.decompress(rest, PIECE_BYTES_MAX)
                rest = inflater.unconsumed_tail

    return inflate


def _brotli() -> Layer:
    inflater = brotli.Decompressor()

    def inflate(data: bytes) -> Iterator[bytes]:
        piece = inflater.process(data, output_buffer_limit=PIECE_BYTES_MAX)
        # The library may have taken all input and still keep output, so only an empty piece says that nothing is left.
        while piece or not inflater.can_accept_more_data():
            yield piece
            piece = inflater.process(b"", output_buffer_limit=PIECE_BYTES_MAX)

    return inflate


def _zstd() -> Layer:
    inflater = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_MAX).decompressobj(read_across_frames=True)

    def inflate(data: bytes) -> Iterator[bytes]:
        # The library has no bound on output: a block of 4 bytes may hold 128 KiB, so input is given in small slices.
        for start in range(0, len(data), _ZSTD_INPUT_BYTES):
            yield inflater.decompress(data[start : start + _ZSTD_INPUT_BYTES])

    return inflate


_LAYERS: Final[dict[str, Callable[[], Layer]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}


class Decoder:
    """Decodes one body. Never raises; `flags` says what went wrong, without content."""

    __slots__ = ("_given", "_layers", "_taken", "flags")

    def __init__(self, content_encoding: str | None) -> None:
        """`content_encoding` is the header's value, None or empty for none."""
        self.flags: tuple[str, ...] = ()
        self._taken = self._given = 0
        names = [name.strip().lower() for name in (content_encoding or "").split(",")]
        names = [name for name in names if name and name != "identity"]
        unknown = [name for name in names if name not in _LAYERS]
        self._layers: tuple[Layer, ...] | None = (
            tuple(_LAYERS[name]() for name in reversed(names)) if not unknown else ()
        )
        if unknown or len(names) > _LAYERS_MAX:
            self._stop("content-encoding not known")

    @property
    def plain(self) -> bool:
        """Whether there is nothing to undo."""
        return self._layers == ()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` decodes to, in bounded pieces, also empty ones; nothing once decoding has stopped.

        A step that gave nothing is a piece too, so that who takes them can stop between any two steps.
        """
        if self._layers == ():
            yield data
            return
        if self._layers is None:
            return
        self._taken += len(data)
        fed = 0
        try:
            for piece in self._through(self._layers, data):
                self._given += len(piece)
                fed += len(piece)
                if fed > FEED_BYTES_MAX or (self._given > FREE_BYTES and self._given > RATIO_MAX * self._taken):
                    self._stop("content-encoding grows beyond belief")
                    return
                yield piece
        except (zlib.error, brotli.error, zstandard.ZstdError):
            self._stop("content-encoding broken")

    def _through(self, layers: tuple[Layer, ...], data: bytes) -> Iterator[bytes]:
        if not layers:
            yield data
            return
        for piece in layers[0](data):
            if piece:
                yield from self._through(layers[1:], piece)
            else:
                yield piece

    def _stop(self, why: str) -> None:
        self._layers = None
        self.flags = (*self.flags, why)


def decode_body(content_encoding: str | None, body: bytes, *, bytes_max: int) -> bytes:
    """A whole request body, decoded. Raises WireError where it cannot be, or is longer than `bytes_max` decoded."""
    decoder = Decoder(content_encoding)
    pieces = []
    size = 0
    for piece in decoder.feed(body):
        size += len(piece)
        if size > bytes_max:
            raise WireError(f"a body longer than {bytes_max} bytes decoded")
        pieces.append(piece)
    if decoder.flags:
        raise WireError(decoder.flags[0])
    return b"".join(pieces)
