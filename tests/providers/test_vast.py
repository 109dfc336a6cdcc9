"""Answers of one event that does not end, and bombs in every encoding: for each dialect memory stays bounded, nothing is raised.

The heavy ones are of 1 GB; how long they take is told by `--durations`.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import brotli
import pytest
import zstandard

from load.wires import WIRES, Wire
from providers.feeding import head
from spendgate.capture.tap import Tap
from spendgate.capture.unread import Turns
from spendgate.errors import WireError
from spendgate.providers.decoding import Decoder
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Head, OverheardDialect
from spendgate.providers.registry import DIALECTS
from spendgate.providers.spoken import OpenDialect

MB = 1024 * 1024
KEPT_MAX = 24 * MB
"""Of memory, where chunks of 1 MB are fed; zstd's decoder has a window of 8 MB, and its output beside it."""
MARK = "spendgate-mark"
STILL = Turns(next=lambda _act: None, now_ns=lambda: 0)
READ = [pytest.param(wire, id=f"{wire.dialect}-{number}") for number, wire in enumerate(WIRES) if not wire.result]


def endless(wire: Wire, size: int) -> Iterator[bytes]:
    """The wire's answer, its second piece with `size` bytes of text, a megabyte at a time. Frames keep their small lengths where
    they say any: what follows is then no frame."""
    first, unit, last = wire.pieces(MARK)
    before, _, after = unit.partition(MARK.encode())
    yield first + before
    yield from itertools.repeat(b"word " * (MB // 5), size // MB)
    yield after + last


def one_frame(wire: Wire, size: int) -> Iterator[bytes]:
    """One frame of its protocol whose head announces `size` bytes; where the protocol has none, an event that begins at once."""
    filler = b"\x0a"
    if "connect" in wire.answers:
        yield b"\0" + size.to_bytes(4)
    elif "amazon.eventstream" in wire.answers:
        prelude = (size + 16).to_bytes(4) + b"\0\0\0\0"
        yield prelude + zlib.crc32(prelude).to_bytes(4)
    else:
        yield b"data: "
        filler = b"x"
    yield from itertools.repeat(filler * MB, size // MB)


def empty_lines(wire: Wire, size: int) -> Iterator[bytes]:
    """Nothing but ends of lines: the most that a byte can give a reader of lines to do."""
    yield from itertools.repeat(b"\n" * (64 * 1024), size // (64 * 1024))


def read(wire: Wire, pieces: Iterator[bytes], encoding: str | None = None) -> int:
    """Bytes of memory at the most, while a tap reads."""
    dialect = DIALECTS[wire.dialect]
    asked = Head(wire.method, wire.host, wire.path, wire.query, CaseInsensitive({"content-type": wire.asks}))
    headers = CaseInsensitive({"content-type": wire.answers})
    tracemalloc.start()
    try:
        if isinstance(dialect, OverheardDialect):
            listening = dialect.overheard(asked)
            for piece in pieces:
                listening.from_server(piece)
        else:
            spoken = dialect.spoken(asked) if isinstance(dialect, OpenDialect) else dialect
            ask = dialect.ask(asked, wire.body("hi"))
            tap = Tap(spoken.reader(ask, 200, headers), lambda _: None, Decoder(encoding), turns=STILL)
            for piece in pieces:
                assert tap(piece) is piece
            assert "reader failed" not in " ".join(tap.close().flags)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("made", [endless, one_frame])
@pytest.mark.parametrize("wire", READ)
def test_an_event_without_end_is_not_kept(wire: Wire, made: Callable[[Wire, int], Iterator[bytes]]) -> None:
    """16 MB in one event."""
    assert read(wire, made(wire, 16 * MB)) < KEPT_MAX


@pytest.mark.parametrize("wire", READ)
def test_events_of_nothing_are_not_kept(wire: Wire) -> None:
    """A million empty lines."""
    assert read(wire, empty_lines(wire, MB)) < KEPT_MAX


@pytest.mark.heavy
@pytest.mark.parametrize("made", [endless, one_frame])
@pytest.mark.parametrize("wire", READ)
def test_a_gigabyte_in_one_event_is_not_kept(wire: Wire, made: Callable[[Wire, int], Iterator[bytes]]) -> None:
    """1 GB in one event."""
    assert read(wire, made(wire, 1024 * MB)) < KEPT_MAX


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def _brotli(data: bytes) -> bytes:
    return brotli.compress(data, quality=1)


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": _brotli,
    "zstd": _zstd,
}


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    """128 MB of one letter, packed twice by gzip, once by the others."""
    packed = {name: pack(b"x" * (128 * MB)) for name, pack in BOMBS.items()}
    return {**packed, "gzip, gzip": gzip.compress(packed["gzip"])}


@pytest.mark.parametrize("encoding", [*BOMBS, "gzip, gzip"])
@pytest.mark.parametrize("wire", READ)
def test_a_bomb_is_read_in_pieces(wire: Wire, bombs: dict[str, bytes], encoding: str) -> None:
    """An answer that is a thousand times as long unpacked, in one piece."""
    if isinstance(DIALECTS[wire.dialect], OverheardDialect):
        return  # a WebSocket's messages are unpacked by the proxy
    assert read(wire, iter([bombs[encoding]]), encoding) < KEPT_MAX


@pytest.mark.parametrize("name", sorted(DIALECTS))
@pytest.mark.parametrize("body", [b"[" * (2 * MB), b'{"a":' * MB, b'{"model":"' + b"x" * (8 * MB) + b'"}', b"\xff" * MB],
                         ids=["lists", "members", "one text", "no text"])  # fmt: skip
def test_hostile_requests_are_read_or_turned_down(name: str, body: bytes) -> None:
    """Bodies that a parser could choke on: an Ask whose words are bounded, or the one error that a reader may raise."""
    with contextlib.suppress(WireError):
        ask = DIALECTS[name].ask(head(), body)
        assert len(ask.model or "") <= 512
