"""Content-encodings as a provider's edge applies them: each event flushed, stacked encodings in order."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

import brotli  # type: ignore[import-untyped]  # ships no types
import zstandard


class Encoder(Protocol):
    """One content-encoding, applied piece by piece."""

    def block(self, data: bytes) -> bytes:
        """Encode `data` so that a decoder can give all of it back at once."""
        ...

    def finish(self) -> bytes:
        """What ends the encoding."""
        ...


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._deflate = zlib.compressobj(1, wbits=wbits)

    def block(self, data: bytes) -> bytes:
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._deflate.flush()


class _Brotli:
    def __init__(self) -> None:
        self._brotli = brotli.Compressor(quality=1)

    def block(self, data: bytes) -> bytes:
        return bytes(self._brotli.process(data) + self._brotli.flush())

    def finish(self) -> bytes:
        return bytes(self._brotli.finish())


class _Zstd:
    def __init__(self) -> None:
        self._zstd = zstandard.ZstdCompressor(level=1).compressobj()

    def block(self, data: bytes) -> bytes:
        return self._zstd.compress(data) + self._zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._zstd.flush()


class Stacked:
    """Encodings one over the other; with none, the identity."""

    def __init__(self, names: str) -> None:
        self._encoders: list[Encoder] = [ENCODERS[name.strip()]() for name in names.split(",") if name.strip()]

    def block(self, data: bytes) -> bytes:
        for encoder in self._encoders:
            data = encoder.block(data)
        return data

    def finish(self) -> bytes:
        tail = b""
        for encoder in self._encoders:
            tail = (encoder.block(tail) if tail else b"") + encoder.finish()
        return tail


ENCODERS: dict[str, Callable[[], Encoder]] = {
    "gzip": lambda: _Zlib(31),
    "deflate": lambda: _Zlib(15),
    "br": _Brotli,
    "zstd": _Zstd,
}
