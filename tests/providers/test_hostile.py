"""What an attacker, or a broken server, may send over each wire: answers of a gigabyte in one piece, frames and messages of
nonsense, requests without an end (`test_vast`: bombs). Every byte passes, nothing is raised, memory is bounded,
and time goes with what came.

`scripts/test-heavy` sends whole gigabytes; here they are 32 MB.
"""

from __future__ import annotations

import gzip
import itertools
import json
import random
import time
import tracemalloc
import zlib
from collections.abc import Iterator

import brotli
import pytest
import zstandard

from load.wires import ARRAY, CONNECT, EVENTS, JSON, LINES, SOUND, WIRES, Wire, envelope
from providers.feeding import pieces
from providers.test_fuzz import MB, STILL
from spendgate.capture.tap import Tap
from spendgate.errors import WireError
from spendgate.providers.connect import COMPRESSED
from spendgate.providers.decoding import Decoder, decode_body
from spendgate.providers.eventstream import CONTENT_TYPE as AWS
from spendgate.providers.eventstream import frame
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Ask, Head, OverheardDialect, Reader, Reading
from spendgate.providers.protobuf import encoded
from spendgate.providers.registry import DIALECTS
from spendgate.providers.spoken import OpenDialect

PEAK_BYTES = 12 * MB
CHUNK_BYTES = 64 * 1024
SLICE_S = 0.05
"""Of the CPU, for the 4 KB that a tap reads at once, however much they hold when they are decompressed."""
STEP_S = 0.05
STEP_S_PER_MB = 0.02
"""CPU of the longest step of reading a request: others' streams wait as long. What stands in an envelope is parsed in one."""
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
every_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: f"{wire.dialect} {wire.answers}")


def head(wire: Wire) -> Head:
    """The head of the wire's request."""
    headers = CaseInsensitive({"content-type": wire.asks, "connect-content-encoding": "gzip"})
    return Head(wire.method, wire.host, wire.path, wire.query, headers)


def reader(wire: Wire) -> Reader:
    """The reader of the wire's answer."""
    headers = CaseInsensitive({"content-type": wire.answers, "connect-content-encoding": "gzip"})
    dialect = DIALECTS[wire.dialect]
    spoken = dialect.spoken(head(wire)) if isinstance(dialect, OpenDialect) else dialect
    return spoken.reader(Ask(model="m", streamed=True), 200, headers)


class Bounded:
    """A tap, of which each call's CPU and the memory of all are looked at."""

    def __init__(self, wire: Wire) -> None:
        self._tap = Tap(reader(wire), lambda _reading: None, Decoder(None), turns=STILL)
        self.longest_s = 0.0
        self.taken_s = 0.0

    def feed(self, data: bytes) -> None:
        began = time.thread_time()
        assert self._tap(data) is data
        taken = time.thread_time() - began
        self.longest_s = max(self.longest_s, taken)
        self.taken_s += taken

    def close(self) -> Reading:
        reading = self._tap.close()
        assert not any("reader failed" in flag for flag in reading.flags), reading.flags
        return reading


