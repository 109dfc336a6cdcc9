"""Plain lines of batches give what their shape's way gives, and nothing that is not plain is taken for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from providers.feeding import head
from spendgate.providers import batches
from spendgate.providers.batch_lines import plain_body, plain_message
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.reading import Result

LINES = CaseInsensitive({"Content-Type": "application/x-jsonl"})
PATHS = {
    "anthropic-batches": "/v1/messages/batches/msgbatch_1/results",
    "openai-batches": "/v1/files/file-1/content",
}

MESSAGE = {
    "custom_id": "mine",
    "result": {
        "type": "succeeded",
        "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6", "stop_reason": "end_turn",
            "stop_sequence": None, "content": [{"type": "thinking", "thinking": "…"}, {"type": "text", "text": "hi"}],
            "usage": {
                "input_tokens": 12, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 9,
                "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}, "service_tier": "batch",
                "server_tool_use": {"web_search_requests": 1}, "inference_geo": "us",
            },
        },
    },
}  # fmt: skip
CHAT = {
    "id": "batch_req_1", "custom_id": "mine", "error": None,
    "response": {
        "status_code": 200, "request_id": "req_1",
        "body": {
            "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-5.1", "service_tier": "default",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi", "refusal": None}}],
            "usage": {
                "prompt_tokens": 22, "completion_tokens": 9, "total_tokens": 31,
                "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 0, "accepted_prediction_tokens": 0},
            },
        },
    },
}  # fmt: skip
RESPONSE = {
    **CHAT,
    "response": {
        "status_code": 200, "request_id": "req_1",
        "body": {
            "id": "resp_1", "object": "response", "model": "gpt-5.1", "status": "completed", "background": False,
            "output": [{"type": "reasoning", "summary": []}, {"type": "message", "content": [{"type": "output_text"}]}],
            "tools": [],
            "usage": {
                "input_tokens": 22, "output_tokens": 9, "total_tokens": 31, "input_tokens_details": {"cached_tokens": 2},
                "output_tokens_details": {"reasoning_tokens": 4},
            },
        },
    },
}  # fmt: skip


SAID: list[Any] = [
    None,
    True,
    0,
    1,
    7,
    -1,
    1.0,
    1.5,
    "",
    "7",
    "us",
    "fast",
    "text",
    "x" * 600,
    10**13,
    10**25,
    {},
    [],
    [None],
]
"""What may stand anywhere: what is meant there, and what no count and no name is."""
ADDED: dict[str, tuple[str, ...]] = {
    "usage": (
        "speed", "iterations", "cost", "is_byok", "cost_in_usd_ticks", "num_server_side_tools_used", "server_tool_use_details",
        "cached_tokens", "num_cached_tokens", "prompt_cache_hit_tokens", "num_search_queries", "prompt_tokens", "input_tokens",
        "output_tokens_details", "cache_creation",
    ),
    "message": ("copilot_usage", "stop_reason"),
    "body": ("copilot_usage", "output", "tool_usage", "background", "status", "object", "tools"),
}  # fmt: skip
"""Members that a document of this name may have besides."""
COUNTS: list[Any] = [0, 1, 3, 9, 22, 31, 35, None, True, -1, 1.0, "7", 10**13]
KINDS: dict[str, list[Any]] = {
    "type": [
        "message",
        "reasoning",
        "fallback",
        "text",
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "refusal",
    ],
    "status": ["completed", "incomplete", "failed", "in_progress"],
    "stop_reason": ["refusal", "end_turn", "pause_turn"],
    "object": ["response", "chat.completion"],
    "background": [True, False],
    "speed": ["fast", "standard"],
    "iterations": [[{"input_tokens": 3, "output_tokens": 4}], 7],
    "model": ["", "gpt-5.1"],
    "id": ["", "x"],
    "content": [[], None, [None], [{"type": "fallback", "to": {"model": "claude-opus-4-6"}}]],
    "cost": [0.25, 1, 0],
    "copilot_usage": [{"total_nano_aiu": 700}],
    "tool_usage": [
        {"web_search": {"num_requests": 0}, "image_gen": {"output_tokens": 0}},
        {"web_search": {"num_requests": 2}},
        {"image_gen": {"input_tokens": 3, "output_tokens": 5}},
    ],
}
"""What may stand under these keys."""


REFUSED = json.loads(json.dumps(MESSAGE).replace("end_turn", "refusal"))
LEFT_OUT = object()


@st.composite
def lines(draw: st.DrawFn, whole: dict[str, Any]) -> bytes:
    """A line as its vendor writes it, with other counts and a few changes anywhere in it."""
    line = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(0, 3))):
        if not (places := list(_places(line))):
            break
        keys = sorted({name for _, name in places})
        key = draw(st.sampled_from(keys))
        inside, name = draw(st.sampled_from([place for place in places if place[1] == key]))
        if draw(st.integers(0, 4)) == 0:
            inside.pop(name, None)
        elif draw(st.integers(0, 4)) == 0:
            inside[name] = deepcopy(draw(st.sampled_from(SAID)))
        else:  # copied, for the next change may be made in it
            inside[name] = deepcopy(draw(st.sampled_from(KINDS.get(name, COUNTS))))
    return json.dumps(line).encode()


def _places(inside: Any, name: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    """Every object in a document, with the name of each member that it has or may have."""
    if isinstance(inside, list):
        for each in inside:
            yield from _places(each)
    if isinstance(inside, dict):
        for key in (*inside, *ADDED.get(name, ())):
            yield inside, key
            yield from _places(inside.get(key), key)


def by_shape(dialect: str, line: bytes) -> Result | None:
    """What the line gives where no line is plain."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(batches, "plain_message", lambda *_: None)
        patched.setattr(batches, "plain_body", lambda *_: None)
        found = DIALECTS[dialect].results(head("GET", PATHS[dialect]), 200, LINES)  # type: ignore[attr-defined]  # both give results
        results: tuple[Result, ...] = found.feed(line + b" " * 64 + b"\n")
    return results[0] if results else None


