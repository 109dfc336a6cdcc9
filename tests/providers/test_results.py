"""Readers of results: recorded background responses, and files of batches in every delivery, of any length."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from providers.feeding import JSON, STREAM, head, pieces
from spendgate.providers.batches import ASSUMED
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Dialect, Head, ResultReader
from spendgate.providers.reading import Result
from spendgate.providers.results import RESULTS_MAX

CASSETTES = Path(__file__).parents[3] / "shared/corpus/pydantic-ai/tests/models/cassettes/test_openai_responses"
BACKGROUND = sorted(CASSETTES.glob("test_background_mode*.yaml"))
LINES = CaseInsensitive({"Content-Type": "application/x-jsonl"})
MESSAGES, FILES = "/v1/messages/batches/msgbatch_1/results", "/v1/files/file-1/content"


def reader(dialect: str, path: str, headers: CaseInsensitive, status: int = 200) -> ResultReader:
    """A reader of results."""
    found: Any = DIALECTS[dialect]
    asked: Head = head("GET", path)
    made: ResultReader = found.results(asked, status, headers)
    return made


def given(reads: ResultReader, chunks: Any) -> list[Result]:
    """All results of these chunks."""
    found = [result for chunk in chunks for result in reads.feed(chunk)]
    return [*found, *reads.close()]


@pytest.mark.skipif(not BACKGROUND, reason="the corpus of public recordings is not at ../shared/corpus")
@pytest.mark.parametrize("path", BACKGROUND, ids=lambda path: path.stem)
def test_recorded_background_responses(path: Path) -> None:
    """Each recorded poll or stream gives the counts that it holds itself, once it is completed, however it is cut."""
    seen = 0
    for one in yaml.safe_load(path.read_text())["interactions"]:
        if one["request"]["method"] != "GET":
            continue
        response, target = one["response"], urlsplit(one["request"]["uri"]).path
        parsed = response.get("parsed_body")
        wire = json.dumps(parsed).encode() if parsed else response["body"]["string"]
        wire = wire.encode() if isinstance(wire, str) else wire
        headers = JSON if parsed else STREAM
        documents = [parsed] if parsed else _documents(wire)
        last = [document for document in documents if document and document["status"] not in ("queued", "in_progress")]
        for chunks in ([wire], [wire[at : at + 1] for at in range(len(wire))], pieces(wire, 3)):
            results = given(reader("openai-responses", target, headers), chunks)
            assert len(results) == len(last)
            for result, document in zip(results, last, strict=True):
                usage, ours = document["usage"], result.reading.parts[0].usage
                cached = usage["input_tokens_details"]["cached_tokens"]
                assert (ours.input_tokens, ours.cache_read_tokens) == (usage["input_tokens"] - cached, cached)
                assert ours.output_tokens == usage["output_tokens"]
                assert (result.reading.background, result.reading.response_id) == (True, document["id"])
                assert (result.key, result.awaited) == (f"response {document['id']}", True)
        seen += len(last)
        cut = given(reader("openai-responses", target, headers), [wire[: len(wire) // 2]])
        assert cut == []
    assert seen


def _documents(wire: bytes) -> list[Any]:
    """Every `response` of a recorded stream."""
    data = [line[6:] for line in wire.splitlines() if line.startswith(b"data: ") and b'"response"' in line]
    return [json.loads(one).get("response") for one in data]


def message(number: int, text: str = "hi") -> dict[str, Any]:
    """A line of a batch of messages, as Anthropic documents it."""
    split = {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}
    usage = {"input_tokens": 100 + number, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 7}
    usage |= {"output_tokens": 9, "cache_creation": split, "service_tier": "batch"}
    answer = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6"}
    body = {**answer, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "usage": usage}
    return {"custom_id": f"mine {number}", "result": {"type": "succeeded", "message": body}}


def body(number: int, text: str = "hi") -> dict[str, Any]:
    """A line of an output file, as OpenAI documents it; each third one of another endpoint."""
    counts, cached, model = 100 + number, {"cached_tokens": 7}, "gpt-5.1"
    usage: dict[str, Any] = {"prompt_tokens": counts, "prompt_tokens_details": cached, "completion_tokens": 9}
    whole: dict[str, Any] = {"id": f"chatcmpl-{number}", "object": "chat.completion", "choices": [text]}
    if number % 3 == 1:
        usage = {"input_tokens": counts, "input_tokens_details": cached, "output_tokens": 9}
        whole = {"id": f"resp_{number}", "object": "response", "status": "completed", "output": [{"text": text}]}
    elif number % 3 == 2:
        usage, whole, model = {"prompt_tokens": counts}, {"object": "list", "data": [text]}, "text-embedding-3-small"
    whole |= {"model": model, "usage": usage}
    response = {"status_code": 200, "request_id": "req_1", "body": whole}
    return {"id": f"batch_req_{number}", "custom_id": f"mine {number}", "response": response, "error": None}


def test_a_deferred_chat_is_known_by_its_request() -> None:
    """It is answered by an id alone, under which the answer is read: nothing while it is not there."""
    chat = DIALECTS["openai-chat"]
    ask = chat.ask(head(path="/v1/chat/completions"), b'{"model":"grok-4.5","messages":[],"deferred":true}')
    ordered = chat.reader(ask, 200, JSON)
    ordered.feed(b'{"request_id":"f15c"}')
    assert (ask.background, ordered.close().response_id) == (True, "f15c")
    path, usage = "/v1/chat/deferred-completion/f15c", {"prompt_tokens": 27, "completion_tokens": 48}
    wire = json.dumps({"id": "c016", "model": "grok-4.5", "choices": [], "usage": usage}).encode()
    assert (
        given(reader("chat-deferred", path, JSON, 202), [b""])
        == given(reader("chat-deferred", path, JSON), [b""])
        == []
    )
    (result,) = given(reader("chat-deferred", path, JSON), pieces(wire, 3))
    assert (result.key, result.awaited, result.reading.background) == ("response f15c", True, True)
    assert result.reading.parts[0].usage.output_tokens == 48


UNBILLED = [
    {"custom_id": "a", "result": {"type": "errored", "error": {"type": "invalid_request", "message": "x" * 90}}},
    {"custom_id": "b", "result": {"type": "expired"}, "more": "x" * 90},
    {"id": "batch_req_x", "custom_id": "c", "response": None, "error": {"code": "batch_expired", "message": "x" * 90}},
    {"id": "batch_req_y", "custom_id": "d", "response": {"status_code": 400, "body": {"error": {"message": "x" * 90}}}},
    {"messages": [{"role": "user", "content": "a line of a file for fine tuning " * 4}]},
    ["not an object", "x" * 90],
]
LONG = 'a word or two \\" { [ \n ' * 20_000


@pytest.mark.parametrize(
    ("dialect", "path", "line"), [("anthropic-batches", MESSAGES, message), ("openai-batches", FILES, body)]
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""], ids=["newline", "crlf", "no end"])
def test_each_line_of_a_batch_is_a_result(dialect: str, path: str, line: Any, end: bytes) -> None:
    """Whole, by the byte, cut anywhere, with long answers and with lines that cost nothing between them."""
    lines = [line(0), *UNBILLED, line(1), line(2, LONG), line(3), line(4, LONG), line(5)]
    wire = (end or b"\n").join(json.dumps(each).encode() for each in lines) + end
    expected = [(100 + number, 9) for number in range(6)]
    for chunks in ([wire], pieces(wire, 1), pieces(wire, 2, 70_000), [wire[:-1], wire[-1:]]):
        found = given(reader(dialect, path, LINES), chunks)
        counts = [
            (part.usage.input_total, part.usage.output_tokens) for result in found for part in result.reading.parts
        ]
        if line is message:
            expected = [(100 + number + 12, 9) for number in range(6)]
        assert [one for one, _ in counts] == [one for one, _ in expected]
        assert {result.reading.parts[0].context["processing"] for result in found} == {"batch"}
        assert len({result.key for result in found}) == 6
        assert not any(result.awaited for result in found)
    short = b"\n".join(json.dumps(each).encode() for each in (line(0), line(1)))
    assert len(given(reader(dialect, path, LINES), [short[at : at + 1] for at in range(len(short))])) == 2


@pytest.mark.parametrize("custom_id", ["x" * 600, 7, "", None])
def test_a_line_is_known_by_its_own_id(custom_id: Any) -> None:
    """What a person called a request may be anything; the line has an id of OpenAI's own."""
    wire = json.dumps(body(0) | {"custom_id": custom_id}).encode()
    (result,) = given(reader("openai-batches", FILES, LINES), [wire])
    assert result.key == given(reader("openai-batches", FILES, LINES), [json.dumps(body(0)).encode()])[0].key


