"""One connection of a realtime session, read both ways: what a client's message asks for, what the server's says was used.

`response.done` has a turn's counts, the event of a transcription its own. Sources: facts/wire-formats.md 2.1; openai-python
3.54, types/realtime, conversation_item_input_audio_transcription_completed_event.py.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.interface import Head
from spendgate.providers.openai_audio import USAGE as HEARD_USAGE
from spendgate.providers.openai_audio import audio_part
from spendgate.providers.openai_realtime_asked import COMMIT, CREATE, UPDATES, Said, asked_of, model_of, said
from spendgate.providers.openai_realtime_usage import USAGE, turn_part
from spendgate.providers.reading import Part, Reading, Result
from spendgate.providers.shapes import COUNT, TEXT, Fields, Shape, record
from spendgate.providers.socket_interface import Heard

_NAMED: Final = record(model=TEXT)
_SESSION: Final = record(model=TEXT, input_audio_transcription=_NAMED, audio=record(input=record(transcription=_NAMED)))
_DONE: Final = Shape(type=TEXT, response=record(id=TEXT, usage=USAGE))
_HEARD: Final = Shape(type=TEXT, item_id=TEXT, content_index=COUNT, usage=HEARD_USAGE)
_BEGUN: Final = Shape(type=TEXT, session=_SESSION)
_CREATED: Final = Shape(type=TEXT, response=record(id=TEXT))
_COMMITTED: Final = Shape(type=TEXT, item_id=TEXT)
_NOTHING: Final = Heard()
MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""A longer message is not read; the longest with counts repeats one turn's text, and its sound stands in others."""
_ERROR: Final = Shape(type=TEXT, error=record(code=TEXT))
_ITEMS_MAX: Final = 256
"""What was committed and is not written down yet, of which the model is remembered."""
_BUFFER: Final = "input_audio_buffer"
"""What the codes of errors about a commit begin with."""


class RealtimeSession:
    """Reads one connection."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._model = model_of(head)
        self._hears: str | None = None
        """What writes down what is heard, as the server said last; None: nothing does."""
        self._wanted: str | None = None
        """What is to do so by a message that the server has not answered yet."""
        self._items: dict[str, str | None] = {}
        """What was committed, and by which model it is written down."""

    @property
    def models(self) -> tuple[str, ...]:
        """As `Overheard.models`: of turns, and of what is heard."""
        return tuple([name for name in (self._model, self._hears) if name is not None])

    def from_client(self, message: bytes) -> Generator[None, None, Ask | None]:
        """An Ask when this message asks for a turn of the session's model, commits what is to be written down, or names models
        that the session does not have."""
        found = yield from said(message)
        if CREATE in found.kinds:
            others = dict.fromkeys((*found.speaking, *found.hearing))
            return asked_of(self._head, self._model, message, tuple([name for name in others if name != self._model]))
        if COMMIT in found.kinds:
            model = self._wanted or self._hears
            return None if model is None else replace(asked_of(self._head, model, message), transcribes=True)
        return self._announced(found, message) if found.kinds & UPDATES else None

    def _announced(self, found: Said, message: bytes) -> Ask | None:
        there = self.models if self._wanted is None else ()
        hearing = [name for name in found.hearing if name not in there]
        named = dict.fromkeys((*reversed(hearing), *[name for name in found.speaking if name not in there]))
        if not named:
            return None
        model, *others = named
        ask = asked_of(self._head, model, message, tuple(others))
        return replace(ask, announces=True, transcribes=bool(hearing))

    def passed(self, ask: Ask) -> None:
        """What follows is written down by the model that this message names."""
        if ask.transcribes:
            self._wanted = ask.model

    def from_server(self, message: bytes) -> Heard:
        """What this message says. Never raises."""
        if len(message) > MESSAGE_BYTES_MAX:
            return _NOTHING
        try:
            return self._said(message)
        except Exception:  # noqa: BLE001  a message that is not what was expected gives nothing, and hinders none after it
            return _NOTHING

    def _said(self, message: bytes) -> Heard:
        # In the text of a message its quotes would be escaped.
        if b'"response.done"' in message:
            return self._done(_DONE.read(message))
        if b"input_audio_transcription." in message:
            return self._heard(_HEARD.read(message))
        if b'"response.created"' in message:
            found = _CREATED.read(message)
            created = found.get("type") == "response.created"
            return Heard(begun=(found.get("response") or {}).get("id")) if created else _NOTHING
        if b'"input_audio_buffer.committed"' in message:
            return self._committed(_COMMITTED.read(message))
        if b'session.created"' in message or b'session.updated"' in message:
            self._begun(_BEGUN.read(message))
        elif b'"error"' in message:
            return self._failed(_ERROR.read(message))
        return _NOTHING

    def _begun(self, found: Fields) -> None:
        if not str(found.get("type")).endswith(("session.created", "session.updated")):
            return
        session: dict[str, Any] = found.get("session") or {}
        self._model = session.get("model") or self._model
        self._wanted = None
        into = (session.get("audio") or {}).get("input") or {}
        for place, key in ((session, "input_audio_transcription"), (into, "transcription")):
            if key in place:
                self._hears = (place[key] or {}).get("model")

    def _committed(self, found: Fields) -> Heard:
        item_id = found.get("item_id")
        if found.get("type") != "input_audio_buffer.committed" or not item_id:
            return _NOTHING
        model = self._hears or self._wanted
        if model is None:
            return Heard(over=item_id, failed=True, transcribes=True)
        self._items[item_id] = model
        if len(self._items) > _ITEMS_MAX:
            del self._items[next(iter(self._items))]
        return Heard(begun=item_id, transcribes=True)

    def _failed(self, found: Fields) -> Heard:
        if found.get("type") != "error":
            return _NOTHING
        code = (found.get("error") or {}).get("code") or ""
        if code.startswith(_BUFFER):
            return Heard(failed=True, transcribes=True)
        self._wanted = None  # it may be what the server would not have
        return Heard(failed=True)

    def _done(self, found: Fields) -> Heard:
        response = found.get("response") or {}
        name = response.get("id")
        if found.get("type") != "response.done" or not name:
            return _NOTHING
        part = turn_part(response.get("usage"), self._model)
        return Heard(() if part is None else (_result(f"realtime {name}", part, name),), over=name)

    def _heard(self, found: Fields) -> Heard:
        kind, item_id = found.get("type") or "", found.get("item_id")
        if not item_id or not kind.endswith((".completed", ".failed")):
            return _NOTHING
        if kind.endswith(".failed"):
            self._items.pop(item_id, None)
            return Heard(over=item_id, failed=True, transcribes=True)
        part = audio_part(found.get("usage"), self._items.pop(item_id, self._hears or self._wanted))
        results: tuple[Result, ...] = ()
        if part is not None and part.known:
            results = (_result(f"realtime {item_id} {found.get('content_index')} heard", part, None),)
        return Heard(results, over=item_id, transcribes=True)


def _result(key: str, part: Part, response_id: str | None) -> Result:
    return Result(key, Reading((part,), part.model, response_id=response_id, final=part.known, ended=True))
