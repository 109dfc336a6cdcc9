"""What is worked off later: background responses and batches, ordered by one request and read by others.

A background response is `queued` in the answer to its POST, `in_progress` at the first poll and `completed` from the second on. A
batch has ended as soon as it is asked for. What was ordered is remembered for this process, up to `ORDERS_MAX`.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from spendgate.standin import anthropic, openai
from spendgate.standin.script import Script

ORDERS_MAX = 1_000
MESSAGES_BATCHES = "/v1/messages/batches"

Pieces = Iterator[bytes]


@dataclass(slots=True)
class _Order:
    script: Script
    model: str
    asked: list[dict[str, object]]
    polls: int = 0


_orders: OrderedDict[str, _Order] = OrderedDict()
_files: OrderedDict[str, list[dict[str, object]]] = OrderedDict()


def background(script: Script, model: str, response_id: str) -> Pieces:
    """The answer to a POST with `background: true`."""
    _remember(_orders, response_id, _Order(script, model, []))
    yield json.dumps(_response(script, model, response_id, "queued")).encode()


def ordered(method: str, path: str, body: bytes, new_id: str, *, script: Script, streamed: bool) -> Pieces | None:
    """The answer to whatever orders a batch or reads what was ordered; None: nothing of that kind."""
    match method, path.removeprefix("/v1/").split("/"):
        case "POST", ["messages", "batches"]:
            asked = json.loads(body)["requests"]
            _remember(_orders, f"msgbatch_{new_id}", _Order(script, "", asked))
            return _document(_message_batch(f"msgbatch_{new_id}", len(asked)))
        case "GET", ["messages", "batches", batch]:
            return _document(_message_batch(batch, len(_orders[batch].asked))) if batch in _orders else None
        case "GET", ["messages", "batches", batch, "results"]:
            return _messages(batch, _orders[batch]) if batch in _orders else None
        case "POST", ["files"]:
            _remember(_files, f"file-{new_id}", _lines(body))
            return _document({"id": f"file-{new_id}", "object": "file", "purpose": "batch", "filename": "b.jsonl",
                              "bytes": len(body), "created_at": openai.CREATED_S, "status": "processed"})  # fmt: skip
        case "POST", ["batches"]:
            asked = _files.get(str(json.loads(body)["input_file_id"]), [])
            _remember(_orders, f"file-out{new_id}", _Order(script, "", asked))
            return _document({"id": f"batch_{new_id}", "object": "batch", "endpoint": "/v1/responses",
                              "input_file_id": "file", "completion_window": "24h", "status": "completed",
                              "output_file_id": f"file-out{new_id}", "created_at": openai.CREATED_S})  # fmt: skip
        case "GET", ["files", file, "content"]:
            return _bodies(file, _orders[file]) if file in _orders else None
        case "GET", ["responses", response_id] if response_id in _orders:
            return _polled(response_id, _orders[response_id], streamed=streamed)
    return None


def _polled(response_id: str, order: _Order, *, streamed: bool) -> Pieces:
    order.polls += 1
    if streamed:
        for piece in openai.response_stream(order.script, order.model, response_id):
            yield piece.replace(b'"object": "response"', b'"object": "response", "background": true')
        return
    status = "in_progress" if order.polls == 1 else "completed"
    yield json.dumps(_response(order.script, order.model, response_id, status)).encode()


def _response(script: Script, model: str, response_id: str, status: str) -> dict[str, object]:
    whole = json.loads(b"".join(openai.response(script, model, response_id)))
    if status != "completed":
        whole |= {"output": [], "usage": None}
    return {**whole, "status": status, "background": True}


def _message_batch(batch: str, count: int) -> dict[str, object]:
    counts = {"canceled": 0, "errored": 0, "expired": 0, "processing": 0, "succeeded": count}
    times = {
        "created_at": "2026-11-01T00:00:00Z",
        "expires_at": "2026-11-02T00:00:00Z",
        "ended_at": "2026-11-01T00:01:00Z",
    }
    url = f"https://api.anthropic.com{MESSAGES_BATCHES}/{batch}/results"
    return {"id": batch, "type": "message_batch", "processing_status": "ended", "request_counts": counts,
            "results_url": url, "archived_at": None, "cancel_initiated_at": None, **times}  # fmt: skip


def _messages(batch: str, order: _Order) -> Pieces:
    for number, one in enumerate(order.asked):
        params = one["params"]
        model = str(params["model"]) if isinstance(params, dict) else ""
        message = json.loads(b"".join(anthropic.message(order.script, model, f"msg_{batch}_{number}")))
        message["usage"]["service_tier"] = "batch"
        result = {"type": "succeeded", "message": message}
        yield json.dumps({"custom_id": one["custom_id"], "result": result}).encode() + b"\n"


def _bodies(file: str, order: _Order) -> Pieces:
    for number, one in enumerate(order.asked):
        asked = one["body"]
        model = str(asked["model"]) if isinstance(asked, dict) else ""
        body = json.loads(b"".join(openai.response(order.script, model, f"resp_{file}_{number}")))
        response = {"status_code": 200, "request_id": f"req_{number}", "body": body}
        line = {"id": f"batch_req_{file}_{number}", "custom_id": one["custom_id"], "response": response, "error": None}
        yield json.dumps(line).encode() + b"\n"


def _lines(body: bytes) -> list[dict[str, object]]:
    """The JSON lines of an uploaded form, whatever stands around them."""
    return [json.loads(line) for line in re.findall(rb'^\{"custom_id".*\}\r?$', body, re.MULTILINE)]


def _document(fields: dict[str, object]) -> Pieces:
    return iter([json.dumps(fields).encode()])


def _remember[T](kept: OrderedDict[str, T], name: str, what: T) -> None:
    kept[name] = what
    if len(kept) > ORDERS_MAX:
        kept.popitem(last=False)
