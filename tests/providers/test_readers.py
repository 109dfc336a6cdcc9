"""Readers never raise, never grow, and find the counts of an answer too long to keep."""

from __future__ import annotations

import json
import random
import tracemalloc

import pytest

from providers.feeding import JSON, STREAM, fed, pieces, read
from spendgate.providers.anthropic_usage import CREDITED
from spendgate.providers.ask import Ask
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.openai_usage import usage_of
from spendgate.providers.reading import Reading
from spendgate.providers.sse import EVENT_BYTES_MAX
from spendgate.usage import Usage

MB = 1024 * 1024


@pytest.mark.parametrize("status", [301, 400, 401, 429, 500, 529])
@pytest.mark.parametrize("name", DIALECTS)
def test_errors_are_free(name: str, status: int) -> None:
    """A response that is not a success costs nothing, whatever its body says; its request id is kept."""
    headers = CaseInsensitive({"Request-ID": "req_1", "content-type": "application/json"})
    reading = read(DIALECTS[name].reader(Ask(), status, headers), [b'{"usage":{"prompt_tokens":9}}'])
    assert reading == Reading(request_id="req_1", free=True, final=True)


@pytest.mark.parametrize("headers", [STREAM, JSON], ids=["stream", "json"])
@pytest.mark.parametrize("name", DIALECTS)
def test_garbage_never_raises(name: str, headers: CaseInsensitive) -> None:
    """Random bytes, random JSON and wrong types give a reading that is not final, never an exception."""
    dice = random.Random(name)
    junk = [
        dice.randbytes(5000),
        b"data: " + dice.randbytes(300) + b"\n\n",
        b'data: {"type":"message_start","message":7,"usage":[],"error":1}\n\n',
        b'data: {"type":"message_delta","usage":{"output_tokens":-4,"input_tokens":"many","iterations":[1,null]}}\n\n',
        b'data: {"type":"response.completed","response":{"usage":{"input_tokens":1e99}}}\n\n',
        b'data: {"choices":[null,{"usage":3}],"usage":{"prompt_tokens":true}}\n\n',
        b'{"usage":[[[',
        b"data: [1,2]\n\ndata: null\n\n" * 3,
    ]
    for _ in range(20):
        dice.shuffle(junk)
        reading = read(DIALECTS[name].reader(Ask(), 200, headers), pieces(b"".join(junk), dice.randrange(99), 90))
        assert not reading.final or reading.free
        assert all(len(flag) < 60 for flag in reading.flags)


@pytest.mark.parametrize(
    "unit", [b"x" * MB, b'data: {"a":"' + b"x" * MB], ids=["no line end", "one line after another"]
)
@pytest.mark.parametrize("headers", [STREAM, JSON], ids=["stream", "json"])
@pytest.mark.parametrize("name", DIALECTS)
def test_long_answer_does_not_grow_memory(name: str, headers: CaseInsensitive, unit: bytes) -> None:
    """A hundred megabytes without an event's end take a few."""
    reader = DIALECTS[name].reader(Ask(), 200, headers)
    tracemalloc.start()
    for _ in range(100):
        reader.feed(unit)
    peak = tracemalloc.get_traced_memory()[1]
    reader.close()
    tracemalloc.stop()
    assert peak < 8 * MB


@pytest.mark.parametrize("place", ["first", "last"])
def test_usage_of_a_long_json_answer(place: str) -> None:
    """The counts of an answer too long to keep are found at its start or end; fakes within the answer are not taken."""
    usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
    fake = {"usage": {"prompt_tokens": 999999, "completion_tokens": 1}, "model": "fake"}
    choices = [{"index": i, "message": {"content": "x" * 900}, "args": fake} for i in range(1500)]
    members = {"model": "gpt-5", "usage": usage, "choices": choices}
    if place == "last":
        members = {"model": "gpt-5", "choices": choices, "usage": usage}
    body = json.dumps(members).encode()
    assert len(body) > MB
    reading = read(DIALECTS["openai-chat"].reader(Ask(), 200, JSON), pieces(body, 1, 60_000))
    assert [part.usage for part in reading.parts] == [Usage(input_tokens=11, output_tokens=5)]
    assert (reading.model, reading.final) == ("gpt-5", True)


def test_long_embeddings_answer() -> None:
    """Embeddings stand before their counts, megabytes of them."""
    data = [{"object": "embedding", "index": i, "embedding": [0.123456] * 1500} for i in range(120)]
    body = json.dumps({"object": "list", "data": data, "model": "e", "usage": {"prompt_tokens": 8, "total_tokens": 8}})
    assert len(body) > MB
    reading = fed(DIALECTS["openai-embeddings"], body.encode(), stream=False)
    assert [part.usage for part in reading.parts] == [Usage(input_tokens=8, output_tokens=0)]


