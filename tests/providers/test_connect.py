"""Connect streams in any cut: envelopes, their ends, bombs and garbage; refusals and cuts in Connect's own form."""

from __future__ import annotations

import base64
import gzip
import json
import random
import time
import tracemalloc
import zlib

import pytest

from providers.connect_frames import STREAM, call, frame, last, msg, text
from providers.feeding import pieces
from providers.taking import LINEAR, TRIES, growth, yardstick
from spendgate.errors import WireError
from spendgate.providers.ask import Ask
from spendgate.providers.connect import FIRST_BYTES_MAX, KEPT_BYTES_MAX, BetweenEnvelopes, Envelopes, first_message
from spendgate.providers.cursor import Cursor
from spendgate.providers.cursor_answers import TextReader
from spendgate.providers.decoding import PIECE_BYTES_MAX
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Notice
from spendgate.providers.jsonscan import at_once

NOTICE = Notice("Budget person/day is spent. Ask in #ai-budget.", "spent", request_id="c1")
RUN = "/agent.v1.AgentService/Run"


def test_envelopes_in_any_cut() -> None:
    """Whole, byte by byte and cut at random, a stream holds the same envelopes, compressed or not."""
    payloads = [b"", b"x", b"hello" * 100, b"\x00" * 70_000]
    data = b"".join(frame(payload, flags) for payload in payloads for flags in (0, 1)) + last()
    want = [(False, payload) for payload in payloads for _ in range(2)] + [(True, b"{}")]
    cuts = [
        [data],
        [bytes([byte]) for byte in data[:3000]] + [data[3000:]],
        *(list(pieces(data, seed)) for seed in range(20)),
    ]
    for chunks in cuts:
        envelopes = Envelopes("gzip")
        found = [each for chunk in chunks for each in envelopes.feed(chunk)]
        assert [(each.end, each.data) for each in found] == want


def test_a_bomb_and_a_giant_are_passed_over() -> None:
    """What decompresses or is longer than what is kept is counted by its size; what follows it is read."""
    bomb = gzip.compress(b"\0" * 200_000_000)
    giant = b"x" * (KEPT_BYTES_MAX + 1)
    stream = bytes([1]) + len(bomb).to_bytes(4, "big") + bomb + frame(giant) + frame(b"after")
    envelopes = Envelopes("gzip")
    tracemalloc.start()
    found = [each for chunk in pieces(stream, 1, 60_000) for each in envelopes.feed(chunk)]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [each.data for each in found] == [None, None, b"after"]
    assert [each.size for each in found] == [len(bomb), len(giant), 5]
    assert most < 4 * KEPT_BYTES_MAX


