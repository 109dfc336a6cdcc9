"""Answers in the shape of Anthropic's Messages API (platform.claude.com docs: `api/messages`, `build-with-claude/streaming`).

Streams report as the real ones do: `message_start` has the input counts, the cache-write split and a placeholder output;
`message_delta` has the cumulative counts without the split.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from spendgate.standin import tools
from spendgate.standin.script import Script
from spendgate.standin.text import MARK, deltas, filled


def message(script: Script, model: str, message_id: str) -> Iterator[bytes]:
    """The JSON of an answer that is not streamed, in pieces."""
    content: list[object] = [{"type": "text", "text": MARK}]
    if script.tool:
        content.append(tools.anthropic(script))
    return filled({**_message(script, model, message_id), "content": content, "stop_reason": _stop(script)}, script)


def stream(script: Script, model: str, message_id: str) -> Iterator[bytes]:
    """The server-sent events of a streamed answer, one in each piece."""
    start = _message(script, model, message_id)
    if script.usage:
        start["usage"] = {**_usage(script), "output_tokens": min(1, script.output)}
    yield _event("message_start", {"message": start})
    yield _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
    yield _event("ping", {})
    for part in deltas(script):
        yield _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": part}})
    yield _event("content_block_stop", {"index": 0})
    if script.tool:
        yield _event("content_block_start", {"index": 1, "content_block": {**tools.anthropic(script), "input": {}}})
        delta = {"type": "input_json_delta", "partial_json": script.arguments}
        yield _event("content_block_delta", {"index": 1, "delta": delta})
        yield _event("content_block_stop", {"index": 1})
    end: dict[str, object] = {"delta": {"stop_reason": _stop(script), "stop_sequence": None}}
    if script.usage:
        end["usage"] = {key: value for key, value in _usage(script).items() if key not in _START_ONLY}
    yield _event("message_delta", end)
    yield _event("message_stop", {})


def _stop(script: Script) -> str:
    return "tool_use" if script.tool else "end_turn"


_START_ONLY = ("cache_creation", "service_tier")


def error(script: Script, request_id: str) -> bytes:
    """An error body."""
    fault = {"type": script.error, "message": "The stand-in was asked for an error."}
    return json.dumps({"type": "error", "error": fault, "request_id": request_id}).encode()


def _message(script: Script, model: str, message_id: str) -> dict[str, object]:
    body: dict[str, object] = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }
    if script.usage:
        body["usage"] = _usage(script)
    return body


def _usage(script: Script) -> dict[str, object]:
    usage: dict[str, object] = {
        "input_tokens": script.input,
        "cache_creation_input_tokens": script.write_5m + script.write_1h + script.write,
        "cache_read_input_tokens": script.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": script.write_5m + script.write,
            "ephemeral_1h_input_tokens": script.write_1h,
        },
        "output_tokens": script.output,
        "service_tier": script.tier or "standard",
    }
    if script.searches:
        usage["server_tool_use"] = {"web_search_requests": script.searches, "web_fetch_requests": 0}
    return usage


def _event(name: str, data: dict[str, object]) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()
