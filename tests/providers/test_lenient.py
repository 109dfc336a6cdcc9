"""What lenient parsers take costs no counts: half of a pair of surrogates, bytes that are no UTF-8, a byte order mark."""

from __future__ import annotations

import json

import pytest

from providers.feeding import fed, head
from spendgate.errors import WireError
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.shapes import TEXT, Shape, mended

ODD = [b"a\\ud83d", b"\\uDE00 a", b"\\ud83d\\ud83d\\ude00", b"\\\\\\ud800", b"caf\xe9", b"\xed\xa0\xbd"]
IDS = ["first half", "second half", "half and a pair", "behind a backslash", "latin-1", "surrogate as bytes"]


@pytest.mark.parametrize("size", [1, 30_000], ids=["short", "long"])
@pytest.mark.parametrize("text", ODD, ids=IDS)
def test_counts_of_an_answer_are_read(text: bytes, size: int) -> None:
    """In whole answers, also from their ends, and in events."""
    unit, text = text, text * size
    chat = b'{"choices":[{"message":{"content":"%b"}}],"usage":{"prompt_tokens":10,"completion_tokens":5},"user":"%b"}'
    gemini = (
        b'data: {"candidates":[{"content":{"parts":[{"text":"%b"}]},"finishReason":"STOP"}],"usageMetadata":{%b}}\n\n'
    )
    counts = b'"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":15'
    done = b'data: {"type":"response.completed","response":{"status":"completed","output":["%b"],"usage":{%b}}}\n\n'
    for name, wire, stream in (
        ("openai-chat", chat % (text, unit * 9), False),
        ("gemini", gemini % (text, counts), True),
        ("openai-responses", done % (text, b'"input_tokens":10,"output_tokens":5'), True),
    ):
        reading = fed(DIALECTS[name], wire, stream=stream)
        assert (reading.final, reading.flags) == (True, ()), name
        assert reading.parts[0].usage.output_tokens == 5


@pytest.mark.parametrize("size", [1, 30_000], ids=["short", "long"])
@pytest.mark.parametrize("text", ODD, ids=IDS)
@pytest.mark.parametrize(
    "order", [b'{"model":"gpt-5-pro",%b,"max_tokens":9}', b'{%b,"model":"gpt-5-pro","max_tokens":9,"tools":[]}']
)
def test_the_model_of_a_request_is_read(order: bytes, text: bytes, size: int) -> None:
    """So that rules are asked about it."""
    body = order % (b'"messages":[{"role":"user","content":"%b"}]' % (text * size))
    ask = DIALECTS["openai-chat"].ask(head(), body)
    assert (ask.model, ask.output_tokens_max) == ("gpt-5-pro", 9)


def test_what_is_mended_is_else_the_same() -> None:
    """Texts that differ still do, names without such signs are untouched, and what is no JSON either way raises."""
    shape = Shape(model=TEXT, name=TEXT, other=TEXT)
    found = shape.read(b'\xef\xbb\xbf{"model":"m\\\\ud83d","name":"\\ud83d","other":"\\ud83e"}')
    assert found["model"].startswith("m\\u")
    assert len({found["name"], found["other"]}) == 2
    assert mended(json.dumps({"a": "plain é 🙂"}, ensure_ascii=False).encode()) is None
    with pytest.raises(WireError):
        shape.read(b'{"model":"\\ud83d')
