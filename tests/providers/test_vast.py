"""Answers of one event, message, line or text that does not end, and bombs in every encoding: for each wire memory is bounded,
time goes with what came, every byte passes and nothing is raised.

`scripts/test-heavy` sends whole gigabytes.
"""

from __future__ import annotations

import gzip
import itertools
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import brotli
import pytest
import zstandard

from load.wires import ARRAY, CONNECT, EVENTS, JSON, LINES, SOUND, WIRES, Wire
from providers.tapped import CHUNK_BYTES, PEAK_BYTES, Bounded, head
from providers.test_fuzz import MB
from sampling import one_in
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.eventstream import CONTENT_TYPE as AWS
from spendgate.providers.eventstream import frame
from spendgate.providers.socket_interface import Heard, Overheard, OverheardDialect

BOMB_PEAK_BYTES = 24 * MB
"""zstd's decoder has a window of 8 MB, and its output beside it."""
MARK = b"spendgate-mark"
BEGUN = {
    EVENTS: b'data: {"type":"content_block_delta","delta":"',
    JSON: b'{"object":"list","data":["',
    ARRAY: b'[{"usageMetadata":{"promptTokenCount":1},"candidates":[{"content":{"parts":[{"text":"',
    LINES: b'{"event":{"type":"message_start","custom_id":"a","usage":{},"message":"',
    CONNECT: b"\x00\x7f\xff\xff\xff\x0a\xff\xff\xff\xff\x07",
    SOUND: b"\xff\xfb",
    AWS: b"",
}
"""How an answer of each type begins that has one piece alone, and never ends it."""
HOLLOW = frame({":event-type": "chunk", ":message-type": "event"}, b"\0" * (20 * MB))
"""AWS's frames are bounded: one after the other, each as long as they come."""
EACH = {f"{wire.dialect} {wire.answers}": wire for wire in WIRES}
every_wire = pytest.mark.parametrize("wire", EACH.values(), ids=EACH)
Made = Callable[[Wire, int], Iterator[bytes]]