def test_last_event_of_a_long_response() -> None:
    """`response.completed` repeats the whole answer: its counts are read also when it is too long to keep."""
    usage = {"input_tokens": 21, "output_tokens": 9, "total_tokens": 30}
    nested = {"usage": {"input_tokens": 5}, "id": "fake"}
    output = [{"type": "image_generation_call", "result": "A" * (EVENT_BYTES_MAX + MB), "extra": nested}]
    response = {
        "id": "resp_1",
        "status": "completed",
        "model": "gpt-5",
        "output": output,
        "metadata": nested,
        "usage": usage,
    }
    created = {"type": "response.created", "response": {"id": "resp_1", "model": "gpt-5", "status": "in_progress"}}
    done = {"type": "response.completed", "response": response, "sequence_number": 4}
    wire = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (created, done))
    reading = read(DIALECTS["openai-responses"].reader(Ask(), 200, STREAM), pieces(wire, 2, 60_000))
    assert [part.usage for part in reading.parts] == [Usage(input_tokens=21, output_tokens=9)]
    assert (reading.model, reading.response_id, reading.final, reading.ended) == ("gpt-5", "resp_1", True, True)


def test_feed_tells_when_counts_change() -> None:
    """`feed` is True at the first counts and at each change, and only then."""
    reader = DIALECTS["anthropic-messages"].reader(Ask(), 200, STREAM)
    usage = {"input_tokens": 3, "output_tokens": 1}
    start = {"type": "message_start", "message": {"id": "m", "model": "c", "usage": usage}}
    text = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "abc"}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 8}}
    said = [reader.feed(b"data: " + json.dumps(event).encode() + b"\n\n") for event in (start, text, text, end, end)]
    assert said == [True, False, False, True, False]
    assert reader.reading().output_bytes == 6


@pytest.mark.parametrize("usage", [{}, {"usage": None}], ids=["no usage", "usage null"])
@pytest.mark.parametrize(
    ("streamed", "free"),
    [
        pytest.param((), True, id="nothing"),
        pytest.param(({"type": "content_block_start", "content_block": {"type": "tool_use"}},), False, id="a block"),
        pytest.param(({"type": "content_block_delta", "delta": {"text": "abc"}},), False, id="text"),
    ],
)
def test_an_error_after_output_is_not_free(streamed: tuple[object, ...], free: bool, usage: dict[str, None]) -> None:
    """An Anthropic stream that ends in an error costs nothing only where nothing was begun, counted or not."""
    start = {"type": "message_start", "message": {"id": "m", "model": "c", **usage}}
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    wire = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (start, *streamed, error))
    reading = fed(DIALECTS["anthropic-messages"], wire, stream=True)
    assert (reading.free, reading.final, reading.ended, reading.parts) == (free, False, True, ())


def test_a_response_without_status_ends_with_its_last_event() -> None:
    """A Responses stream of a compatible host that leaves `status` out is not over at `response.created`, counts or not."""
    usage = {"input_tokens": 1000, "output_tokens": 1000}
    reader = DIALECTS["openai-responses"].reader(Ask(), 200, STREAM)
    read = []
    for kind, counts in (
        ("created", {}),
        ("in_progress", {"input_tokens": 0, "output_tokens": 0}),
        ("completed", usage),
    ):
        event = {"type": f"response.{kind}", "response": {"id": "r1", "usage": counts or None}}
        reader.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
        read.append((reader.reading().ended, reader.reading().final))
    assert read == [(False, False), (False, False), (True, True)]
    assert reader.close().parts[0].usage == Usage(input_tokens=1000, output_tokens=1000)


def test_counts_after_an_error_are_not_free() -> None:
    """A Responses stream whose error came before any output costs what its last event counts."""
    failed = {"id": "r1", "status": "failed", "usage": {"input_tokens": 9, "output_tokens": 9}}
    events = ({"type": "error", "code": "x"}, {"type": "response.failed", "response": failed})
    wire = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    reading = fed(DIALECTS["openai-responses"], wire, stream=True)
    assert (reading.free, reading.final, len(reading.parts)) == (False, True, 1)


STARTED = {"id": "m", "model": "c", "usage": {"input_tokens": 3, "output_tokens": 1}}


@pytest.mark.parametrize(
    ("usage", "final"),
    [
        ({"output_tokens": 9000}, True),
        ({"output_tokens": 0}, True),
        ({}, False),
        (None, False),
        ({"output_tokens": 9000.0}, False),
        ({"output_tokens": "9000"}, False),
        ({"output_tokens": None}, False),
        ({"input_tokens": 3}, False),
    ],
    ids=["count", "zero", "nothing", "null", "fraction", "text", "null count", "input alone"],
)
def test_the_first_events_output_is_never_the_last(usage: dict[str, object] | None, final: bool) -> None:
    """Anthropic's first event counts what was begun: without a last count that can be read, a stream is flagged, not final."""
    events = [
        {"type": "message_start", "message": STARTED},
        {"type": "content_block_start", "content_block": {"type": "text"}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "word " * 4000}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]
    wire = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    reading = fed(DIALECTS["anthropic-messages"], wire, stream=True)
    assert (reading.final, reading.flags) == (final, () if final else ("the last counts are missing",))
    assert reading.parts[0].usage.input_tokens == 3


