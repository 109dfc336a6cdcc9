"""Images, transcriptions and speech in the shape of OpenAI's API (openai-python 3.54, `types/images_response.py`, `types/audio`).

A script's `input` and `output` are the tokens; of an image, half of the input is images'. A transcription is billed by seconds,
`output` of them, where its model's name begins with `whisper`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator

from spendgate.standin.script import Script

ENDS = {
    "/images/generations": "image",
    "/images/edits": "image",
    "/audio/transcriptions": "text",
    "/audio/translations": "text",
    "/audio/speech": "sound",
}
"""Ends of the paths that are answered here, and what they give."""
SOUND = "audio/mpeg"
_FIELD = re.compile(rb'name="(model|stream)"\r\n\r\n([^\r\n]{1,100})')


def form(body: bytes) -> dict[str, object]:
    """The fields of a form that decide an answer."""
    found = {name.decode(): value.decode() for name, value in _FIELD.findall(body)}
    return {"model": found.get("model", ""), "stream": found.get("stream") == "true"}


def answer(end: str, script: Script, asked: dict[str, object]) -> Iterator[bytes]:
    """The pieces of a body: of a stream one event each."""
    model, streamed = str(asked.get("model", "")), asked.get("stream") is True
    match ENDS[end]:
        case "image" if streamed:
            kind = "image_edit" if end.endswith("edits") else "image_generation"
            yield _event({"type": f"{kind}.partial_image", "b64_json": _picture(script), "partial_image_index": 0})
            yield _event({"type": f"{kind}.completed", "b64_json": _picture(script), "usage": _tokens(script)})
        case "image":
            whole = {
                "created": 1,
                "data": [{"b64_json": _picture(script)}],
                "size": "1024x1024",
                "usage": _tokens(script),
            }
            yield json.dumps(whole).encode()
        case "text" if streamed:
            yield _event({"type": "transcript.text.delta", "delta": script.text})
            yield _event({"type": "transcript.text.done", "text": script.text, "usage": _heard(script, model)})
        case "text":
            yield json.dumps({"text": script.text, "usage": _heard(script, model)}).encode()
        case _:
            yield b"\xff\xfb\x90\x00" * max(1, script.size // 4)


def _tokens(script: Script) -> dict[str, object]:
    details = {"image_tokens": script.input // 2, "text_tokens": script.input - script.input // 2}
    total = script.input + script.output
    return {
        "input_tokens": script.input, "output_tokens": script.output, "total_tokens": total, "input_tokens_details": details,
    }  # fmt: skip


def _heard(script: Script, model: str) -> dict[str, object]:
    if model.startswith("whisper"):
        return {"type": "duration", "seconds": script.output}
    total = script.input + script.output
    details = {"audio_tokens": script.input, "text_tokens": 0}
    return {
        "type": "tokens", "input_tokens": script.input, "output_tokens": script.output, "total_tokens": total,
        "input_token_details": details,
    }  # fmt: skip


def _picture(script: Script) -> str:
    return base64.b64encode(b"\x89PNG" * max(1, script.size // 4)).decode()


def _event(fields: dict[str, object]) -> bytes:
    return f"event: {fields['type']}\ndata: {json.dumps(fields)}\n\n".encode()