@pytest.mark.parametrize("size", [4, 3_000_000], ids=["short", "long"])
def test_images_of_a_batch_are_counted_as_images(size: int) -> None:
    """Their line names no model: the dearest that makes images is taken, which the row says; so is what has drawn one as text."""
    usage = {"input_tokens": 50, "output_tokens": 4160, "input_tokens_details": {"image_tokens": 20, "text_tokens": 30}}
    drawn = {"model": "gpt-5.1", "input_tokens": 7, "output_tokens": 8, "reasoning_tokens": 0, "total_tokens": 15}
    answer = {"created": 1, "data": [{"b64_json": "A" * size}], "usage": usage, "svg_usage": drawn}
    line = {"id": "batch_req_1", "custom_id": "a", "response": {"status_code": 200, "body": answer}}
    (result,) = given(reader("openai-batches", FILES, LINES), [json.dumps(line).encode() + b"\n"])
    image, text = result.reading.parts
    assert (image.model, dict(image.units)) == ("gpt-image-1", {"input_image_tokens": 20, "output_image_tokens": 4160})
    assert (text.model, text.usage.input_tokens, text.usage.output_tokens) == ("gpt-5.1", 7, 8)
    assert image.context == text.context == {"processing": "batch"}
    assert (result.reading.final, result.reading.flags) == (True, (ASSUMED,))


