"""Answers in the shapes of OpenAI's Chat Completions, Responses and Embeddings APIs (facts: openai-python's types).

Input counts include what was read from and written to caches, output counts include reasoning: the opposite of Anthropic.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from spendgate.standin import tools
from spendgate.standin.script import Script
from spendgate.standin.text import MARK, deltas, filled

CREATED_S = 1_790_000_000
"""The moment that answers name: fixed, so that an answer is the same each time."""


def chat(script: Script, model: str, answer_id: str, choices: int) -> Iterator[bytes]:
    """A chat completion that is not streamed, in pieces."""
    message: dict[str, object] = {"role": "assistant", "content": MARK, "refusal": None}
    if script.tool:
        message["tool_calls"] = [tools.chat(script)]
    first = {"index": 0, "finish_reason": _stop(script), "message": message}
    more = [{**first, "index": n, "message": {"role": "assistant", "content": ""}} for n in range(1, choices)]
    body: dict[str, object] = {**_chat(script, model, answer_id, "chat.completion"), "choices": [first, *more]}
    if script.usage:
        body["usage"] = _chat_usage(script)
    return filled(body, script)


def chat_stream(script: Script, model: str, answer_id: str, *, usage_asked: bool) -> Iterator[bytes]:
    """The events of a streamed chat completion. Without `stream_options.include_usage` no counts are sent anywhere; with it each
    other chunk says that it has none."""
    nothing: dict[str, object] = {"usage": None} if usage_asked else {}
    head = _chat(script, model, answer_id, "chat.completion.chunk")
    for part in deltas(script):
        delta = {"index": 0, "delta": {"role": "assistant", "content": part}, "finish_reason": None}
        yield _data({**head, "choices": [delta], **nothing})
    if script.tool:
        called = {"index": 0, "delta": {"tool_calls": [tools.chat(script)]}, "finish_reason": None}
        yield _data({**head, "choices": [called], **nothing})
    yield _data({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": _stop(script)}], **nothing})
    if usage_asked and script.usage:
        yield _data({**head, "choices": [], "usage": _chat_usage(script)})
    yield b"data: [DONE]\n\n"


def response(script: Script, model: str, response_id: str) -> Iterator[bytes]:
    """A response that is not streamed, in pieces."""
    return filled(_response(script, model, response_id, "completed", _outputs(script, response_id, MARK)), script)


def response_events(script: Script, model: str, response_id: str) -> Iterator[dict[str, object]]:
    """The events of a streamed response, the same over SSE and WebSocket."""
    item, where = _output(response_id, ""), {"output_index": 0, "content_index": 0, "item_id": f"msg_{response_id}"}
    started = _response(script, model, response_id, "in_progress", [])
    text = "" if script.size else "".join(deltas(script))
    full = _output(response_id, text)
    ended = _response(script, model, response_id, "completed", _outputs(script, response_id, text))
    part = {"type": "output_text", "annotations": []}
    events: Iterator[tuple[str, dict[str, object]]] = iter(
        [
            ("response.created", {"response": started}),
            ("response.in_progress", {"response": started}),
            (
                "response.output_item.added",
                {"output_index": 0, "item": {**item, "status": "in_progress", "content": []}},
            ),
            ("response.content_part.added", {**where, "part": {**part, "text": ""}}),
        ]
    )
    yield from _numbered(events, 0)
    deltas_sent = 0
    for delta in deltas(script):
        yield {"type": "response.output_text.delta", "sequence_number": 4 + deltas_sent, **where, "delta": delta}
        deltas_sent += 1
    tail: Iterator[tuple[str, dict[str, object]]] = iter(
        [
            ("response.output_text.done", {**where, "text": text}),
            ("response.content_part.done", {**where, "part": {**part, "text": text}}),
            ("response.output_item.done", {"output_index": 0, "item": full}),
            *_called(script, response_id),
            ("response.completed", {"response": ended}),
        ]
    )
    yield from _numbered(tail, 4 + deltas_sent)


def response_stream(script: Script, model: str, response_id: str) -> Iterator[bytes]:
    """The server-sent events of a streamed response, one in each piece."""
    for event in response_events(script, model, response_id):
        yield f"event: {event['type']}\n".encode() + _data(event)


def embeddings(script: Script, model: str) -> Iterator[bytes]:
    """One embedding of three numbers."""
    body: dict[str, object] = {
        "object": "list",
        "model": model,
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.125]}],
    }
    if script.usage:
        body["usage"] = {"prompt_tokens": script.input, "total_tokens": script.input}
    yield json.dumps(body).encode()


def error(script: Script) -> bytes:
    """An error body."""
    fault = {
        "message": "The stand-in was asked for an error.",
        "type": script.error,
        "param": None,
        "code": script.error,
    }
    return json.dumps({"error": fault}).encode()


def _chat(script: Script, model: str, answer_id: str, kind: str) -> dict[str, object]:
    head = {"id": answer_id, "object": kind, "created": CREATED_S, "model": model}
    return {**head, "service_tier": script.tier or "default"}


def _chat_usage(script: Script) -> dict[str, object]:
    inputs = script.input + script.cache_read + script.write
    return {
        "prompt_tokens": inputs,
        "completion_tokens": script.output,
        "total_tokens": inputs + script.output,
        "prompt_tokens_details": {
            "cached_tokens": script.cache_read,
            "cache_write_tokens": script.write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {"reasoning_tokens": script.reasoning, "audio_tokens": 0},
        **_cost(script),
    }


def _cost(script: Script) -> dict[str, object]:
    """What an answer says that it cost."""
    stated: dict[str, object] = {"cost": float(script.cost), "is_byok": False} if script.cost else {}
    return {**stated, "cost_in_usd_ticks": script.ticks} if script.ticks else stated


def _response(script: Script, model: str, response_id: str, status: str, output: list[object]) -> dict[str, object]:
    inputs = script.input + script.cache_read + script.write
    usage = {
        "input_tokens": inputs,
        "input_tokens_details": {"cached_tokens": script.cache_read, "cache_write_tokens": script.write},
        "output_tokens": script.output,
        "output_tokens_details": {"reasoning_tokens": script.reasoning},
        "total_tokens": inputs + script.output,
        **_cost(script),
    }
    return {
        "id": response_id,
        "object": "response",
        "created_at": CREATED_S,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "service_tier": script.tier or "default",
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage if script.usage and status == "completed" else None,
    }


def _output(response_id: str, text: str) -> dict[str, object]:
    content = {"type": "output_text", "text": text, "annotations": []}
    head = {"id": f"msg_{response_id}", "type": "message", "role": "assistant", "status": "completed"}
    return {**head, "content": [content]}


def _outputs(script: Script, response_id: str, text: str) -> list[object]:
    called = [tools.responses(script, response_id, script.arguments)] if script.tool else []
    return [_output(response_id, text), *called]


def _called(script: Script, response_id: str) -> list[tuple[str, dict[str, object]]]:
    """The events of a tool call, where there is one."""
    if not script.tool:
        return []
    begun, full = (
        tools.responses(script, response_id, "", "in_progress"),
        tools.responses(script, response_id, script.arguments),
    )
    where = {"output_index": 1, "item_id": begun["id"]}
    return [
        ("response.output_item.added", {"output_index": 1, "item": begun}),
        ("response.function_call_arguments.delta", {**where, "delta": script.arguments}),
        ("response.function_call_arguments.done", {**where, "arguments": script.arguments}),
        ("response.output_item.done", {"output_index": 1, "item": full}),
    ]


def _stop(script: Script) -> str:
    return "tool_calls" if script.tool else "stop"


def _numbered(events: Iterator[tuple[str, dict[str, object]]], first: int) -> Iterator[dict[str, object]]:
    for number, (kind, event) in enumerate(events, first):
        yield {"type": kind, "sequence_number": number, **event}


def _data(event: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"
