"""What a handshake and a client's message ask for in a realtime session: a turn, what was heard in writing, or another session.

Most messages are sound, and are not parsed. Of a key that stands twice each value counts. Sources: openai-python 3.54,
types/realtime (`session_update_event`, `input_audio_buffer_commit_event`); the beta's `transcription_session.update` and
`input_audio_transcription`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final
from urllib.parse import parse_qs

from msgspec import Struct

from spendgate.providers.ask import Ask
from spendgate.providers.client import sender
from spendgate.providers.interface import Head
from spendgate.providers.repeated import UNNAMED, names_at

CREATE: Final = "response.create"
COMMIT: Final = "input_audio_buffer.commit"
UPDATES: Final = frozenset({"session.update", "transcription_session.update"})
_MARKS: Final = tuple(f'"{kind}"'.encode() for kind in (CREATE, COMMIT, *sorted(UPDATES)))
_SESSIONS: Final = ("session", "response")
"""Where a message may name the model that speaks."""
_HEARING: Final = (
    ("session", "audio", "input", "transcription", "model"),
    ("session", "input_audio_transcription", "model"),
)
"""Where it may name the one that writes down what is heard, now and before."""
_NAME_MAX: Final = 128


class Said(Struct, frozen=True):
    """What one message says, as far as it costs."""

    kinds: frozenset[str]
    """Its type; of one that stands twice, or that cannot be read, each that it may have."""
    speaking: tuple[str, ...] = ()
    """Models that it names for turns."""
    hearing: tuple[str, ...] = ()
    """Models that it names for what is heard; the last is the one that most servers take."""


NOTHING: Final = Said(frozenset())


def said(message: bytes) -> Generator[None, None, Said]:
    """Read one message, in steps of well under a millisecond. Never raises."""
    marked = frozenset(mark[1:-1].decode() for mark in _MARKS if mark in message)
    if not marked and b"\\" not in message:
        return NOTHING
    try:
        kinds = frozenset((yield from names_at(message, "type")))
        if not kinds & {CREATE, COMMIT, *UPDATES}:
            return NOTHING
        if b'"model"' not in message and b"\\" not in message:
            return Said(kinds)
        speaking, hearing = [], []
        for place in _SESSIONS:
            speaking += yield from names_at(message, place, "model")
        for path in _HEARING:
            hearing += yield from names_at(message, *path)
    except Exception:  # noqa: BLE001  the provider may read it all the same
        return Said(marked)
    return Said(kinds, _named(speaking), _named(hearing))


def _named(names: list[str]) -> tuple[str, ...]:
    # What is not named here the server tells, and is looked at then.
    return tuple(dict.fromkeys(name for name in names if name != UNNAMED))


def asked_of(head: Head, model: str | None, message: bytes, also: tuple[str, ...] = ()) -> Ask:
    """What a turn or a transcription asks for: sound, whose length does not show."""
    return Ask(
        model=model,
        also=also,
        streamed=True,
        text_bytes=len(message),
        opaque_input=True,
        loops=True,
        overheard=True,
        **sender(head),
    )


def model_of(head: Head) -> str | None:
    """The model that a handshake names."""
    named = _query(head).get("model") or _query(head).get("deployment")  # Azure's word for it
    return named[0][:_NAME_MAX] if named and named[0] else None


def hears_only(head: Head) -> bool:
    """Whether a handshake is for a session without turns."""
    return "transcription" in _query(head).get("intent", ())


def _query(head: Head) -> dict[str, list[str]]:
    return parse_qs(head.query, max_num_fields=64) if len(head.query) < 4096 else {}
