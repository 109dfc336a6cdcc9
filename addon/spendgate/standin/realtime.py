"""OpenAI Realtime in small: a turn for each `response.create`, and for each piece of sound, as if the server had heard its end.

Half of a script's input and of its cached input is sound, and all of its output but `reasoning`, which is text here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from spendgate.standin.script import Script

PATH = "/v1/realtime"


def session(model: str) -> dict[str, object]:
    """The first message of a connection."""
    heard = {"input": {"transcription": {"model": "whisper-1"}}}
    return {"type": "session.created", "session": {"type": "realtime", "model": model, "audio": heard}}


def turn(kind: object, script: Script) -> Iterator[dict[str, object]]:
    """What a client's message of this type is answered with."""
    if kind not in ("response.create", "input_audio_buffer.append"):
        return
    if kind == "input_audio_buffer.append":
        usage = {"type": "duration", "seconds": 3}
        done = "conversation.item.input_audio_transcription.completed"
        yield {
            "type": done,
            "item_id": f"item_{uuid.uuid4().hex}",
            "content_index": 0,
            "transcript": "hi",
            "usage": usage,
        }
    response_id = f"resp_{uuid.uuid4().hex}"
    yield {"type": "response.created", "response": {"id": response_id, "status": "in_progress", "usage": None}}
    yield {"type": "response.output_audio.delta", "response_id": response_id, "delta": "AAAA" * 100}
    yield {"type": "response.done", "response": {"id": response_id, "status": "completed", "usage": _usage(script)}}


def _usage(script: Script) -> dict[str, object]:
    total, cached = script.input + script.cache_read, script.cache_read
    spoken = script.output - script.reasoning
    return {
        "input_tokens": total,
        "output_tokens": script.output,
        "total_tokens": total + script.output,
        "input_token_details": {
            **_kinds(total),
            "cached_tokens": cached,
            "cached_tokens_details": _kinds(cached),
        },
        "output_token_details": {"text_tokens": script.reasoning, "audio_tokens": spoken},
    }


def _kinds(total: int) -> dict[str, int]:
    return {"text_tokens": total - total // 2, "audio_tokens": total // 2, "image_tokens": 0}
