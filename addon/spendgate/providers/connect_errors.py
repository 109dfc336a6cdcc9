"""Errors in Connect's two forms: JSON with an HTTP status for unary calls, a last envelope behind HTTP 200 for streams.

connect-es takes a plain HTTP 429 to a stream for an unreachable server and throws its body away; of a unary call it reads the
code and the message (facts/wire-formats.md 7.4). The last envelope is never compressed, which every stream allows.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Final

from spendgate.providers.connect import END, HEAD_BYTES
from spendgate.providers.interface import Answer, Notice

EXHAUSTED: Final = "resource_exhausted"
Detail = tuple[str, bytes]
"""A protobuf message that goes with an error: its type's name and its bytes."""
Details = Callable[[Notice], tuple[Detail, ...]]
_CODES: Final = {413: EXHAUSTED, 503: "unavailable"}


def error(code: str, message: str, details: tuple[Detail, ...] = ()) -> dict[str, object]:
    """An error as Connect words it in JSON."""
    found: dict[str, object] = {"code": code, "message": message}
    if details:
        found["details"] = [{"type": name, "value": _base64(value)} for name, value in details]
    return found


def last_envelope(said: dict[str, object]) -> bytes:
    """The envelope that ends a stream with this error."""
    body = json.dumps({"error": said}, separators=(",", ":")).encode()
    return bytes((END,)) + len(body).to_bytes(HEAD_BYTES - 1) + body


def stream_answer(content_type: str, said: dict[str, object], request_id: str) -> Answer:
    """A whole answer to a stream: nothing but its last envelope."""
    return Answer(200, _headers(content_type, request_id), last_envelope(said))


def unary_answer(status: int, said: dict[str, object], request_id: str) -> Answer:
    """A whole answer to a unary call."""
    return Answer(status, _headers("application/json", request_id), json.dumps(said, separators=(",", ":")).encode())


def code_of(status: int) -> str:
    """Connect's word for an error of the gate's own."""
    return _CODES.get(status, "internal")


def _headers(content_type: str, request_id: str) -> tuple[tuple[str, str], ...]:
    named = (("content-type", content_type),)
    return (*named, ("x-request-id", request_id)) if request_id else named


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode().rstrip("=")
