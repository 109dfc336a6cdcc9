"""Answers of apps with backends of their own, which give no counts: claude.ai and ChatGPT. Source: facts/wire-formats.md 8, 9."""

from __future__ import annotations

import json
from collections.abc import Iterator

from spendgate.standin.script import Script
from spendgate.standin.text import deltas


def claude_ai(script: Script, model: str, answer_id: str) -> Iterator[bytes]:
    """The events of one turn of claude.ai."""
    yield _named("message_start", message={"id": answer_id, "type": "message", "role": "assistant", "model": model})
    yield _named("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for part in deltas(script):
        yield _named("content_block_delta", index=0, delta={"type": "text_delta", "text": part})
    yield _named("content_block_stop", index=0)
    yield _named("message_delta", delta={"stop_reason": "end_turn"})
    yield _named("message_limit", message_limit={"type": "within_limit", "overageInUse": False})
    yield _named("message_stop")


def chatgpt(script: Script, model: str, answer_id: str) -> Iterator[bytes]:
    """The events of one turn of ChatGPT, in its delta encoding."""
    yield b'event: delta_encoding\ndata: "v1"\n\n'
    author, metadata = {"role": "assistant"}, {"model_slug": model}
    message = {"id": answer_id, "author": author, "metadata": metadata, "content": {"parts": [""]}}
    yield _data({"p": "", "o": "add", "v": {"message": message}})
    for part in deltas(script):
        yield _data({"p": "/message/content/parts/0", "o": "append", "v": part})
    yield b"data: [DONE]\n\n"


def _named(kind: str, **more: object) -> bytes:
    return f"event: {kind}\n".encode() + _data({"type": kind, **more})


def _data(event: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"
