"""What an attacker, or a broken server, may send over each wire: frames and messages of nonsense, requests without an end
(`test_vast`: answers without one, and bombs). Every byte passes, nothing is raised, memory is bounded, and time goes with what
came.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import random
import time
import tracemalloc
import zlib

import brotli
import pytest
import zstandard

from load.wires import CONNECT, WIRES, Wire, envelope
from providers import feeding
from providers.feeding import pieces
from providers.taking import LINEAR, growth, yardstick
from providers.tapped import PEAK_BYTES, Bounded, head
from providers.test_fuzz import MB
from sampling import one_in
from spendgate.errors import WireError
from spendgate.providers.ask import Ask
from spendgate.providers.connect import COMPRESSED
from spendgate.providers.decoding import decode_body
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.eventstream import frame
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.protobuf import encoded
from spendgate.providers.reading import Reading

SLICE_S = 0.05
"""Of the CPU, for the 4 KB that a tap reads at once, however much they hold when they are decompressed."""
STEP = 6.0
STEP_PER_MB = 2.0
"""CPU of the longest step of reading a request, in yardsticks, so that a busy or a slow machine, which stretches both, decides
nothing: others' streams wait as long. What stands in an envelope is parsed in one."""
EACH = {f"{wire.dialect} {wire.answers}": wire for wire in WIRES}
every_wire = pytest.mark.parametrize("wire", EACH.values(), ids=EACH)


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
    "opened members": b'{"a":' * MB,
    "nested messages": b'{"messages":' + b"[" * (4 * MB),
    "one text": b'{"model":"m","messages":[{"role":"user","content":"' + b"x" * (8 * MB) + b'"}]}',
    "one text without an end": b'{"model":"' + b"x" * (8 * MB),
    "one long model": b'{"model":"' + b"m" * (8 * MB) + b'"}',
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


def _asked(wire: Wire, body: bytes) -> tuple[Ask, float]:
    """What the dialect reads off a request, and its longest step, in seconds of this thread's CPU."""
    longest = 0.0
    steps = DIALECTS[wire.dialect].asking(head(wire), body)
    while True:
        ask, began = None, time.thread_time()
        try:
            next(steps)
        except StopIteration as end:
            ask = end.value
        except WireError:
            ask = Ask()
        longest = max(longest, time.thread_time() - began)
        if ask is not None:
            return ask, longest


@pytest.mark.parametrize(("wire", "body"), one_in(3, EACH, HOSTILE))
def test_a_hostile_request_is_read_in_steps(wire: Wire, body: bytes) -> None:
    """An Ask or a WireError, in steps, with names that fit the ledger.

    A step that is too long by its own doing is so every time; a collection of all the garbage of a test run is not.
    """
    ask, longest = _asked(wire, body)
    for said in (ask.model, ask.session.value, ask.account, ask.agent, ask.parent_agent, ask.service_tier, ask.speed):
        assert said is None or len(said) <= 512
    most = max(STEP, STEP_PER_MB * len(body) / MB)
    assert longest < most * yardstick() or any(_asked(wire, body)[1] < most * yardstick() for _ in range(4))


@pytest.mark.parametrize("kind", ["message", "fallback_message"])
@pytest.mark.parametrize("count", [900, 12_000])
def test_samplings_without_end_take_time_by_their_number(count: int, kind: str) -> None:
    """A megabyte of them was looked through once for each. So many are no last counts."""
    each = json.dumps({"type": kind, "input_tokens": 1, "output_tokens": 0})
    start = b'data: {"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":1,"output_tokens":1}}}\n\n'

    def read(samplings: int) -> Reading:
        usage = f'{{"input_tokens":1,"output_tokens":1,"iterations":[{",".join([each] * samplings)}]}}'
        last = b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":' + usage.encode() + b"}\n\n"
        reader = DIALECTS["anthropic-messages"].reader(
            Ask(), 200, CaseInsensitive({"content-type": "text/event-stream"})
        )
        for piece in (start, last[: len(last) // 2], last[len(last) // 2 :]):
            reader.feed(piece)
        return reader.close()

    reading = read(count)
    assert reading.final is (count == 900)
    assert len(reading.parts) <= 1_025
    assert growth(read, count // 4) < LINEAR


@pytest.mark.parametrize("body", [b"", b"{}", b'{"model":"m"}', b"\x01\0\0\0\x05hello", b"\xff" * 9])
@every_wire
def test_a_request_under_anothers_head_is_read_or_turned_down(wire: Wire, body: bytes) -> None:
    """A path, a content type and an encoding that are not the dialect's."""
    with contextlib.suppress(WireError):
        ask = DIALECTS[wire.dialect].ask(feeding.head(), body)
        assert len(ask.model or "") <= 512


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
