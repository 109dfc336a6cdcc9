"""Every content-encoding gives the bytes that went in; what cannot be undone is flagged and never grows memory."""

from __future__ import annotations

import gzip
import os
import zlib

import brotli
import pytest
import zstandard

from providers.feeding import ENCODERS, pieces, raw_deflate
from spendgate.errors import WireError
from spendgate.providers import decoding
from spendgate.providers.decoding import PIECE_BYTES_MAX, Decoder, decode_body

BODY = b'data: {"text":"hello"}\n\n' * 500 + os.urandom(300)


def decoded(encoding: str | None, body: bytes, longest: int = 40) -> tuple[bytes, tuple[str, ...]]:
    """(bytes, flags) of a body that comes in random pieces."""
    decoder = Decoder(encoding)
    return b"".join(out for part in pieces(body, 3, longest) for out in decoder.feed(part)), decoder.flags


@pytest.mark.parametrize("longest", [1, 40, 100_000])
@pytest.mark.parametrize("name", ENCODERS)
def test_round_trip(name: str, longest: int) -> None:
    """Each encoding is undone, whatever the pieces."""
    assert decoded(name, ENCODERS[name](BODY), longest) == (BODY, ())


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (None, BODY),
        ("", BODY),
        ("Identity", BODY),
        ("GZIP", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
        ("gzip, br", brotli.compress(gzip.compress(BODY))),
        ("identity, zstd , gzip", gzip.compress(zstandard.compress(BODY))),
        ("gzip", gzip.compress(BODY[:100]) + gzip.compress(BODY[100:])),
        ("gzip", gzip.compress(BODY) + b"\0" * 30),
        ("zstd", zstandard.compress(BODY[:100]) + zstandard.compress(BODY[100:])),
    ],
    ids=["none", "empty", "identity", "upper case", "x-gzip", "raw deflate", "stack of two", "stack with identity",
         "two gzip members", "gzip padding", "two zstd frames"],
)  # fmt: skip
def test_spellings_and_stacks(header: str | None, body: bytes) -> None:
    """Header spellings, stacked encodings, several members and raw deflate are all read."""
    assert decoded(header, body) == (BODY, ())


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "identity"])
def test_broken_body_is_flagged_and_stops(name: str) -> None:
    """A body that is not what its header says gives a flag, no exception and nothing more."""
    decoder = Decoder(name)
    assert b"".join(decoder.feed(b"this is not compressed at all, by nothing" * 3)) == b""
    assert decoder.flags == ("content-encoding broken",)
    assert list(decoder.feed(ENCODERS[name](BODY))) == []


@pytest.mark.parametrize("header", ["compress", "gzip, snappy", "gzip, gzip, gzip, gzip, gzip"])
def test_unknown_encoding_is_flagged(header: str) -> None:
    """An encoding that nobody knows, or a stack too high, is flagged at once and nothing is read as if it were plain."""
    assert decoded(header, b"abc") == (b"", ("content-encoding not known",))


@pytest.mark.parametrize("bound", ["FEED_BYTES_MAX", "FREE_BYTES"])
@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_bomb_is_stopped(name: str, bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What decodes to more than one read may hold, or to a huge body in all, is given up there, in bounded pieces."""
    monkeypatch.setattr(decoding, bound, 4 * 1024 * 1024)
    bomb = ENCODERS[name](b"\0" * 12_000_000)
    step = len(bomb) if bound == "FEED_BYTES_MAX" else 64
    decoder = Decoder(name)
    sizes = [len(piece) for at in range(0, len(bomb), step) for piece in decoder.feed(bomb[at : at + step])]
    assert decoder.flags == ("content-encoding grows beyond belief",)
    assert sum(sizes) <= 4 * 1024 * 1024
    assert max(sizes, default=0) <= (2 * PIECE_BYTES_MAX if name != "zstd" else 8 * 1024 * 1024)


@pytest.mark.parametrize("name", ["gzip", "gzip, gzip", "gzip, zstd"])
def test_members_that_hold_nothing_are_given_up(name: str) -> None:
    """Twenty bytes are a whole member: a body of a megabyte that holds nothing took seconds, one of 16 took hours."""
    bomb = gzip.compress(b"", mtime=0) * 100_000
    for outer in name.split(", ")[1:]:
        bomb = ENCODERS[outer](bomb)
    decoder = Decoder(name)
    assert len(list(decoder.feed(bomb))) < 20_000
    assert decoder.flags == ("content-encoding broken",)


@pytest.mark.parametrize(("name", "wbits"), [("gzip", 31), ("deflate", 15)])
def test_no_step_is_given_the_whole_body(name: str, wbits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """zlib copies what is left of its input after each step: of a long body given whole, half of the time was that."""
    given, made = [], zlib.decompressobj

    class Spied:
        def __init__(self) -> None:
            self.inner = made(wbits)

        def decompress(self, data: bytes, most: int) -> bytes:
            given.append(len(data))
            return self.inner.decompress(data, most)

        def __getattr__(self, word: str) -> object:
            return getattr(self.inner, word)

    packed = ENCODERS[name](os.urandom(1_000_000))
    monkeypatch.setattr(decoding.zlib, "decompressobj", lambda _wbits=15: Spied())
    assert len(b"".join(Decoder(name).feed(packed))) == 1_000_000
    assert max(given) <= 64 * 1024


def test_members_that_hold_something_are_read_to_the_last() -> None:
    """Tools that pack in blocks make a member of each; so may a server of each event."""
    events = [b"data: %d\n\n" % n for n in range(10_000)]
    body = b"".join(gzip.compress(event, mtime=0) for event in events)
    assert decode_body("gzip", body, bytes_max=10**6) == b"".join(events)
    blocks = gzip.compress(b"x" * 2_000, mtime=0) * 30_000
    assert len(decode_body("gzip", blocks, bytes_max=10**9)) == 2_000 * 30_000


def test_an_answer_that_compresses_a_thousandfold_is_read_to_its_end() -> None:
    """A large answer of little content is no bomb: its end, where the counts stand, is decoded, in bounded pieces."""
    packer = brotli.Compressor(quality=1)
    body = [packer.process(b"0123456789abcdef" * 4096) + packer.flush() for _ in range(400)] + [packer.finish()]
    decoder = Decoder("br")
    sizes = [len(piece) for part in body for piece in decoder.feed(part)]
    assert (sum(sizes), decoder.flags) == (400 * 65_536, ())
    assert sum(sizes) > 1_000 * sum(map(len, body))
    assert max(sizes) <= 2 * PIECE_BYTES_MAX


def test_whole_body() -> None:
    """A request body is decoded whole, within its bound, and a WireError says why not, without content."""
    assert decode_body("zstd", zstandard.compress(BODY), bytes_max=len(BODY)) == BODY
    with pytest.raises(WireError, match="longer than 100 bytes"):
        decode_body("gzip", gzip.compress(BODY), bytes_max=100)
    with pytest.raises(WireError, match="content-encoding broken"):
        decode_body("gzip", b"nonsense", bytes_max=10**6)
