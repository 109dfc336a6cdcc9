"""A chat stream that is made to report its usage: the question in the request, and the answer without it."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest

from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Head
from spendgate.providers.openai_chat import OpenAIChat
from spendgate.providers.stream_usage import EVENT_BYTES_MAX, Hidden, asking, hides, may_ask

RECORDED = Path(__file__).parents[1] / "recordings" / "openai-chat"
HEAD = b'{"id":"c1","object":"chat.completion.chunk","model":"gpt-5.1",'
WORDS = [b'"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]' % word for word in (b"a", b"b")]
USAGE = b'"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}'


def stream(end: bytes, *, asked: bool, pad: bytes = b"") -> bytes:
    """What OpenAI sends, with usage asked for or not; `pad` stands behind it as `obfuscation` does."""
    null = b',"usage":null' if asked else b""
    events = [HEAD + word + null + pad + b"}" for word in WORDS]
    events += [HEAD + USAGE] if asked else []
    return b"".join(b"data: " + event + end for event in [*events, b"[DONE]"])


def passed(data: bytes, cuts: list[int]) -> bytes:
    """All that a filter lets through where the stream comes in these pieces."""
    hidden = Hidden()
    bounds = [0, *sorted(cuts), len(data)]
    pieces = [data[start:stop] for start, stop in itertools.pairwise(bounds)]
    return b"".join([*map(hidden.feed, pieces), hidden.close()])


@pytest.mark.parametrize("pad", [b"", b',"obfuscation":"x9"'], ids=["plain", "padded"])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n"], ids=["lf", "crlf", "cr", "mixed"])
def test_the_client_gets_what_it_would_have_got(end: bytes, pad: bytes) -> None:
    """To the byte, however the stream is cut."""
    asked, plain = stream(end, asked=True, pad=pad), stream(end, asked=False, pad=pad)
    assert asked != plain
    assert passed(asked, []) == plain
    assert passed(asked, list(range(1, len(asked)))) == plain
    for seed in range(50):
        chance = random.Random(seed)
        assert passed(asked, [chance.randrange(len(asked)) for _ in range(chance.randrange(9))]) == plain


@pytest.mark.parametrize("cut", range(0, 330, 7))
def test_an_answer_that_breaks_off_loses_nothing(cut: int) -> None:
    """Its last event may be half there: the client gets the half, too."""
    whole = stream(b"\n\n", asked=False)[:cut]
    assert passed(whole, list(range(1, len(whole)))) == whole


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.sse")), ids=lambda path: path.stem)
def test_nothing_but_usage_is_taken_from_recorded_streams(path: Path) -> None:
    """What goes to the client is the recording but for whole events without choices and members that are null."""
    data = path.read_bytes()
    left = passed(data, list(range(1, len(data))))
    assert left == passed(data, [])

    def chunks(text: bytes) -> list[dict[str, object]]:
        lines = [line[5:].strip() for line in text.splitlines() if line.startswith(b"data:")]
        found = [json.loads(line) for line in lines if line.startswith(b"{")]
        counted = [chunk for chunk in found if not (chunk.get("choices") == [] and chunk.get("usage"))]
        return [{k: v for k, v in chunk.items() if k != "usage" or v is not None} for chunk in counted]

    assert chunks(left) == chunks(data)


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[{"delta":{"content":",\\"usage\\":null"}}]}\n\n',
        b'data: {"choices":[],"prompt_filter_results":[{"usage":null}]}\n\n',
        b'data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}\n\n',
        b'data: {"choices":[],"usage":\n\n',
        b': "usage"\n\n',
        b'data: "usage"\n\n',
        b"data: " + b"[" * 90_000 + b'"usage"' + b"\n\n",
    ],
    ids=["in a text", "nested", "beside choices", "broken", "a comment", "a text", "deep"],
)
def test_what_is_no_usage_of_its_own_stays(event: bytes) -> None:
    """A filter takes what it knows, and nothing else."""
    assert passed(event, []) == event
    assert passed(event, list(range(1, len(event), 97))) == event


def test_the_first_member_may_be_it() -> None:
    """Its comma stands behind it then; one of the same look deeper down is another one."""
    event = b'data: {"usage": null, "a": [{"b":1,"usage":null}]}\n\n'
    assert passed(event, []) == b'data: {"a": [{"b":1,"usage":null}]}\n\n'


def test_a_huge_event_is_held_back_only_up_to_a_bound() -> None:
    """Memory is bounded, and it is passed whole; what follows is read again."""
    huge, usage = b"data: " + b"x" * 5 * EVENT_BYTES_MAX + b"\n\n", b"data: " + HEAD + USAGE + b"\n\n"
    hidden = Hidden()
    out = b""
    for start in range(0, len(huge), 10_000):
        out += hidden.feed(huge[start : start + 10_000])
        assert len(hidden._held) <= EVENT_BYTES_MAX + 10_000
    assert out + hidden.feed(usage) + hidden.close() == huge


@pytest.mark.parametrize(
    ("body", "unsaid"),
    [
        ({"stream": True}, True),
        ({"stream": True, "messages": [{"content": '"stream_options":{}'}]}, True),
        ({"stream": True, "stream_options": {"include_usage": False}}, False),
        ({"stream": True, "stream_options": None}, False),
        ({"stream": False}, False),
        ({}, False),
    ],
)
def test_a_request_that_says_something_is_left_alone(body: dict[str, object], unsaid: bool) -> None:
    """Only a stream can be asked, and not one whose request has its own word, whichever; short or long."""
    head = Head("POST", "api.openai.com", "/v1/chat/completions", "", CaseInsensitive({}))
    for size in (0, 200_000):
        data = json.dumps({"model": "gpt-5.1", **body, "user": "x" * size}).encode()
        assert OpenAIChat().ask(head, data).usage_unsaid is unsaid
    hidden = b'{"stream":true,"stream\\u005foptions":{"include_usage":false}}'
    assert not OpenAIChat().ask(head, hidden).usage_unsaid


def test_the_question_is_one_member_more() -> None:
    """All other bytes stay, spaces too."""
    body = b' {\n  "model": "gpt-5.1",\t"stream" : true}\n'
    asked = asking(body)
    assert asked.replace(b'"stream_options":{"include_usage":true},', b"") == body
    assert json.loads(asked) == {**json.loads(body), "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"authorization": "Bearer sk-proj-x"}, True),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=00"}, False),
        ({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, False),
        ({"content-encoding": "zstd"}, False),
        ({"content-digest": "sha-256=:x:"}, False),
    ],
)
def test_what_is_signed_digested_or_packed_is_left_alone(headers: dict[str, str], allowed: bool) -> None:
    """Its bytes are somebody's word."""
    assert may_ask(CaseInsensitive(headers)) is allowed


@pytest.mark.parametrize(
    ("headers", "can"),
    [
        ({"content-type": "text/event-stream; charset=utf-8"}, True),
        ({"content-type": "text/event-stream", "content-encoding": "identity"}, True),
        ({"content-type": "text/event-stream", "content-encoding": "br"}, False),
        ({"content-type": "text/event-stream", "content-length": "900"}, False),
        ({"content-type": "application/json"}, False),
    ],
)
def test_only_a_plain_stream_can_be_filtered(headers: dict[str, str], can: bool) -> None:
    """What is encoded, or has said how long it is, goes on as it is."""
    assert hides(CaseInsensitive(headers)) is can
