"""What a request asks for is read the same from a short body and a long one, and its bound is never too low."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.feeding import head
from spendgate.errors import WireError
from spendgate.providers.anthropic import TOOL_BYTES, TOOLS_BYTES
from spendgate.providers.ask import Ask
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.spoken import OpenDialect

PADDING = [{"role": "user", "content": 'they said {"model": "none", "max_tokens": 1, "stream": false}'}] * 900


def ask(dialect: str, *, long: bool = False, **members: Any) -> Ask:
    """The Ask of a body with these members, padded to a long one on request."""
    name = "input" if dialect in ("openai-responses", "openai-embeddings") else "messages"
    shown = PADDING if long else [{"role": "user", "content": "hi"}]
    body = json.dumps({"model": "m-1", name: members.pop(name, []) + shown, **members}).encode()
    found = DIALECTS[dialect].ask(head(), body)
    assert found.text_bytes >= len(body)
    return found


WEB = {"type": "web_search_20250305", "name": "web_search"}
BASH = {"type": "bash_20250124", "name": "bash"}
PLAIN = {"name": "f", "input_schema": {"type": "object"}}
CACHED = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
HOUR = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://x.example/i.png"}}
ADVISOR = {"type": "advisor_20260301", "name": "a", "model": "dear-1"}
SCHEMA = {"type": "object", "properties": {"definition": {"type": "string"}, "tools": {"type": "array"}}}
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": []}
COMPACTION = {"type": "compaction", "encrypted_content": "a"}
MINE = {"type": "function", "name": "f", "parameters": SCHEMA}


def added(definition: dict[str, Any]) -> dict[str, Any]:
    """A block of Anthropic's that offers this tool from here on."""
    return {"type": "tool_addition", "tool": {"definition": definition, "type": "tool_definition"}}


def brought(*tools: dict[str, Any], kind: str = "additional_tools") -> list[dict[str, Any]]:
    """OpenAI's input item that offers these tools from here on."""
    return [{"type": kind, "role": "developer", "tools": list(tools)}]


def said(*blocks: dict[str, Any]) -> list[dict[str, Any]]:
    """One user message of these blocks."""
    return [{"role": "user", "content": list(blocks)}]


CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("anthropic-messages", {"max_tokens": 64000, "stream": True}, {"streamed": True, "output_tokens_max": 64000}),
    ("anthropic-messages", {"messages": said(CACHED)}, {"cache_ttl": "5m", "opaque_input": False}),
    ("anthropic-messages", {"messages": said(CACHED, HOUR)}, {"cache_ttl": "1h"}),
    ("anthropic-messages", {"messages": said(IMAGE)}, {"opaque_input": True, "cache_ttl": None}),
    ("anthropic-messages", {"tools": [PLAIN, BASH]}, {"loops": False, "searches_max": 0}),
    ("anthropic-messages", {"tools": [WEB]}, {"loops": True, "searches_max": None}),
    ("anthropic-messages", {"tools": [WEB | {"max_uses": 5}]}, {"loops": True, "searches_max": 5}),
    ("anthropic-messages", {"tools": [{"type": "code_execution_20260209", "name": "c"}]}, {"loops": True}),
    ("anthropic-messages", {"tools": [{"type": "future_thing_20990101"}]}, {"loops": True}),
    ("anthropic-messages", {"mcp_servers": [{"type": "url", "url": "https://x"}]}, {"loops": True}),
    ("anthropic-messages", {"context_management": {"edits": [{"type": "compact_20260112"}]}}, {"loops": True}),
    ("anthropic-messages", {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, {"loops": False}),
    ("anthropic-messages", {"fallbacks": [{"model": "claude-opus-4-8"}]}, {"loops": True}),
    ("anthropic-messages", {"container": {"skills": [{"type": "anthropic", "skill_id": "pptx"}]}}, {"loops": True}),
    ("anthropic-messages", {"container": None}, {"loops": False}),
    (
        "anthropic-messages",
        {"thread": {"type": "continue", "previous_message_id": "msg_1"}},
        {"opaque_input": True, "continues": "msg_1"},
    ),
    ("anthropic-messages", {"thread": {"type": "fork"}}, {"opaque_input": True, "continues": None}),
    ("anthropic-messages", {"thread": {"type": "create"}}, {"opaque_input": False, "continues": None}),
    ("anthropic-messages", {"compaction": {"type": "summarize"}}, {"opaque_input": True, "loops": False}),
    ("anthropic-messages", {"messages": said(added(WEB))}, {"loops": True, "searches_max": None}),
    ("anthropic-messages", {"messages": said(added(WEB | {"max_uses": 2}))}, {"loops": True, "searches_max": 2}),
    ("anthropic-messages", {"messages": said(added(ADVISOR)), "tools": [BASH]}, {"loops": True, "also": ("dear-1",)}),
    (
        "anthropic-messages",
        {"messages": said({"type": "compaction", "tool_changes": [added(ADVISOR)]})},
        {"loops": True},
    ),
    ("anthropic-messages", {"messages": said(added(PLAIN | {"input_schema": SCHEMA}))}, {"loops": False, "also": ()}),
    ("anthropic-messages", {"messages": said(*[added(PLAIN)] * 1_025)}, {"loops": True, "also": ("",)}),
    ("anthropic-messages", {"speed": "fast", "service_tier": "auto"}, {"speed": "fast", "service_tier": "auto"}),
    ("openai-chat", {"max_tokens": 9, "n": 4}, {"output_tokens_max": 9, "choices": 4}),
    ("openai-chat", {"max_tokens": 9, "max_completion_tokens": 7}, {"output_tokens_max": 9, "choices": 1}),
    ("openai-chat", {"max_tokens": 7, "max_completion_tokens": 9}, {"output_tokens_max": 9}),
    ("openai-chat", {"max_completion_tokens": 7}, {"output_tokens_max": 7}),
    ("openai-chat", {"max_tokens": 9, "max_completion_tokens": None}, {"output_tokens_max": 9}),
    ("openai-chat", {"max_tokens": "much", "max_completion_tokens": 7}, {"output_tokens_max": None}),
    ("chat-answer-capped", {"max_tokens": 9}, {"output_tokens_max": None}),
    ("chat-answer-capped", {"max_tokens": 9, "max_completion_tokens": 99}, {"output_tokens_max": 99}),
    ("chat-answer-capped", {"max_tokens": 9, "max_completion_tokens": "much"}, {"output_tokens_max": None}),
    ("chat-answer-capped", {"max_tokens": 9, "enable_thinking": True}, {"output_tokens_max": None}),
    ("chat-answer-capped", {"max_tokens": 9, "enable_thinking": False}, {"output_tokens_max": 9}),
    ("openai-chat", {"stream": True}, {"streamed": True, "output_tokens_max": None}),
    ("openai-chat", {"messages": said({"type": "image_url", "image_url": {"url": "data:"}})}, {"opaque_input": True}),
    *[
        (
            "openai-chat",
            {"messages": said({"type": kind, kind: {"url": "https://x.example/a"}})},
            {"opaque_input": True},
        )
        for kind in (
            "video_url",
            "audio_url",
            "document_url",
            "file_url",
            "video",
            "input_video",
            "input_audio",
            "file",
        )
    ],
    ("openai-chat", {"messages": said({"image_url": "https://x.example/a"})}, {"opaque_input": True}),
    ("openai-chat", {"messages": said({"video_url": {"url": "https://x.example/a"}})}, {"opaque_input": True}),
    ("openai-chat", {"tools": [{"function": {"image_url": {"type": "string"}}}]}, {"opaque_input": False}),
    ("openai-embeddings", {"input": [{"image": "https://x.example/i.png"}]}, {"opaque_input": True}),
    ("openai-embeddings", {"input": [{"type": "image_url", "image_url": "https://x"}]}, {"opaque_input": True}),
    ("openai-embeddings", {"input": ["an image of a file"]}, {"opaque_input": False}),
    ("openai-chat", {"web_search_options": {}}, {"loops": True, "searches_max": None}),
    ("openai-chat", {"enable_search": True}, {"loops": True, "searches_max": None}),
    ("openai-chat", {"enable_search": "yes"}, {"loops": True, "searches_max": None}),
    ("openai-chat", {"enable_search": False, "enable_code_interpreter": None}, {"loops": False, "searches_max": 0}),
    ("openai-chat", {"enable_code_interpreter": True}, {"loops": True, "searches_max": 0}),
    ("openai-chat", {"agent_id": "ag:1"}, {"loops": True, "opaque_input": True}),
    ("openai-chat", {"data_sources": [{"type": "azure_search"}]}, {"loops": True, "searches_max": 0}),
    ("openai-chat", {"extra_body": {"google": {"cached_content": "cachedContents/1"}}}, {"opaque_input": True}),
    ("openai-chat", {"tools": [{"type": "function", "function": {"cached_content": {}}}]}, {"opaque_input": False}),
    ("openai-chat", {"service_tier": "flex", "n": None}, {"service_tier": "flex", "choices": 1, "loops": False}),
    ("openai-chat", {"n": "100"}, {"choices": 100, "loops": False}),
    ("openai-chat", {"n": 100.0, "best_of": 7}, {"choices": 100, "loops": False}),
    ("openai-chat", {"n": "many"}, {"choices": 128, "loops": True}),
    ("openai-chat", {"n": 2, "best_of": [9]}, {"choices": 128, "loops": True}),
    ("openai-chat", {"prompt": "a"}, {"choices": 1, "loops": False}),
    ("openai-chat", {"prompt": ["a"] * 100}, {"choices": 100, "loops": False}),
    ("openai-chat", {"prompt": ["a", "b"], "n": 3, "best_of": 5}, {"choices": 10, "loops": False}),
    ("openai-chat", {"prompt": [7] * 100}, {"choices": 1, "loops": False}),
    ("openai-chat", {"prompt": [[7, 8], [9]]}, {"choices": 2, "loops": False}),
    ("openai-chat", {"prompt": [7, "a"]}, {"choices": 2, "loops": False}),
    ("openai-chat", {"prompt": []}, {"choices": 1, "loops": False}),
    ("openai-chat", {"prompt": {"text": "a"}}, {"choices": 128, "loops": True}),
    ("openai-chat", {"prompt": None}, {"choices": 1, "loops": False}),
    ("openai-chat", {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, {"opaque_input": True}),
    ("openai-responses", {"multi_agent": {"enabled": True, "max_concurrent_subagents": 3}}, {"loops": True}),
    ("openai-responses", {"multi_agent": {"enabled": False}}, {"loops": False}),
    ("openai-responses", {"multi_agent": None}, {"loops": False}),
    ("openai-responses", {"input": [{"id": "msg_123"}]}, {"opaque_input": True}),
    ("openai-responses", {"input": [{"id": "msg_123", "type": None}]}, {"opaque_input": True}),
    ("openai-responses", {"input": [{"type": None, "id": "msg_123"}]}, {"opaque_input": True}),
    ("openai-responses", {"input": [{"type": "item_reference", "id": "msg_123"}]}, {"opaque_input": True}),
    ("openai-responses", {"input": [{"id": "rs_1", "type": "reasoning", "summary": []}]}, {"opaque_input": True}),
    ("openai-responses", {"input": [{**THOUGHT, "encrypted_content": None}, COMPACTION]}, {"opaque_input": True}),
    ("openai-responses", {"input": [{**THOUGHT, "encrypted_content": "a"}, COMPACTION]}, {"opaque_input": False}),
    ("openai-responses", {"input": [{**THOUGHT, "content": [{"type": "reasoning_text"}]}]}, {"opaque_input": False}),
    ("openai-responses", {"input": [{"type": "function_call", "name": "f", "id": "fc_1"}]}, {"opaque_input": False}),
    ("openai-responses", {"max_output_tokens": 5, "stream": True}, {"output_tokens_max": 5, "streamed": True}),
    ("openai-responses", {"previous_response_id": "resp_1"}, {"opaque_input": True, "loops": False}),
    ("openai-responses", {"conversation": {"id": "conv_1"}}, {"opaque_input": True, "loops": False}),
    ("openai-responses", {"prompt": {"id": "pmpt_1"}}, {"opaque_input": True, "loops": True}),
    ("openai-responses", {"prompt": "pmpt_1"}, {"opaque_input": True, "loops": True}),
    ("openai-responses", {"prompt": None}, {"opaque_input": False, "loops": False}),
    ("openai-responses", {"input": [{"type": "image_generation_call", "id": "ig_1"}]}, {"opaque_input": True}),
    ("openai-responses", {"input": said({"type": "input_image", "file_id": "f"})}, {"opaque_input": True}),
    ("openai-responses", {"tools": [{"type": "function", "name": "f"}]}, {"loops": False, "searches_max": 0}),
    ("openai-responses", {"tools": [{"type": "web_search"}], "max_tool_calls": 3}, {"loops": True, "searches_max": 3}),
    ("openai-responses", {"tools": [{"type": "file_search"}]}, {"loops": True, "searches_max": 0}),
    ("openai-responses", {"reasoning": {"mode": "pro"}}, {"loops": True}),
    ("openai-responses", {"multi_agent": {"enabled": True, "max_concurrent_subagents": 1}}, {"loops": True}),
    ("openai-responses", {"multi_agent": {"enabled": 1}}, {"loops": True}),
    ("openai-responses", {"multi_agent": {"enabled": False}}, {"loops": False}),
    ("openai-responses", {"input": brought({"type": "web_search"}, MINE)}, {"loops": True, "searches_max": None}),
    ("openai-responses", {"input": brought({"type": "mcp"}, kind="tool_search_output")}, {"loops": True}),
    ("openai-responses", {"input": brought({"type": "image_generation", "model": "dear-1"})}, {"also": ("dear-1",)}),
    ("openai-responses", {"input": brought(MINE), "tools": [MINE]}, {"loops": False, "opaque_input": False}),
    ("openai-responses", {"context_management": [{"type": "compaction"}]}, {"loops": True}),
    ("openai-responses", {"context_management": None}, {"loops": False}),
    ("openai-responses", {"input": [{"type": "compaction_trigger"}]}, {"loops": True, "opaque_input": False}),
    ("openai-responses", {"background": True}, {"background": True, "cache_ttl": "write"}),
]


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
@pytest.mark.parametrize(("dialect", "members", "expected"), CASES, ids=lambda value: str(value)[:60])
def test_members(dialect: str, members: dict[str, Any], expected: dict[str, Any], long: bool) -> None:
    """Each member that changes what a call may cost is read, before and after the scan takes over from the parse."""
    found = ask(dialect, long=long, **members)
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.model == "m-1"


def test_tools_raise_the_bound() -> None:
    """What Anthropic adds to the prompt for tools is part of the bound: bytes alone would be too few."""
    plain = ask("anthropic-messages")
    assert ask("anthropic-messages", tools=[]).text_bytes < plain.text_bytes + 20
    assert ask("anthropic-messages", tools=[PLAIN]).text_bytes > plain.text_bytes + TOOLS_BYTES
    assert ask("anthropic-messages", tools=[BASH]).text_bytes > plain.text_bytes + TOOLS_BYTES + TOOL_BYTES


def test_a_tool_is_found_however_it_is_spelled() -> None:
    """Letters that no encoder escapes hide none, nor the model that it names."""
    tool = b'{"type":"image_generatio\\u006e","mod\\u0065l":"dear-1"}'
    body = b'{"model":"m","input":[{"type":"additional_\\u0074ools","to\\u006fls" : [' + tool + b"]}]}"
    assert DIALECTS["openai-responses"].ask(head(), body).also == ("dear-1",)
    assert not DIALECTS["openai-responses"].ask(head(), body.replace(b"dear-1", b"m")).also


@pytest.mark.parametrize(
    "item",
    [
        b'{"id":"m"}', b'{\n  "id" : "m"\n }', b'{ "id": "m" }', b'{"id":"x","id":"m"}', b'{"id":"m", "type" : null}',
        b'{"id":"1","id":"2","id":"3"}', b'{"id":"1","id":"2","id":"3","id":"4"}', b'{"id":"m"' + b',"id":"m"' * 99 + b"}",
    ],
    ids=["bare", "indented", "spaced", "twice", "null type", "three times", "four times", "a hundred times"],
)  # fmt: skip
def test_a_reference_is_seen_however_it_is_spaced(item: bytes) -> None:
    """A bare id stands for input that no byte shows, whatever the space around it."""
    body = b'{"model":"m","input":[' + item + b"]}"
    assert DIALECTS["openai-responses"].ask(head(), body).opaque_input


@pytest.mark.parametrize(
    ("model", "searches"),
    [
        ("gpt-4o-search-preview", True),
        ("gpt-5-search-api", True),
        ("gpt-4o-mini-search-preview-2025-03-11", True),
        ("openai/gpt-5:online", True),
        ("gpt-5-research", False),
        ("gpt-5", False),
    ],
)
def test_search_models_search_unasked(model: str, searches: bool) -> None:
    """A chat model that searches by itself has no bound, as one that is offered a search."""
    found = ask("openai-chat", model=model)
    assert (found.loops, found.searches_max) == (searches, None if searches else 0)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_body_that_is_not_json_raises(dialect: str) -> None:
    """What is not the dialect at all is a WireError, so that the caller can treat it as a call without a bound."""
    with pytest.raises(WireError):
        DIALECTS[dialect].ask(head(), b"--boundary\r\n")


@pytest.mark.parametrize("dialect", [name for name, each in DIALECTS.items() if not isinstance(each, OpenDialect)])
def test_steps_give_the_same_ask(dialect: str) -> None:
    """`asking` gives what `ask` gives."""
    body = json.dumps({"messages": PADDING * 3, "model": "m", "input": PADDING, "max_tokens": 3}).encode()
    steps = DIALECTS[dialect].asking(head(), body)
    count = 0
    while True:
        try:
            next(steps)
            count += 1
        except StopIteration as end:
            assert end.value == DIALECTS[dialect].ask(head(), body)
            break
    assert count >= 2


@pytest.mark.parametrize(
    ("betas", "window"),
    [(None, None), ("interleaved-thinking-2025-05-14", None), ("x-2025-01-01,context-1m-2025-08-07", 1_000_000)],
)
def test_a_long_window_is_asked_for_by_a_beta(betas: str | None, window: int | None) -> None:
    """The header that opens the long context window is read, among others."""
    found = DIALECTS["anthropic-messages"].ask(
        head(**({"anthropic_beta": betas} if betas else {})), b'{"model":"claude-opus-4-5"}'
    )
    assert found.context_window == window


@pytest.mark.parametrize("dialect", ["openai-chat", "openai-embeddings"])
def test_token_numbers_are_bounded_by_their_bytes(dialect: str) -> None:
    """Input given as numbers of tokens, of one digit each and without spaces, is at most a token a byte."""
    name = "prompt" if dialect == "openai-chat" else "input"
    body = b'{"model":"m","' + name.encode() + b'":[' + b"7," * 999 + b"7]}"
    assert DIALECTS[dialect].ask(head(), body).text_bytes >= 2 * 1000


def test_embeddings_have_no_output() -> None:
    """An embedding is bounded by its input alone."""
    found = DIALECTS["openai-embeddings"].ask(head(), b'{"model":"text-embedding-3-small","input":["a","b"]}')
    assert (found.model, found.output_tokens_max, found.loops, found.searches_max) == (
        "text-embedding-3-small",
        0,
        False,
        0,
    )