@pytest.mark.parametrize(("status", "count"), [("queued", 0), ("in_progress", 0), ("completed", 1), (None, 1)])
def test_a_poll_before_the_end_gives_no_result(status: str | None, count: int) -> None:
    """Counts of zero in an answer that still runs would be its charge for ever: it is known once."""
    usage = {"input_tokens": 0, "output_tokens": 0}
    wire = json.dumps(
        {"id": "resp_1", "model": "gpt-5.1", "status": status, "background": True, "usage": usage}
    ).encode()
    poll = reader("openai-responses", "/v1/responses/resp_1", CaseInsensitive({"content-type": "application/json"}))
    assert len(given(poll, [wire])) == count


@pytest.mark.parametrize("dialect", ["anthropic-batches", "openai-batches"])
def test_an_error_gives_no_results(dialect: str) -> None:
    """Nothing was read back."""
    wire = json.dumps(message(1) | body(1)).encode()
    assert given(reader(dialect, MESSAGES, LINES, 404), [wire]) == []


@pytest.mark.parametrize("dialect", ["anthropic-batches", "openai-batches", "openai-responses"])
def test_no_bytes_make_a_reader_raise(dialect: str) -> None:
    """Mutated lines, garbage and cuts give what is still whole, or nothing."""
    dice = random.Random(7)
    wire = b"\n".join(json.dumps(each).encode() for each in (message(1), body(1), message(2), body(4)))
    for _ in range(400):
        mutated = bytearray(wire[: dice.randint(0, len(wire))])
        for _ in range(dice.randint(0, 8)):
            if mutated:
                mutated[dice.randrange(len(mutated))] = dice.randrange(256)
        found = given(reader(dialect, FILES, JSON), pieces(bytes(mutated), dice.randrange(999)))
        assert len(found) <= 4


def test_a_file_of_any_length_takes_little_memory() -> None:
    """64 MB in one line, and 30 MB of lines: less than 2 MB are kept at any time."""
    reads = reader("anthropic-batches", MESSAGES, LINES)
    tracemalloc.start()
    for _ in range(1024):
        reads.feed(b"x" * 65536)
    line = json.dumps(message(3, "x" * 700)).encode() + b"\n"
    given_back = sum(len(reads.feed(b"\n" + line * 32)) for _ in range(900))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert given_back == 900 * 32
    assert peak < 2_000_000


def test_there_are_bounds_to_what_one_file_gives() -> None:
    """More results than a batch can have are not read."""
    reads = reader("openai-batches", FILES, LINES)
    line = json.dumps(body(0)).encode() + b"\n"
    total = sum(len(reads.feed(line * 2_000)) for _ in range(RESULTS_MAX // 2_000 + 3))
    assert total == RESULTS_MAX


def test_what_reads_results_is_a_dialect() -> None:
    """It refuses and errs as its vendor's others do, should its path ever cost money."""
    found: list[Dialect] = [DIALECTS["anthropic-batches"], DIALECTS["openai-batches"]]
    assert [json.loads(each.error(503, "why").body).get("type") for each in found] == ["error", None]
