"""Answers in the shapes of Bedrock's four operations: InvokeModel, Converse and their event streams (facts 5).

Claude answers InvokeModel as on its own API, and AWS counts once more beside it: in headers, in a stream in its last event.
Models of others are counted there alone. In Converse all models answer alike. Input counts exclude what caches gave and took.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from urllib.parse import unquote
from zlib import crc32

from spendgate.standin import anthropic
from spendgate.standin.script import Script
from spendgate.standin.text import MARK, deltas, filled

EVENTS = "application/vnd.amazon.eventstream"
OPERATIONS = ("/invoke", "/invoke-with-response-stream", "/converse", "/converse-stream")
"""Ends of the paths that are billed."""
_NAMES = {
    400: "ValidationException",
    403: "InvalidSignatureException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
Headers = tuple[tuple[str, str], ...]


def answer(operation: str, script: Script, model: str, answer_id: str) -> tuple[Headers, Iterator[bytes]]:
    """(headers, pieces of the body) of an answer to one of `OPERATIONS`. `model` as the path has it; bodies have its own name."""
    if operation == "/converse":
        return (), filled(_converse(script), script)
    if operation == "/converse-stream":
        return (), (_frame(kind, event) for kind, event in _converse_events(script))
    counted = _counts(script) if script.usage else {}
    if operation == "/invoke":
        headers = tuple((f"x-amzn-bedrock-{name}-token-count", str(count)) for name, count in counted.items())
        return headers, _invoke(script, model, answer_id)
    metrics = {f"{_camel(name)}TokenCount": count for name, count in counted.items()}
    return (), _chunks(script, model, answer_id, {**metrics, "invocationLatency": 900, "firstByteLatency": 300})


def is_stream(operation: str) -> bool:
    """Whether an operation answers with an event stream."""
    return operation.endswith("-stream")


def model_of(path: str) -> str:
    """The model that a path names, as AWS's services would read it, below whatever stands in front: also an ARN, whole."""
    return unquote(path).rpartition("/model/")[2].rpartition("/")[0]


def error(status: int, message: str) -> tuple[Headers, bytes]:
    """(headers, body) of an error."""
    return (("x-amzn-errortype", _NAMES.get(status, "InternalServerException")),), json.dumps(
        {"message": message}
    ).encode()


def _is_claude(model: str) -> bool:
    """Of a model that an ARN hides nothing is known; here it is a Claude."""
    return "anthropic." in model or model.startswith("arn:")


def _own_name(model: str) -> str:
    return "claude-sonnet-4-6" if model.startswith("arn:") else model.rpartition("anthropic.")[2]


def _invoke(script: Script, model: str, answer_id: str) -> Iterator[bytes]:
    if _is_claude(model):
        return anthropic.message(script, _own_name(model), answer_id)
    if "embed" in model:
        return iter([json.dumps({"embedding": [0.1, 0.2], "inputTextTokenCount": script.input}).encode()])
    return filled({"generation": MARK, "stop_reason": "stop"}, script)


def _chunks(script: Script, model: str, answer_id: str, metrics: dict[str, int]) -> Iterator[bytes]:
    """The model's own events, each in a frame of its own; AWS's counts in the last."""
    events = _claude_events(script, model, answer_id) if _is_claude(model) else _other_events(script)
    waiting = next(events)
    for event in events:
        yield _chunk(waiting)
        waiting = event
    yield _chunk({**waiting, "amazon-bedrock-invocationMetrics": metrics})


def _claude_events(script: Script, model: str, answer_id: str) -> Iterator[dict[str, object]]:
    for event in anthropic.stream(script, _own_name(model), answer_id):
        yield json.loads(event.partition(b"data: ")[2])


def _other_events(script: Script) -> Iterator[dict[str, object]]:
    for part in deltas(script):
        yield {"generation": part, "stop_reason": None}
    yield {"generation": "", "stop_reason": "stop"}


def _chunk(event: dict[str, object]) -> bytes:
    return _frame("chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode(), "p": "abcdefgh"})


def _converse(script: Script) -> dict[str, object]:
    message = {"role": "assistant", "content": [{"text": MARK}]}
    usage = {"usage": _usage(script)} if script.usage else {}
    return {"output": {"message": message}, "stopReason": "end_turn", **usage, "metrics": {"latencyMs": 900}}


def _converse_events(script: Script) -> Iterator[tuple[str, dict[str, object]]]:
    yield "messageStart", {"role": "assistant", "p": "ab"}
    for part in deltas(script):
        yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": part}, "p": "abcd"}
    yield "contentBlockStop", {"contentBlockIndex": 0, "p": "abc"}
    yield "messageStop", {"stopReason": "end_turn", "p": "a"}
    if script.usage:
        yield "metadata", {"usage": _usage(script), "metrics": {"latencyMs": 900}, "p": "abcdef"}


def _usage(script: Script) -> dict[str, object]:
    written = script.write_5m + script.write_1h + script.write
    usage: dict[str, object] = {
        "inputTokens": script.input,
        "outputTokens": script.output,
        "totalTokens": script.input + script.cache_read + written + script.output,
        "cacheReadInputTokens": script.cache_read,
        "cacheWriteInputTokens": written,
    }
    if written:
        details = (("5m", script.write_5m + script.write), ("1h", script.write_1h))
        usage["cacheDetails"] = [{"ttl": ttl, "inputTokens": count} for ttl, count in details if count]
    return usage


def _counts(script: Script) -> dict[str, int]:
    """AWS's own counters. An answer without output (an embedding) has no counter of it."""
    counts = {
        "input": script.input,
        "output": script.output,
        "cache-read-input": script.cache_read,
        "cache-write-input": script.write_5m + script.write_1h + script.write,
    }
    return {name: count for name, count in counts.items() if count or name == "input"}


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(part.capitalize() for part in rest)


def _frame(kind: str, payload: dict[str, object]) -> bytes:
    """One message of the event stream, with both its checksums."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    block = b"".join(_header(name, value) for name, value in headers.items())
    body = json.dumps(payload).encode()
    lengths = struct.pack(">II", len(block) + len(body) + 16, len(block))
    front = lengths + struct.pack(">I", crc32(lengths)) + block + body
    return front + struct.pack(">I", crc32(front))


def _header(name: str, value: str) -> bytes:
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
