"""Events of a form that was seen before are passed over, and that changes nothing of what is read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.feeding import STREAM, read
from spendgate.providers.ask import Ask
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.interface import Reader

MESSAGES, CHAT, RESPONSES = "anthropic-messages", "openai-chat", "openai-responses"
FIRST = {
    MESSAGES: b'data: {"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":3,"output_tokens":1}}}',
    CHAT: b'data: {"id":"x","model":"g","choices":[{"delta":{"role":"assistant"}}]}',
    RESPONSES: b'data: {"type":"response.created","response":{"id":"r","model":"g"}}',
}
FORM = {
    MESSAGES: b'event: e\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%b"}%b}',
    CHAT: b'data: {"id":"x","choices":[{"delta":{"content":"%b"},"finish_reason":null}%b],"usage":null}',
    RESPONSES: b'data: {"type":"response.output_text.delta","item_id":"i","delta":"%b","logprobs":[]%b}',
}
LAST = {
    MESSAGES: b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":8}}',
    CHAT: b'data: {"id":"x","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":8}}\n\ndata: [DONE]',
    RESPONSES: b'data: {"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":8}}}',
}
BEHIND = {
    MESSAGES: b',"text":"more"},"usage":{"output_tokens":77',
    CHAT: b'},{"delta":{"content":"more"},"finish_reason":"stop"',
    RESPONSES: b',"x":{"delta":"more"},"response":{"usage":{"input_tokens":7,"output_tokens":77}}',
}
"""What a form's second place holds in an event that says more than its text."""
PARTS = st.sampled_from(
    ['"', "\\", ": ", '": ', ' "usage":{', "\n", "[DONE]", "}}\n\n", '"},"usage":{"output_tokens":9}', "é", "a"]
)
EVENTS = st.lists(
    st.tuples(st.lists(PARTS, max_size=4).map("".join), st.sampled_from(["", "", "", " ", "   ", "more"])), max_size=12
)


def reader(name: str) -> Reader:
    """A reader of a stream."""
    return DIALECTS[name].reader(Ask(), 200, STREAM)


def wire(name: str, events: list[tuple[str, str]]) -> list[bytes]:
    """A stream's events: of one form with other texts, padded or saying more, between a first and a last."""
    made = [
        FORM[name] % (json.dumps(text)[1:-1].encode(), BEHIND[name] if behind == "more" else behind.encode())
        for text, behind in events
    ]
    return [event + b"\n\n" for event in (FIRST[name], *made, LAST[name])]


@pytest.mark.parametrize("name", FORM)
@settings(max_examples=150, deadline=None)
@given(EVENTS)
def test_what_is_read_does_not_depend_on_what_was_learned(name: str, events: list[tuple[str, str]]) -> None:
    """Event by event, where forms are learned, a stream reads as it does in one piece and byte by byte, where none is."""
    chunks = wire(name, events)
    body = b"".join(chunks)
    learned = read(reader(name), chunks)
    assert learned == read(reader(name), [body])
    assert learned == read(reader(name), [body[at : at + 1] for at in range(len(body))])
    assert learned.final


@pytest.mark.parametrize("name", FORM)
def test_counts_in_a_learned_form_are_read_at_once(name: str) -> None:
    """An event that begins like those passed over, and then says more, is not passed over."""
    read_by = reader(name)
    plain = [("one", ""), ("two", " "), ("three", "")]
    for chunk in wire(name, plain)[:-1]:
        read_by.feed(chunk)
    before = read_by.reading()
    assert before.output_bytes == len("onetwothree")
    read_by.feed(wire(name, [("four", "more")])[1])
    after = read_by.reading()
    assert after.output_bytes == len("onetwothreefourmore")
    moved = after.parts != before.parts
    assert moved is (name == RESPONSES)


@pytest.mark.parametrize("name", FORM)
def test_many_forms_are_read_alike(name: str) -> None:
    """More forms than a reader learns change nothing."""
    numbered = [
        wire(name, [("text", "")])[1].replace(b"data: {", b'data: {"number":%d,' % number) for number in range(99)
    ]
    chunks = [FIRST[name] + b"\n\n", *numbered, LAST[name] + b"\n\n"]
    assert read(reader(name), chunks) == read(reader(name), [b"".join(chunks)])
