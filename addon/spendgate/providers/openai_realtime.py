"""The dialect `openai-realtime`: WebSocket …/realtime, speech and text both ways.

A turn is begun by a client's `response.create`, which is a call like any other, or, with the server's own detection of speech, by
silence: no message of a client stands for that one, so that nothing can be held for it, and it is metered when it is done.
`response.done` has a turn's counts, and a transcription of what was heard has counts of its own, at its own model. Audio and
images that were cached have prices of their own. Sources: facts/wire-formats.md 2.1; openai-python 3.54,
types/realtime/realtime_response_usage.py.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final
from urllib.parse import parse_qs

from spendgate.providers.base import OpenAIDialect
from spendgate.providers.client import sender
from spendgate.providers.interface import Ask, Head, Headers, Notice, Part, Reader, Reading, Result
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.openai_audio import USAGE as HEARD_USAGE
from spendgate.providers.openai_audio import audio_part
from spendgate.providers.readers import FreeReader
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
_SESSION: Final = record(
    model=TEXT,
    input_audio_transcription=record(model=TEXT),
    audio=record(input=record(transcription=record(model=TEXT))),
)
_DONE: Final = Shape(type=TEXT, response=record(id=TEXT, usage=_USAGE))
_HEARD: Final = Shape(type=TEXT, item_id=TEXT, content_index=COUNT, usage=HEARD_USAGE)
_BEGUN: Final = Shape(type=TEXT, session=_SESSION)
_CREATED: Final = Shape(type=TEXT, response=record(id=TEXT))
_TYPE: Final = Scanner(Shape(type=TEXT), ("type",))
_CREATE: Final = b'"response.create"'
_NOTHING: Final = Heard()
_CREATES_MAX: Final = 64 * 1024
"""A longer message that may be a create is one: of a call too many, nothing is lost."""
MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""A longer message is not read; the longest with counts repeats one turn's text, and its sound stands in others."""
_NAME_MAX: Final = 128
_ERROR: Final = Shape(type=TEXT)


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
        return Ask(
            model=model,
            streamed=True,
            text_bytes=len(body),
            opaque_input=True,
            loops=True,
            overheard=True,
            **sender(head),
        )

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

    def from_client(self, message: bytes) -> Generator[None, None, Ask | None]:
        """An Ask when this message asks for a turn, of the session's model. Most messages are sound, and are not parsed."""
        if not (_CREATE in message or b"\\" in message):
            return None
        if len(message) < _CREATES_MAX:
            try:
                scan = yield from _TYPE.steps(message)
            except Exception:  # noqa: BLE001  the provider may read it all the same
                scan = Scan({"type": "response.create" if _CREATE in message else None})
            if scan.fields.get("type") != "response.create":
                return None
        elif _CREATE not in message:
            return None
        return Ask(
            model=self._model,
            streamed=True,
            text_bytes=len(message),
            opaque_input=True,
            loops=True,
            overheard=True,
            **sender(self._head),
        )

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
        if b'input_audio_transcription.completed"' in message:
            heard = self._heard(_HEARD.read(message))
            return _NOTHING if heard is None else Heard((heard,))
        if b'"response.created"' in message:
            found = _CREATED.read(message)
            created = found.get("type") == "response.created"
            return Heard(begun=(found.get("response") or {}).get("id")) if created else _NOTHING
        if b'"session.' in message:
            self._begun(_BEGUN.read(message))
        elif b'"error"' in message and _ERROR.read(message).get("type") == "error":
            return Heard(failed=True)
        return _NOTHING

    def _begun(self, found: Fields) -> None:
        session: dict[str, Any] = found.get("session") or {}
        heard = ((session.get("audio") or {}).get("input") or {}).get("transcription") or {}
        self._model = session.get("model") or self._model
        self._hears = heard.get("model") or (session.get("input_audio_transcription") or {}).get("model") or self._hears

    def _done(self, found: Fields) -> Heard:
        response = found.get("response") or {}
        name = response.get("id")
        if found.get("type") != "response.done" or not name:
            return _NOTHING
        part = _part(response.get("usage"), self._model)
        return Heard(() if part is None else (_result(f"realtime {name}", part, name),), over=name)

    def _heard(self, found: Fields) -> Result | None:
        part = audio_part(found.get("usage"), self._hears)
        if part is None or not part.known or not found.get("item_id"):
            return None
        return _result(f"realtime {found['item_id']} {found.get('content_index')} heard", part, None)


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
    named = parse_qs(head.query, max_num_fields=64).get("model") if len(head.query) < 4096 else None
    return named[0][:_NAME_MAX] if named and named[0] else None