def first_piece(wire: Wire, size: int) -> Iterator[bytes]:
    """An answer of one piece, of so many bytes."""
    if wire.answers == AWS:
        for at in range(0, size, CHUNK_BYTES):
            yield HOLLOW[at % len(HOLLOW) : at % len(HOLLOW) + CHUNK_BYTES]
        return
    yield BEGUN[wire.answers]
    yield from itertools.repeat(b"x" * CHUNK_BYTES, size // CHUNK_BYTES)


def second_piece(wire: Wire, size: int) -> Iterator[bytes]:
    """The wire's own answer with so long a text in its second piece. Frames keep their small lengths where they say any: what
    follows is then no frame."""
    first, unit, last = wire.pieces(MARK.decode())
    before, _, after = unit.partition(MARK)
    yield first + before
    yield from itertools.repeat(b"word" * (CHUNK_BYTES // 4), size // CHUNK_BYTES)
    yield after + last


def one_frame(wire: Wire, size: int) -> Iterator[bytes]:
    """One frame of its protocol whose head announces `size` bytes; where the protocol has none, an event that begins at once."""
    filler = b"\x0a"
    if wire.answers == CONNECT:
        yield b"\0" + size.to_bytes(4)
    elif wire.answers == AWS:
        prelude = (size + 16).to_bytes(4) + b"\0\0\0\0"
        yield prelude + zlib.crc32(prelude).to_bytes(4)
    else:
        yield b"data: "
        filler = b"x"
    yield from itertools.repeat(filler * CHUNK_BYTES, size // CHUNK_BYTES)


def empty_lines(wire: Wire, size: int) -> Iterator[bytes]:
    """Nothing but ends of lines: the most that a byte can give a reader of lines to do."""
    yield from itertools.repeat(b"\n" * CHUNK_BYTES, size // CHUNK_BYTES)


def fed(wire: Wire, made: Made, size: int) -> tuple[float, float]:
    """Seconds of CPU for the two halves of such an answer."""
    tap, halves = Bounded(wire), []
    tracemalloc.start()
    chunks = made(wire, size)
    for count in (size // CHUNK_BYTES // 2, None):
        for chunk in itertools.islice(chunks, count):
            tap.feed(chunk)
        halves.append(tap.taken_s - sum(halves))
    reading = tap.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < PEAK_BYTES
    if made is not second_piece and wire.dialect != "openai-speech":  # which is counted by its request
        assert not reading.final or reading.free
    return halves[0], halves[1]


@pytest.mark.parametrize(
    ("wire", "made"), one_in(3, EACH, {made.__name__: made for made in (first_piece, second_piece, one_frame)})
)
def test_an_answer_of_one_piece_takes_little(wire: Wire, made: Made) -> None:
    """32 MB of one event, message, line or text."""
    first, second = fed(wire, made, 32 * MB)
    assert second < 3 * first + 0.05


@every_wire
def test_an_answer_of_empty_lines_takes_little(wire: Wire) -> None:
    """A million of them."""
    first, second = fed(wire, empty_lines, MB)
    assert second < 3 * first + 0.05


@pytest.mark.heavy
@pytest.mark.parametrize("made", [first_piece, second_piece, one_frame])
@every_wire
def test_a_gigabyte_of_one_piece_takes_little(wire: Wire, made: Made) -> None:
    """The same, of 1 GB: no more memory, and the second half takes as long as the first."""
    first, second = fed(wire, made, 1024 * MB)
    print(f"{wire.dialect} {wire.answers} {made.__name__}: {first + second:.1f} s of CPU for 1 GB")
    assert second < 2 * first + 0.05


@pytest.mark.parametrize("made", [second_piece, one_frame, empty_lines])
def test_what_a_socket_says_in_pieces_is_not_kept(made: Made) -> None:
    """A realtime session whose messages are pieces of one that does not end."""
    wire, heard = _overheard()
    tracemalloc.start()
    for chunk in made(wire, 16 * MB if made is not empty_lines else MB):
        heard.from_server(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < PEAK_BYTES


def test_a_message_of_a_socket_that_is_too_long_is_not_read() -> None:
    """32 MB of one message, of a realtime session; a short one of the same words is."""
    _, heard = _overheard()
    message = b'{"type":"response.done","response":{"id":"%s","usage":{"input_tokens":1,"output_tokens":1}}}'
    assert heard.from_server(message % b"x") != Heard()
    assert heard.from_server(message % (b"x" * (32 * MB))) == Heard()


def _overheard() -> tuple[Wire, Overheard]:
    wire = next(each for each in WIRES if isinstance(DIALECTS[each.dialect], OverheardDialect))
    dialect = DIALECTS[wire.dialect]
    assert isinstance(dialect, OverheardDialect)
    return wire, dialect.overheard(head(wire))


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": lambda data: brotli.compress(data, quality=1),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    """128 MB of one letter, packed twice by gzip, once by the others."""
    packed = {name: pack(b"x" * (128 * MB)) for name, pack in BOMBS.items()}
    return {**packed, "gzip, gzip": gzip.compress(packed["gzip"])}


@pytest.mark.parametrize(("wire", "encoding"), one_in(2, EACH, {name: name for name in (*BOMBS, "gzip, gzip")}))
def test_a_bomb_is_read_in_pieces(wire: Wire, bombs: dict[str, bytes], encoding: str) -> None:
    """An answer that is a thousand times as long unpacked, in one piece."""
    if isinstance(DIALECTS[wire.dialect], OverheardDialect):
        return  # a WebSocket's messages are unpacked by the proxy
    tap = Bounded(wire, encoding)
    tracemalloc.start()
    tap.feed(bombs[encoding])
    tap.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < BOMB_PEAK_BYTES