def endless(wire: Wire, size: int) -> Iterator[bytes]:
    """An answer of one piece, of so many bytes."""
    if wire.answers == AWS:
        for at in range(0, size, CHUNK_BYTES):
            yield HOLLOW[at % len(HOLLOW) : at % len(HOLLOW) + CHUNK_BYTES]
        return
    yield BEGUN[wire.answers]
    unit = b"x" * CHUNK_BYTES
    for _ in range(size // CHUNK_BYTES):
        yield unit


def one_piece(wire: Wire, size: int) -> tuple[float, float]:
    """Seconds of CPU for the two halves of such an answer."""
    tap, halves = Bounded(wire), []
    tracemalloc.start()
    fed = endless(wire, size)
    for _ in range(2):
        for chunk in itertools.islice(fed, size // CHUNK_BYTES // 2):
            tap.feed(chunk)
        halves.append(tap.taken_s - sum(halves))
    reading = tap.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < PEAK_BYTES
    assert not reading.final or reading.free
    return halves[0], halves[1]


@every_wire
def test_an_answer_of_one_piece_takes_little(wire: Wire) -> None:
    """32 MB of one event, message, line or text."""
    first, second = one_piece(wire, 32 * MB)
    assert second < 3 * first + 0.05


@pytest.mark.heavy
@every_wire
def test_a_gigabyte_of_one_piece_takes_little(wire: Wire, record_property: pytest.FixtureRequest) -> None:
    """The same, of 1 GB: no more memory, and the second half takes as long as the first."""
    first, second = one_piece(wire, 1024 * MB)
    print(f"{wire.dialect} {wire.answers}: {first + second:.1f} s of CPU for 1 GB")
    assert second < 2 * first


def bomb(encoding: str, size: int) -> bytes:
    """So many spaces, encoded."""
    spaces = b" " * MB
    match encoding:
        case "gzip" | "deflate":
            packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
            return b"".join(packer.compress(spaces) for _ in range(size // MB)) + packer.flush()
        case "br":
            squeezer = brotli.Compressor(quality=5)
            return b"".join(squeezer.process(spaces) for _ in range(size // MB)) + squeezer.finish()
        case _:
            pressed = zstandard.ZstdCompressor().compressobj()
            return b"".join(pressed.compress(spaces) for _ in range(size // MB)) + pressed.flush()


GARBAGE = {
    "zeros": b"\0" * (4 * MB),
    "nested": b"\x0a\xff\xff\x7f" * (MB // 4),
    "a message in each": encoded((1, b"\x0a\x02\x0a\x00" * 60)) * 4_096,
    "numbers": b"\x08\x01" * (MB // 2),
    "updates": encoded((1, encoded((1, b"\x0a\x01a" * 40), (8, b"\x08\x01" * 60)))) * 4_000,
    "endless numbers": b"\x08" + b"\xff" * MB,
    "huge lengths": (b"\x0a" + b"\xff" * 9 + b"\x01") * 90_000,
    "texts": encoded((1, b"\x00" + b"a" * 200)) * 4_096,
}
"""Messages of protobuf, or almost, that hold much for their size; they compress to a few kilobytes."""


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("wire", [wire for wire in WIRES if wire.answers == CONNECT], ids=lambda wire: wire.dialect)
def test_a_message_of_garbage_takes_little(wire: Wire, garbage: bytes) -> None:
    """Compressed and not: what a few kilobytes of the wire hold is never read for long."""
    for whole in (envelope(garbage[:MB]), envelope(gzip.compress(garbage[:MB]), COMPRESSED) * 3):
        tap = Bounded(wire)
        tracemalloc.start()
        for chunk in map(bytes, itertools.batched(whole, 4 * 1024)):
            tap.feed(chunk)
        tap.close()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < PEAK_BYTES
    calm = Bounded(wire)
    for chunk in map(bytes, itertools.batched(envelope(gzip.compress(garbage[:MB]), COMPRESSED), 4 * 1024)):
        calm.feed(chunk)
    assert calm.longest_s < SLICE_S


def nonsense(dice: random.Random) -> bytes:
    """A few frames and envelopes of any kind, right or wrong."""
    parts = []
    for _ in range(dice.randint(1, 12)):
        said = dice.choice(
            (dice.randbytes(dice.randint(0, 300)), dice.choice(list(GARBAGE.values()))[:2_000], b"{}", b"null")
        )
        names = dice.sample([":event-type", ":message-type", ":exception-type", "x", ""], 2)
        kinds = dice.choices(["chunk", "metadata", "event", "exception", "error", "é" * 99, ""], k=2)
        match dice.randrange(5):
            case 0:
                parts.append(frame(dict(zip(names, kinds, strict=True)), said))
            case 1:
                broken = bytearray(frame(dict(zip(names, kinds, strict=True)), said))
                broken[dice.randrange(len(broken))] ^= dice.randint(1, 255)
                parts.append(bytes(broken))
            case 2:
                parts.append(envelope(said, dice.randrange(256)))
            case 3:
                parts.append(envelope(gzip.compress(said), COMPRESSED))
            case _:
                parts.append(said)
    return b"".join(parts)


def test_a_wrong_sum_anywhere_in_a_frame_is_told() -> None:
    """Each byte of a frame is under one of its two sums."""
    whole = frame(
        {":event-type": "metadata", ":message-type": "event"}, b'{"usage":{"inputTokens":1,"outputTokens":1}}'
    )
    wire = next(each for each in WIRES if each.dialect == "bedrock-converse")
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        tap = Bounded(wire)
        tap.feed(bytes(damaged))
        assert not tap.close().final
    tap = Bounded(wire)
    tap.feed(whole)
    assert tap.close().final


@pytest.mark.parametrize(
    "seeds", [range(60), pytest.param(range(60, 3_000), marks=pytest.mark.heavy)], ids=["few", "many"]
)
@every_wire
def test_frames_of_nonsense_break_nothing(wire: Wire, seeds: range) -> None:
    """Event streams with right and wrong sums, envelopes with any flag, and what is neither, in any cut."""
    for seed in seeds:
        dice = random.Random(f"{wire.dialect} {seed}")
        tap = Bounded(wire)
        for chunk in pieces(nonsense(dice), seed, dice.choice((1, 9, 700, 70_000))):
            tap.feed(chunk)
        assert tap.close().output_bytes >= 0


HOSTILE = {
    "opened arrays": b"[" * (8 * MB),
    "opened objects": b'{"model":' * (MB // 8),
    "nested messages": b'{"messages":' + b"[" * (4 * MB),
    "one text": b'{"model":"m","messages":[{"role":"user","content":"' + b"x" * (8 * MB) + b'"}]}',
    "one text without an end": b'{"model":"' + b"x" * (8 * MB),
    "one long model": b'{"model":"' + b"m" * MB + b'"}',
    "many keys": b'{"model":"m"' + b',"request":1,"tools":[]' * 60_000 + b"}",
    "numbers": b'{"model":"m","request":{"contents":[' + b"1," * (3 * MB) + b"1]}}",
    "tools of nothing": b'{"model":"m","tools":[' + b"{}," * (MB // 2) + b"{}]}",
    "tools of nothing in an envelope": b'{"model":"m","request":{"tools":[' + b"{}," * (MB // 2) + b"{}]}}",
    "zeros": b"\0" * (8 * MB),
    "not utf-8": b'{"model":"' + b"\xff\xfe" * MB + b'"}',
    "an envelope of a bomb": envelope(bomb("gzip", 64 * MB), COMPRESSED),
    "an envelope that says four gigabytes": b"\x00\xff\xff\xff\xff" + b"x" * MB,
    "an envelope of garbage": envelope(gzip.compress(GARBAGE["a message in each"] * 3), COMPRESSED),
    "an envelope in a message": envelope(encoded((1, b"\x0a\xff\xff\x7f" * (MB // 4)))),
    "an append of garbage": encoded((1, (b"0a02" * MB)), (2, encoded((1, "run-1")))),
    "a form without an end": b'--b0\r\ncontent-disposition: form-data; name="model"\r\n\r\n' + b"m" * (8 * MB),
    "a form of parts": b'--b0\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n' * 100_000,
    "empty": b"",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
@every_wire
def test_a_hostile_request_is_read_in_steps(wire: Wire, body: bytes) -> None:
    """An Ask or a WireError, in steps, with names that fit the ledger."""
    longest, ask = 0.0, None
    steps = DIALECTS[wire.dialect].asking(head(wire), body)
    while ask is None:
        began = time.thread_time()
        try:
            next(steps)
        except StopIteration as end:
            ask = end.value
        except WireError:
            ask = Ask()
        longest = max(longest, time.thread_time() - began)
    for said in (ask.model, ask.session.value, ask.account, ask.agent, ask.parent_agent, ask.service_tier, ask.speed):
        assert said is None or len(said) <= 512
    assert longest < max(STEP_S, STEP_S_PER_MB * len(body) / MB)


@pytest.mark.parametrize("kind", ["message", "fallback_message"])
@pytest.mark.parametrize("count", [900, 12_000])
def test_samplings_without_end_take_time_by_their_number(count: int, kind: str) -> None:
    """A megabyte of them was looked through once for each. So many are no last counts."""
    each = json.dumps({"type": kind, "input_tokens": 1, "output_tokens": 0})
    usage = f'{{"input_tokens":1,"output_tokens":1,"iterations":[{",".join([each] * count)}]}}'
    start = b'data: {"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
    last = b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":' + usage.encode() + b"}\n\n"
    reader = DIALECTS["anthropic-messages"].reader(Ask(), 200, CaseInsensitive({"content-type": "text/event-stream"}))
    began = time.thread_time()
    reader.feed(start)
    reader.feed(last[: len(last) // 2])
    reader.feed(last[len(last) // 2 :])
    reading = reader.close()
    assert time.thread_time() - began < 1
    assert reading.final is (count == 900)
    assert len(reading.parts) <= 1_025


@pytest.mark.parametrize(
    "encoding", ["gzip", "br", "zstd", "deflate", "gzip, br", "x-unknown", "gzip, gzip, gzip, gzip, gzip"]
)
def test_a_body_in_a_wrong_encoding_is_turned_down(encoding: str) -> None:
    """What does not decode is no request; a bomb is one that is too long."""
    with pytest.raises(WireError):
        decode_body(encoding, b'{"model":"m"}' * 100, bytes_max=MB)
    if encoding in ("gzip", "br", "zstd", "deflate"):
        with pytest.raises(WireError):
            decode_body(encoding, bomb(encoding, 64 * MB), bytes_max=MB)


def test_a_message_of_a_socket_that_is_too_long_is_not_read() -> None:
    """32 MB of one message, of a realtime session."""
    wire = next(each for each in WIRES if isinstance(DIALECTS[each.dialect], OverheardDialect))
    dialect = DIALECTS[wire.dialect]
    assert isinstance(dialect, OverheardDialect)
    heard = dialect.overheard(head(wire))
    began = time.thread_time()
    assert heard.from_server(b'{"type":"response.done","response":{"id":"' + b"x" * (32 * MB)) == ()
    assert time.thread_time() - began < STEP_S
