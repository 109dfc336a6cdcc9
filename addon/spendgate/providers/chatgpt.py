"""The dialect `chatgpt-conversation`: a turn of ChatGPT's web or desktop app. No counts are on the wire.

A stream is in the delta encoding (`{"p","o","v"}`, text in `v`) or, older, repeats the whole message with each event. Which model
answered stands in the message's metadata; `auto` is what may have been asked for. Earlier turns are kept by the server, so a
request bounds no input. Source: facts/wire-formats.md 9.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.base import BaseDialect
from spendgate.providers.client import sender
from spendgate.providers.interface import Answer, Head, Headers, Notice, Reader
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.refusals import detail_cut, detail_error, detail_refusal
from spendgate.providers.shapes import TEXT, Shape, record
from spendgate.providers.streams import EventReader, text_bytes, tightened

UNCOUNTED: Final = "no counts on this wire"
_MESSAGE: Final = record(author=record(role=TEXT), metadata=record(model_slug=TEXT))
_EVENT: Final = Shape(v=record(message=_MESSAGE), message=_MESSAGE)
_PARTS: Final = (b'"parts":["',)


class ChatGPTConversation(BaseDialect):
    """A conversation of ChatGPT. Stateless."""

    name = "chatgpt-conversation"

    request = Scanner(Shape(model=TEXT, conversation_id=TEXT), ("model", "conversation_id"))

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of one turn."""
        model, kept = scan.fields.get("model"), scan.fields.get("conversation_id")
        return Ask(
            model=model, streamed=True, text_bytes=len(body), opaque_input=True, continues=kept, conversation=kept,
            **sender(head),
        )  # fmt: skip

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return _Stream(headers)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """An answer that is no stream holds no counts either; what it is, is not known."""
        return _Stream(headers)

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """A refusal in ChatGPT's error shape: always a 429."""
        return detail_refusal(notice)

    def error(self, status: int, message: str, request_id: str = "") -> Answer:
        """The gate's own error in ChatGPT's shape."""
        return detail_error(status, message, request_id)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """An event with an error, and the end."""
        return detail_cut(notice)


class _Stream(EventReader):
    """Reads a streamed answer."""

    marks = (b'"model_slug"', b"[DONE]")
    texts = (b"v",)

    def event(self, data: bytes) -> bool:
        """Read a whole message, or the end."""
        if data.strip() == b"[DONE]":
            self.current = replace(self.current, ended=True)
            self.flag(UNCOUNTED)
            return True
        if data.strip().startswith(b'"'):
            return False  # `event: delta_encoding` names its version so
        found = _EVENT.read(data)
        whole = found.get("message")
        message = whole or (found.get("v") or {}).get("message") or {}
        model = (message.get("metadata") or {}).get("model_slug")
        self.current = replace(self.current, model=model or self.current.model)
        if whole and (whole.get("author") or {}).get("role") == "assistant":
            # The older form repeats all of the text so far.
            self.output_bytes = max(self.output_bytes, text_bytes(tightened(data), _PARTS))
        return True
