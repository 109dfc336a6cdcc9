"""A request's body as its dialect reads it: whole, decoded of its content-encoding, and never longer than its bound.

A small encoded body can inflate a thousandfold, so no decoder here produces more than it is asked for.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]  # ships no types
import zstandard

from spendgate.errors import WireError

CODINGS_MAX = 4
"""Codings stacked on one body; more is nobody's real request."""
ZSTD_WINDOW_BYTES_MAX = 8 * 1024 * 1024
"""RFC 9659: a zstd body must not need a larger window."""


class TooLong(WireError):
    """The decoded body is longer than its bound."""


def decoded(body: bytes, content_encoding: str, bytes_max: int) -> bytes:
    """The body without its codings (`gzip`, `deflate`, `br`, `zstd`, stacked with commas).

    Raises TooLong past `bytes_max`, WireError for a coding that is unknown or broken.
    """
    codings = [coding.strip().lower() for coding in content_encoding.split(",") if coding.strip()]
    if len(codings) > CODINGS_MAX:
        raise WireError("too many content-encodings")
    for coding in reversed(codings):
        body = _decoded(body, coding, bytes_max + 1)
        if len(body) > bytes_max:
            raise TooLong("the decoded request is longer than its bound")
    return body


def _decoded(body: bytes, coding: str, bytes_max: int) -> bytes:
    if coding == "identity":
        return body
    decode = _DECODERS.get(coding)
    if decode is None:
        raise WireError("unknown content-encoding")
    try:
        return decode(body, bytes_max)
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError):
        # Not chained: nothing of the content may reach a log by way of a message.
        raise WireError(f"broken {coding} body") from None


def _inflate(body: bytes, bytes_max: int, wbits: int) -> bytes:
    decoder = zlib.decompressobj(wbits)
    out = decoder.decompress(body, bytes_max)
    if not decoder.eof and len(out) < bytes_max:
        raise EOFError
    return out


def _gunzip(body: bytes, bytes_max: int) -> bytes:
    return _inflate(body, bytes_max, 16 + zlib.MAX_WBITS)


def _deflate(body: bytes, bytes_max: int) -> bytes:
    # RFC 9110, 8.4.1.2: zlib's format; some senders leave its two-byte header out.
    wrapped = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0
    return _inflate(body, bytes_max, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)


def _unbrotli(body: bytes, bytes_max: int) -> bytes:
    decoder = brotli.Decompressor()
    out = decoder.process(body, output_buffer_limit=bytes_max)
    while len(out) < bytes_max and not decoder.is_finished():
        more = decoder.process(b"", output_buffer_limit=bytes_max - len(out))
        if not more:
            raise EOFError
        out += more
    return bytes(out)


def _unzstd(body: bytes, bytes_max: int) -> bytes:
    decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX)
    with decoder.stream_reader(io.BytesIO(body), read_across_frames=True) as reader:
        return reader.read(bytes_max)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _deflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