def test_an_envelope_of_a_gigabyte_takes_no_memory() -> None:
    """Its bytes are counted as they pass; the next envelope is read."""
    size = 1 << 30
    chunk = b"x" * 65536
    reader = TextReader(STREAM, lambda: 0)
    tracemalloc.start()
    reader.feed(b"\0" + size.to_bytes(4, "big"))
    for _ in range(size // len(chunk)):
        reader.feed(chunk)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    reader.feed(frame(msg(f1="after")) + last())
    assert most < KEPT_BYTES_MAX
    assert reader.close().output_bytes == KEPT_BYTES_MAX + len("after")


def test_ends_of_envelopes() -> None:
    """A stream may be cut exactly where an envelope ends, and not behind its own last one."""
    parts = [frame(b"a" * 10), frame(b""), frame(b"b" * 300)]
    data = b"".join(parts)
    ends = {0, len(parts[0]), len(parts[0]) + len(parts[1]), len(data)}
    for at in range(len(data) + 1):
        passed = BetweenEnvelopes()
        passed.passed(data[:at])
        assert (passed.whole(b"") == 0) == (at in ends)
        assert passed.whole(data[at:]) == len(data) - at
        if at not in ends:
            after = min(end for end in ends if end > at)
            assert passed.whole(data[at : after - 1]) is None
            assert passed.whole(data[at : after + 3]) == after - at
    passed = BetweenEnvelopes()
    passed.passed(data + last())
    assert passed.whole(b"") is None


@pytest.mark.parametrize("name", ["cursor", "windsurf"])
def test_random_bytes_are_read_by_nobody(name: str) -> None:
    """Any bytes as request and as answer: no exception but the one that is meant, bounded time, and a count of what passed."""
    dice = random.Random(7)
    for _ in range(300):
        size = dice.choice([0, 1, 4, 5, 6, 50, 3000])
        body = dice.randbytes(size) if dice.random() < 0.5 else frame(dice.randbytes(size), dice.choice([0, 1]))
        spoken = DIALECTS[name].spoken(call(RUN, connect_content_encoding=dice.choice(["gzip", "br", ""])))  # type: ignore[attr-defined]
        spoken.begun(body)
        spoken.ready(body)
        spoken.upload(body)
        try:
            spoken.ask(spoken.head, body)
        except WireError:
            pass
        reader = spoken.reader(Ask(), 200, STREAM)
        for chunk in pieces(dice.randbytes(5000) + body, 3):
            reader.feed(chunk)
        reading = reader.close()
        assert not any(flag.startswith("reader failed") for flag in reading.flags)
        assert not reading.final


def test_a_flood_of_empty_envelopes_takes_bounded_time() -> None:
    """A megabyte of the smallest envelopes, which hold nothing, takes time by its length."""

    def read(envelopes: int) -> None:
        reader = TextReader(STREAM, lambda: 0)
        reader.feed(frame(b"") * envelopes)
        assert reader.close().output_bytes == 0

    assert growth(read, 50_000) < LINEAR


def test_the_first_message_is_known_by_its_length() -> None:
    """A request is decided when its first envelope is there, whole; of one that is too long, on its beginning."""
    message = msg(f1=msg(f5="conversation", f9=msg(f1="composer-2.5")))
    for flags in (0, 1):
        body = frame(message, flags) + frame(b"later")
        size = len(frame(message, flags))
        spoken = Cursor().spoken(call(RUN, connect_content_encoding="gzip"))
        assert next(at for at in range(len(body)) if spoken.begun(body[:at])) == size
        assert at_once(first_message(body, "gzip")) == (message, True)
        assert spoken.ask(call(RUN), body).model == "composer-2.5"


@pytest.mark.parametrize("name", ["cursor", "windsurf"])
def test_steps_give_the_same_ask(name: str) -> None:
    """`asking` gives what `ask` gives, and takes a step for each piece that it decompresses."""
    body = frame(msg(f1=msg(f5="conv-1", f9=msg(f1="composer-2.5")), f21="swe-1", f30=b"\0" * 300_000), 1)
    head = call(RUN, connect_content_encoding="gzip")
    dialect = DIALECTS[name]
    steps, count = dialect.asking(head, body), 0
    while True:
        try:
            next(steps)
            count += 1
        except StopIteration as end:
            assert end.value == dialect.ask(head, body)
            assert end.value.model in ("composer-2.5", "swe-1")
            break
    assert count >= 4


def test_a_first_message_that_is_a_bomb() -> None:
    """A small message that grows without end is decompressed to a bound, a piece in a step, and read in short ones."""
    bomb = gzip.compress(b"\0" * 300_000_000)
    body = bytes([1]) + len(bomb).to_bytes(4, "big") + bomb
    spoken = Cursor().spoken(call(RUN, connect_content_encoding="gzip"))
    assert spoken.begun(body)

    def longest() -> float:
        steps, count, most = spoken.asking(call(RUN), body), 0, 0.0
        while True:
            before = time.thread_time()
            try:
                next(steps)
            except StopIteration as end:
                assert (end.value.model, end.value.text_bytes) == (None, FIRST_BYTES_MAX)
                assert count >= FIRST_BYTES_MAX // PIECE_BYTES_MAX
                return most
            count, most = count + 1, max(most, time.thread_time() - before)

    assert any(longest() < yardstick() for _ in range(TRIES))


def test_a_refused_stream_is_one_last_envelope() -> None:
    """HTTP 200 with the request's own content type, or an event stream where the method answers so; the message whole."""
    for path, sent, got in [
        (RUN, "application/connect+proto", "application/connect+proto"),
        (RUN, "application/connect+json; charset=utf-8", "application/connect+json"),
        (RUN, "", "application/connect+proto"),
        (f"{RUN}SSE", "application/connect+proto", "text/event-stream"),
    ]:
        answer = Cursor().spoken(call(path, sent)).refusal(NOTICE, "cursor", strict=True)
        assert (answer.status, dict(answer.headers)) == (200, {"content-type": got, "x-request-id": "c1"})
        [envelope] = Envelopes(None).feed(answer.body)
        assert envelope.end
        error = json.loads(envelope.data or b"")["error"]
        assert (error["code"], error["message"]) == ("resource_exhausted", NOTICE.message)
        [detail] = error["details"]
        assert (detail["type"], "=" in detail["value"]) == ("aiserver.v1.ErrorDetails", False)
        shown = base64.b64decode(detail["value"] + "==")
        assert shown == msg(f1=29, f2=msg(f1="Spendgate", f2=NOTICE.message, f4=0, f5=0, f6=1), f3=1)


def test_a_refused_unary_call_is_a_status() -> None:
    """A call without a stream carries 429, and Connect's JSON."""
    path = "/aiserver.v1.BidiService/BidiAppend"
    spoken = Cursor().spoken(call(path, "application/proto"))
    answer = spoken.refusal(NOTICE, "cursor")
    assert (answer.status, dict(answer.headers)["content-type"]) == (429, "application/json")
    assert json.loads(answer.body)["message"] == NOTICE.message
    assert spoken.error(413, "too long").status == 413
    assert not spoken.streamed


def test_a_cut_is_the_last_envelope() -> None:
    """The client reads it as the end of the stream, also where the stream is compressed."""
    [envelope] = Envelopes("gzip").feed(Cursor().spoken(call(RUN)).cut(NOTICE))
    assert envelope.end
    assert json.loads(envelope.data or b"")["error"]["code"] == "resource_exhausted"


def test_only_plain_streams_are_added_to() -> None:
    """A stream inside a content-encoding, or one whose length is told, is broken off rather than added to."""
    spoken = Cursor().spoken(call(RUN))
    kind = {"content-type": "text/event-stream"}
    assert spoken.boundaries(CaseInsensitive(kind)) is not None
    assert spoken.boundaries(CaseInsensitive({**kind, "content-encoding": "gzip"})) is None
    assert spoken.boundaries(CaseInsensitive({**kind, "content-length": "7"})) is None
    assert spoken.boundaries(CaseInsensitive({"content-type": "application/proto"})) is None


def test_the_providers_own_refusal_is_free() -> None:
    """An error before any output cost nothing; after output it did."""
    for before, free in [(b"", True), (frame(text("some")), False)]:
        reader = TextReader(STREAM, lambda: 0)
        reader.feed(before + last({"code": "resource_exhausted", "message": "no"}))
        assert reader.close().free is free


def test_a_broken_compression_is_counted() -> None:
    """A compressed message that cannot be read is counted by its size and flagged."""
    packed = zlib.compress(b"not gzip")
    reader = TextReader(STREAM, lambda: 0)
    reader.feed(bytes([1]) + len(packed).to_bytes(4, "big") + packed)
    reading = reader.close()
    assert reading.output_bytes == len(packed)
    assert len(reading.flags) == 1
