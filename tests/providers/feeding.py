"""Feeds a reader in every way that a network may cut a response, and compares what was read."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Iterator

import brotli
import zstandard
from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.decoding import Decoder
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Dialect, Head, Reader
from spendgate.providers.reading import Reading

STREAM = CaseInsensitive({"Content-Type": "text/event-stream; charset=utf-8"})
JSON = CaseInsensitive({"Content-Type": "application/json"})


def raw_deflate(data: bytes) -> bytes:
    """Deflate without zlib's header, as some servers send it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


ENCODERS = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def head(method: str = "POST", path: str = "/v1/messages", host: str = "api.anthropic.com", **headers: str) -> Head:
    """A request's head; underscores in header names stand for dashes."""
    return Head(method, host, path, "", CaseInsensitive({name.replace("_", "-"): v for name, v in headers.items()}))


def pieces(data: bytes, seed: int, longest: int = 700) -> Iterator[bytes]:
    """`data` cut at random places."""
    dice = random.Random(seed)
    at = 0
    while at < len(data):
        step = dice.randint(1, longest)
        yield data[at : at + step]
        at += step


def read(reader: Reader, chunks: Iterator[bytes] | list[bytes]) -> Reading:
    """What a reader makes of these chunks."""
    for chunk in chunks:
        reader.feed(chunk)
    return reader.close()


def fed(dialect: Dialect, body: bytes, *, stream: bool, ask: Ask | None = None) -> Reading:
    """What a dialect reads from a whole response."""
    return read(dialect.reader(ask or Ask(), 200, STREAM if stream else JSON), [body])


def each_way(dialect: Dialect, body: bytes, *, stream: bool) -> Iterator[tuple[str, Reading]]:
    """(name, reading) of each way to deliver the same response. Flags are left out: they may tell of the way."""

    def reader() -> Reader:
        return dialect.reader(Ask(), 200, STREAM if stream else JSON)

    def bare(reading: Reading) -> Reading:
        return replace(reading, flags=())

    yield "whole", bare(read(reader(), [body]))
    yield "byte by byte", bare(read(reader(), [body[i : i + 1] for i in range(len(body))]))
    for seed in range(5):
        yield f"cut at random {seed}", bare(read(reader(), pieces(body, seed)))
    yield "event by event", bare(read(reader(), [part + b"\n\n" for part in body.split(b"\n\n") if part]))
    if stream:
        yield "crlf", bare(read(reader(), pieces(body.replace(b"\n", b"\r\n"), 7, 9)))
        yield "cr", bare(read(reader(), pieces(body.replace(b"\n", b"\r"), 8, 9)))
        yield "no last blank line", bare(read(reader(), [body.rstrip(b"\n")]))
        yield "garbage after", bare(read(reader(), [body, b"\ndata: {nonsense\n\n\xff\xfe:::\n\ndata"]))
    for name, encode in ENCODERS.items():
        decoder = Decoder(name)
        out = [piece for chunk in pieces(encode(body), 11, 40) for piece in decoder.feed(chunk)]
        assert not decoder.flags
        yield name, bare(read(reader(), out))
