"""Mutated recordings and invented frames, through every dialect's readers and the tap: nothing is raised, every byte passes,
memory stays bounded, and counts that were cut off are never called final ones.

`scripts/test-heavy` runs thousands; each case is told by its seed, so that one that fails can be run again alone.
"""

from __future__ import annotations

import itertools
import random
import tracemalloc
from pathlib import Path

import pytest

from providers.feeding import ENCODERS, JSON, STREAM, head, pieces
from spendgate.capture.tap import Tap
from spendgate.capture.unread import Turns
from spendgate.errors import WireError
from spendgate.providers.ask import Ask
from spendgate.providers.decoding import Decoder
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.reading import Reading

RECORDINGS = Path(__file__).parents[1] / "recordings"
CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
MB = 1024 * 1024
KINDS = (
    STREAM,
    JSON,
    CaseInsensitive({"content-type": "application/vnd.amazon.eventstream"}),
    CaseInsensitive({"content-type": "application/connect+proto", "connect-content-encoding": "gzip"}),
    CaseInsensitive({"content-type": "application/x-ndjson"}),
    CaseInsensitive({}),
)
"""What a response may say that it is, true or not."""
EDGES = (
    b"", b"\0", b"\xff" * 9, b"\x1f\x8b\x08", b"\n\n", b"\r", b"data: ", b"[DONE]", b"[" * 3_000, b'{"a":' * 3_000,
    b'{"usage":{"input_tokens":1e400}}', b'"usage":{', b"9" * 5_000, b"-1", b"\x00\x00\x00\x10\xff\xff\xff\xff",
    b"\x02\x00\x00\x00\x02{}", b"\x01\xff\xff\xff\xff", b'"\\ud800"', b"\xed\xa0\x80", b"NaN", b"null", b"\x0a" + b"\xff" * 10,
)  # fmt: skip


def pool() -> list[bytes]:
    """Everything recorded that is here, of whatever dialect."""
    files = [path for path in RECORDINGS.glob("*/*") if ".expected" not in path.suffixes]
    files += sorted(CORPUS.glob("vercel-ai/packages/*/src/**/*.*"))
    return [path.read_bytes()[:200_000] for path in files if path.is_file()]


POOL = pool()
STILL = Turns(next=lambda _act: None, now_ns=lambda: 0)
"""A clock that stands still: no turn is ever over, and nothing depends on how fast this machine is."""


def mutated(dice: random.Random) -> bytes:
    """One recording, damaged in a few places, with pieces of others put in."""
    data = bytearray(dice.choice(POOL))
    for _ in range(dice.randint(1, 8)):
        at, length = dice.randrange(len(data) + 1), dice.randint(0, 200)
        match dice.randrange(6):
            case 0:
                data[at : at + length] = dice.randbytes(length)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length] * dice.randint(1, 20)
            case 3:
                other = dice.choice(POOL)
                begin = dice.randrange(len(other) + 1)
                data[at:at] = other[begin : begin + dice.randint(0, 4_000)]
            case 4:
                data[at:at] = dice.choice(EDGES)
            case _:
                del data[at:]
    return bytes(data)


def through(dialect: str, seed: int) -> None:
    """One mutated answer through a tap, as capture feeds it."""
    dice = random.Random(f"{dialect} {seed}")
    body, headers = mutated(dice), dice.choice(KINDS)
    encoding = dice.choice(list(ENCODERS))
    sent = ENCODERS[encoding](body)
    if dice.random() < 0.3:
        sent = sent[: dice.randrange(len(sent) + 1)]
    ask = Ask(model="m", streamed=dice.random() < 0.5)
    reader = DIALECTS[dialect].reader(ask, 200, headers)
    tap = Tap(reader, lambda _reading: None, Decoder(encoding), turns=STILL)
    chunks = list(pieces(sent, seed, dice.choice((1, 9, 700, 70_000))))
    assert b"".join(tap(chunk) for chunk in chunks) == sent
    reading = tap.close()
    assert isinstance(reading, Reading)
    assert not any("reader failed" in flag for flag in reading.flags), reading.flags
    assert all(len(flag) < 200 for flag in reading.flags)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_mutated_answers_break_nothing(dialect: str) -> None:
    """Fifty of them, of any dialect, under any content type, encoded and cut."""
    for seed in range(50):
        through(dialect, seed)


@pytest.mark.heavy
@pytest.mark.parametrize("dialect", DIALECTS)
def test_thousands_of_mutated_answers_break_nothing(dialect: str) -> None:
    """Three thousand for each dialect."""
    for seed in range(50, 3_050):
        through(dialect, seed)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_mutated_requests_are_read_or_turned_down(dialect: str) -> None:
    """A request's body is an Ask or a WireError, whatever it holds."""
    for seed in range(50):
        dice = random.Random(f"ask {dialect} {seed}")
        body = mutated(dice)
        try:
            ask = DIALECTS[dialect].ask(head(user_agent="x/1"), body)
        except WireError:
            continue
        assert ask.text_bytes >= 0 and ask.choices >= 1


@pytest.mark.parametrize("headers", KINDS, ids=lambda kind: kind.get("content-type") or "none")
@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_event_without_an_end_takes_little_memory(dialect: str, headers: CaseInsensitive) -> None:
    """Sixty megabytes of one unit, in what may be a frame that announces four gigabytes, take a few."""
    for start, unit in itertools.product((b"", b"\x00\xff\xff\xff\xff", b"data: {", b'{"x":"'), (b"x" * MB, b"[" * MB)):
        reader = DIALECTS[dialect].reader(Ask(streamed=True), 200, headers)
        tracemalloc.start()
        reader.feed(start)
        for _ in range(15):
            reader.feed(unit)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        last = reader.close()
        assert not last.final or last.free  # the answer to an order of a batch costs nothing, whatever it is
        assert peak < 12 * MB


def test_the_fuzzer_has_something_to_mutate() -> None:
    """The recordings are there: without any, nothing above would be tried."""
    assert len(POOL) > 20