@pytest.mark.parametrize(
    ("last", "final"),
    [
        ({"completion_tokens": 9, "prompt_tokens": 5}, True),
        ({"completion_tokens": 9.0, "prompt_tokens": 5}, False),
        ({"completion_tokens": "9", "prompt_tokens": 5}, False),
        ({"prompt_tokens": 5}, False),
        ({}, False),
        (None, False),
        ([], False),
    ],
    ids=["count", "fraction", "text", "input alone", "nothing", "null", "list"],
)
def test_counts_of_a_part_of_an_answer_are_not_final(last: object, final: bool) -> None:
    """A chat host that counts with each chunk, and not readably after the last text, has not counted that text."""
    counted = {"completion_tokens": 1, "prompt_tokens": 5}
    choices = [[{"index": 0, "delta": {"content": "some text"}}]] * 2 + [[{"index": 0, "finish_reason": "stop"}]]
    usages = [counted, None, last]
    events = [json.dumps({"choices": one, "usage": usage}) for one, usage in zip(choices, usages, strict=True)]
    wire = b"".join(b"data: " + event.encode() + b"\n\n" for event in (*events, "[DONE]"))
    assert fed(DIALECTS["openai-chat"], wire, stream=True).final is final


@pytest.mark.parametrize("count", [9000.0, "9000", None, True], ids=["fraction", "text", "null", "flag"])
@pytest.mark.parametrize("dialect", ["anthropic-messages", "openai-chat", "openai-responses", "openai-embeddings"])
def test_a_whole_answer_with_a_count_that_cannot_be_read_is_not_final(dialect: str, count: object) -> None:
    """What is not a whole number is not a count, and without it nothing is the provider's last word."""
    words = {"openai-chat": "completion_tokens", "openai-embeddings": "prompt_tokens"}
    usage = {"input_tokens": 3, "prompt_tokens": 3, words.get(dialect, "output_tokens"): count}
    if dialect == "openai-embeddings":
        del usage["input_tokens"]
    body = json.dumps({"id": "x", "status": "completed", "model": "m", "usage": usage}).encode()
    assert not fed(DIALECTS[dialect], body, stream=False).final


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2}, Usage(input_tokens=5, output_tokens=2)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}, Usage(input_tokens=0, cache_read_tokens=5)),
        ({"prompt_tokens": 9, "num_cached_tokens": 4}, Usage(input_tokens=5, cache_read_tokens=4)),
        ({"prompt_tokens": 9, "cached_tokens": 4, "prompt_tokens_details": {"cached_tokens": 4}},
         Usage(input_tokens=5, cache_read_tokens=4)),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 0}, Usage(input_tokens=9, cache_read_tokens=0)),
        ({"input_tokens": 9, "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3}},
         Usage(input_tokens=4, cache_read_tokens=2, cache_write_tokens=3)),
        ({"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 303,
          "completion_tokens_details": {"reasoning_tokens": 290}},
         Usage(input_tokens=12, output_tokens=291, reasoning_tokens=290)),
        ({"prompt_tokens": 12, "completion_tokens": 291, "total_tokens": 303,
          "completion_tokens_details": {"reasoning_tokens": 290}},
         Usage(input_tokens=12, output_tokens=291, reasoning_tokens=290)),
        ({}, Usage()),
    ],
    ids=["plain", "more cached than input", "beside", "in two places", "none hit", "written", "reasoning apart",
         "reasoning within", "nothing"],
)  # fmt: skip
def test_openai_counts_are_disjoint(found: dict[str, object], expected: Usage) -> None:
    """Cached input and reasoning are counted once, wherever a host puts them; a missing count is not a zero."""
    assert usage_of(found) == expected


@pytest.mark.parametrize(
    ("credit", "writes", "flags"),
    [
        ({"status": {"type": "redeemed"}}, 9, (CREDITED,)),
        ({"status": {"type": "redeemed"}}, 0, ()),
        ({"status": {"type": "not_applied", "reason": "expired"}}, 9, ()),
        (None, 9, ()),
    ],
)
def test_a_redeemed_credit_is_told(credit: object, writes: int, flags: tuple[str, ...]) -> None:
    """How many of the cache writes cost less stands nowhere, so they are counted as they are, and the row says so."""
    split = {"ephemeral_5m_input_tokens": writes, "ephemeral_1h_input_tokens": 0}
    usage = {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": writes, "cache_creation": split}
    whole = {
        "id": "m",
        "model": "x",
        "content": [],
        "stop_reason": "end_turn",
        "usage": usage | {"fallback_credit": credit},
    }
    start = {"type": "message_start", "message": {"id": "m", "model": "x", "usage": usage}}
    last = {"output_tokens": 1, "fallback_credit": credit}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": last}
    wire = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in (start, end, {"type": "message_stop"}))
    messages = DIALECTS["anthropic-messages"]
    for reading in (fed(messages, json.dumps(whole).encode(), stream=False), fed(messages, wire, stream=True)):
        assert (reading.flags, reading.final, reading.parts[0].usage.writes) == (flags, True, writes)
