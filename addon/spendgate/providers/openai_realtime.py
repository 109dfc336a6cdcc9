"""The dialect `openai-realtime`: WebSocket …/realtime, speech and text both ways.

A turn is begun by a client's `response.create`, which is a call like any other, or, with the server's own detection of speech, by
silence: no message of a client stands for that one, so that nothing can be held for it, and it is metered when it is done.
What is heard is written down by a model of its own, where the session names one, once it is committed: by a client's
`input_audio_buffer.commit`, a call of that model, or by silence. `response.done` has a turn's counts, the event of a
transcription its own. Audio and images that were cached have prices of their own. Sources: facts/wire-formats.md 2.1;
openai-python 3.54, types/realtime/realtime_response_usage.py, conversation_item_input_audio_transcription_completed_event.py.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final
from urllib.parse import parse_qs

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.base import OpenAIDialect
from spendgate.providers.client import sender
from spendgate.providers.interface import Head, Headers, Notice, Reader
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.openai_audio import USAGE as HEARD_USAGE
from spendgate.providers.openai_audio import audio_part
from spendgate.providers.openai_realtime_asked import COMMIT, CREATE, UPDATES, Said, said
from spendgate.providers.readers import FreeReader
from spendgate.providers.reading import Part, Reading, Result
from spendgate.providers.refusals import openai_error_frame
from spendgate.providers.shapes import COUNT, TEXT, Fields, Shape, record
from spendgate.providers.socket_interface import Heard
from spendgate.usage import Usage

_KINDS: Final = {"text_tokens": COUNT, "audio_tokens": COUNT, "image_tokens": COUNT}
_USAGE: Final = record(
    input_tokens=COUNT,
    output_tokens=COUNT,
    input_token_details=record(**_KINDS, cached_tokens=COUNT, cached_tokens_details=record(**_KINDS)),
    output_token_details=record(**_KINDS),
)
_NAMED: Final = record(model=TEXT)
_SESSION: Final = record(model=TEXT, input_audio_transcription=_NAMED, audio=record(input=record(transcription=_NAMED)))
_DONE: Final = Shape(type=TEXT, response=record(id=TEXT, usage=_USAGE))
_HEARD: Final = Shape(type=TEXT, item_id=TEXT, content_index=COUNT, usage=HEARD_USAGE)
_BEGUN: Final = Shape(type=TEXT, session=_SESSION)
_CREATED: Final = Shape(type=TEXT, response=record(id=TEXT))
_COMMITTED: Final = Shape(type=TEXT, item_id=TEXT)
_NOTHING: Final = Heard()
MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""A longer message is not read; the longest with counts repeats one turn's text, and its sound stands in others."""
_NAME_MAX: Final = 128
_ERROR: Final = Shape(type=TEXT, error=record(code=TEXT))
_ITEMS_MAX: Final = 256
"""What was committed and is not written down yet, of which the model is remembered."""
_BUFFER: Final = "input_audio_buffer"
"""What the codes of errors about a commit begin with."""


class OpenAIRealtime(OpenAIDialect):
    """OpenAI Realtime. Stateless."""

    name = "openai-realtime"

    request = Scanner(Shape(model=TEXT), ("model",))

    def ask(self, head: Head, body: bytes) -> Ask:
        """What a handshake asks for: whatever the session will be. Its query names the model."""
        return self.asked(head, body, self.request.read(body) if body else Scan({}))

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """The same in steps."""
        scan = (yield from self.request.steps(body)) if body else Scan({})
        return self.asked(head, body, scan)

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a handshake."""
        model = _model(head) or scan.fields.get("model")
        # A session for transcription alone is named its model later; that one is asked about then.
        return replace(_ask(head, model, body), transcribes=model is None and _hears_only(head))

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """Nothing is answered outside of a socket."""
        return FreeReader(headers)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """As for events."""
        return FreeReader(headers)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """The error event, as a message."""
        return openai_error_frame(notice)

    cut_frame = cut

    def refusal_frame(self, notice: Notice, tool: str | None, *, strict: bool = False) -> bytes:
        """The same."""
        return openai_error_frame(notice)

    def overheard(self, head: Head) -> RealtimeSession:
        """A reader of one connection; `head` is its handshake's."""
        return RealtimeSession(head)


class RealtimeSession:
    """Reads one connection."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._model = _model(head)
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
            return _ask(self._head, self._model, message, tuple([name for name in others if name != self._model]))
        if COMMIT in found.kinds:
            model = self._wanted or self._hears
            return None if model is None else replace(_ask(self._head, model, message), transcribes=True)
        return self._announced(found, message) if found.kinds & UPDATES else None

    def _announced(self, found: Said, message: bytes) -> Ask | None:
        there = self.models if self._wanted is None else ()
        hearing = [name for name in found.hearing if name not in there]
        named = dict.fromkeys((*reversed(hearing), *[name for name in found.speaking if name not in there]))
        if not named:
            return None
        model, *others = named
        ask = _ask(self._head, model, message, tuple(others))
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
        part = _part(response.get("usage"), self._model)
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


def _ask(head: Head, model: str | None, message: bytes, also: tuple[str, ...] = ()) -> Ask:
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


def _result(key: str, part: Part, response_id: str | None) -> Result:
    return Result(key, Reading((part,), part.model, response_id=response_id, final=part.known, ended=True))


def _part(usage: Fields | None, model: str | None) -> Part | None:
    """Counts by kind of token, cached ones apart; each kind's total holds its cached ones, as in genai-prices."""
    given: dict[str, Any] = usage or {}
    total, output = given.get("input_tokens"), given.get("output_tokens")
    if total is None or output is None:
        return None
    into = given.get("input_token_details") or {}
    cached_kinds = into.get("cached_tokens_details") or {}
    cached = min(into.get("cached_tokens") or 0, total)
    units: dict[str, int] = {}
    left, cached_left = total, cached
    for kind in ("audio", "image"):
        count = min(into.get(f"{kind}_tokens") or 0, left)
        if count:
            of_it = min(cached_kinds.get(f"{kind}_tokens") or 0, count, cached_left)
            units |= {f"input_{kind}_tokens": count, f"cache_{kind}_read_tokens": of_it}
            left, cached_left = left - count, cached_left - of_it
    # What was cached of no kind is text's, of which there may be less.
    if cached_left > left:
        units = {}
    audio_cached = units.get("cache_audio_read_tokens", 0)
    fresh_audio = min(units.get("input_audio_tokens", 0) - audio_cached, total - cached)
    spoken = min((given.get("output_token_details") or {}).get("audio_tokens") or 0, output)
    usage_found = Usage(
        input_tokens=total - cached,
        cache_read_tokens=cached,
        output_tokens=output,
        input_audio_tokens=fresh_audio,
        output_audio_tokens=spoken,
    )
    return Part(usage_found, model, units=units)


def _model(head: Head) -> str | None:
    named = _query(head).get("model") or _query(head).get("deployment")  # Azure's word for it
    return named[0][:_NAME_MAX] if named and named[0] else None


def _hears_only(head: Head) -> bool:
    """Whether a handshake is for a session without turns."""
    return "transcription" in _query(head).get("intent", ())


def _query(head: Head) -> dict[str, list[str]]:
    return parse_qs(head.query, max_num_fields=64) if len(head.query) < 4096 else {}
