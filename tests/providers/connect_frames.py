"""Connect envelopes and Cursor's messages as tests write them, with an encoder of their own."""

from __future__ import annotations

import gzip
import json
from typing import Any

from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Head

STREAM = CaseInsensitive({"content-type": "application/connect+proto", "connect-content-encoding": "gzip"})


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = b""
    while value > 127:
        out, value = out + bytes([value % 128 + 128]), value // 128
    return out + bytes([value])


def msg(**fields: Any) -> bytes:
    """A message; `f3=…` is field 3: a number, text, bytes, or a list of them."""
    out = b""
    for name, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            number = int(name[1:]) * 8
            if isinstance(value, int):
                out += varint(number) + varint(value)
            else:
                content = value.encode() if isinstance(value, str) else value
                out += varint(number + 2) + varint(len(content)) + content
    return out


def frame(payload: bytes, flags: int = 0) -> bytes:
    """An envelope; flag 1 compresses."""
    content = gzip.compress(payload) if flags & 1 else payload
    return bytes([flags]) + len(content).to_bytes(4, "big") + content


def last(error: dict[str, Any] | None = None) -> bytes:
    """The envelope that ends a stream."""
    return frame(json.dumps({"error": error} if error else {}).encode(), 2)


def call(path: str, content_type: str = "application/connect+proto", **headers: str) -> Head:
    """The head of one of Cursor's requests."""
    named = {"content-type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Head("POST", "api2.cursor.sh", path, "", CaseInsensitive(named))


def run_request(model: str = "composer-2.5", session: str = "conv-1", **more: Any) -> bytes:
    """An AgentClientMessage that begins a turn."""
    return msg(f1=msg(f1=b"\x00state", f5=session, f9=msg(f1=model, **more)))


def text(said: str) -> bytes:
    """An AgentServerMessage with text."""
    return msg(f1=msg(f1=msg(f1=said)))


def tokens(count: int) -> bytes:
    """One that counts the screen up."""
    return msg(f1=msg(f8=msg(f1=count)))


def ended(**counts: int) -> bytes:
    """One that ends a turn."""
    return msg(f1=msg(f14=msg(**counts)))
