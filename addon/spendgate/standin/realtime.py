"""OpenAI Realtime in small: a turn for each `response.create`, and for each piece of sound, as if the server had heard its end.

Nothing that is heard is written down before a `session.update` names a model for it, but in a session for transcription alone
(`?intent=transcription`), which has no turns. With `turn_detection: null` sound waits for `input_audio_buffer.commit`. Half of
a script's input and of its cached input is sound, and all of its output but `reasoning`, which is text here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from spendgate.standin.script import Script

PATH = "/v1/realtime"
WORKS = frozenset({"response.created", "input_audio_buffer.committed"})
"""Events behind which a script's delay lies."""


class Session:
    """One connection, by the path of its handshake."""

    def __init__(self, path: str) -> None:
        self._speaks = "intent=transcription" not in path
        self._hears = None if self._speaks else "whisper-1"
        self._commits_itself = True
        self._sound = 0

    def described(self, kind: str) -> dict[str, object]:
        """The session as it is now, as the message of this type that tells it."""
        heard = None if self._hears is None else {"model": self._hears}
        session: dict[str, object] = {"type": "realtime", "audio": {"input": {"transcription": heard}}}
        if self._speaks:
            session["model"] = "gpt-realtime"
        return {"type": kind, "session": session}

    def answer(self, said: dict[str, Any], script: Script) -> Iterator[dict[str, object]]:
        """What a client's message is answered with."""
        kind = said.get("type")
        if kind in ("session.update", "transcription_session.update"):
            self._update(said.get("session") or {})
            yield self.described("session.updated")
        elif kind == "input_audio_buffer.append":
            self._sound += 1
            if self._commits_itself:
                yield from self._committed()
                if self._speaks:
                    yield from _turn(script)
        elif kind == "input_audio_buffer.commit" and not self._sound:
            error = {"type": "invalid_request_error", "code": "input_audio_buffer_commit_empty", "message": "no sound"}
            yield {"type": "error", "error": error}
        elif kind == "input_audio_buffer.commit":
            yield from self._committed()
        elif kind == "response.create" and self._speaks:
            yield from _turn(script)

    def _update(self, given: dict[str, Any]) -> None:
        into = (given.get("audio") or {}).get("input") or {}
        for place, key in ((given, "input_audio_transcription"), (into, "transcription")):
            if key in place:
                self._hears = (place[key] or {}).get("model")
        if "turn_detection" in into:
            self._commits_itself = into["turn_detection"] is not None

    def _committed(self) -> Iterator[dict[str, object]]:
        item_id, self._sound = f"item_{uuid.uuid4().hex}", 0
        yield {"type": "input_audio_buffer.committed", "item_id": item_id}
        if self._hears is not None:
            done = "conversation.item.input_audio_transcription.completed"
            usage = {"type": "duration", "seconds": 3}
            yield {"type": done, "item_id": item_id, "content_index": 0, "transcript": "hi", "usage": usage}


def _turn(script: Script) -> Iterator[dict[str, object]]:
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