def same(line: bytes) -> bool:
    """Whether the short way took a line; it then gave what its shape's way gives."""
    found = {"anthropic-batches": plain_message("msgbatch_1", line), "openai-batches": plain_body(line)}
    for dialect, plain in found.items():
        if plain is not None:
            assert plain == by_shape(dialect, line), line
    return any(found.values())


@pytest.mark.parametrize("whole", [MESSAGE, REFUSED, CHAT, RESPONSE], ids=["message", "refused", "chat", "response"])
def test_any_one_change_of_a_line(whole: dict[str, Any]) -> None:
    """Each value that may stand somewhere, at each place, and each member left out."""
    taken = []
    for place in range(len(list(_places(whole)))):
        name = list(_places(whole))[place][1]
        for value in (*KINDS.get(name, COUNTS), *SAID, LEFT_OUT):
            line = json.loads(json.dumps(whole))
            inside, name = list(_places(line))[place]
            inside.pop(name, None)
            if value is not LEFT_OUT:
                inside[name] = value
            taken.append(same(json.dumps(line).encode()))
    assert whole is REFUSED or 0.2 < sum(taken) / len(taken) < 0.9


@settings(max_examples=500, deadline=None)
@given(st.one_of(lines(MESSAGE), lines(CHAT), lines(RESPONSE)))
def test_several_changes_of_a_line(line: bytes) -> None:
    """Whatever stands in it: where the short way gives a result at all, it is that one."""
    event(f"taken: {same(line)}")


@pytest.mark.parametrize(
    ("dialect", "line"), [("anthropic-batches", MESSAGE), ("openai-batches", CHAT), ("openai-batches", RESPONSE)]
)
def test_lines_as_vendors_write_them_are_plain(dialect: str, line: dict[str, Any]) -> None:
    """Else the short way would be for benchmarks alone."""
    document = json.dumps(line).encode()
    plain = plain_message("msgbatch_1", document) if dialect == "anthropic-batches" else plain_body(document)
    assert plain is not None
    assert plain == by_shape(dialect, document)


@pytest.mark.parametrize(
    "line",
    [
        b'{"custom_id":"a","custom_id":"b","result":{"message":{"usage":{"input_tokens":1,"output_tokens":2},"content":[]}}}',
        b'{"custom_id":"a","result":{"message":{"usage":{"input_tokens":1},"usage":{"output_tokens":2,"input_tokens":3},"content":[]}}}',
        b'{"custom_id":"a","result":{"message":{"\\u0075sage":{"input_tokens":1,"output_tokens":2},"content":[]}}}',
        b'{"custom_id":"a","result":{"message":{"usage":{"input_tokens":1,"output_tokens":2,"usage":null},"content":[{}]}}}',
    ],
    ids=["twice", "counts twice", "escaped", "no type"],
)
def test_keys_of_any_spelling(line: bytes) -> None:
    """The last of duplicates counts, and an escaped key is the key that it spells, in the short way as in the long one."""
    found = plain_message("msgbatch_1", line)
    expected = by_shape("anthropic-batches", line.replace(b"\\u0075sage", b"usage"))
    assert expected is not None
    assert found in (None, expected)
