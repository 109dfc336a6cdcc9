"""Cohere's own dialects: `cohere-chat` (POST /v2/chat, streamed or not; /v1/chat, its stream estimated) and `cohere-embed`
(POST /v2/embed, /v1/embed).

It bills `billed_units`, not the `tokens` beside them, which count its own prompt, too; no answer names a model, so the one
that was asked for is priced. A stream gives its counts in `message-end`. Searches are billed by `search_units`, which have no
price here: flagged. Sources: facts/wire-formats.md 12; the recordings in the corpus.
"""

from __future__ import annotations

import json
from typing import Final

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.base import BaseDialect
from spendgate.providers.client import sender
from spendgate.providers.interface import Answer, Head, Headers, Notice, Reader
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.readers import BodyReader
from spendgate.providers.reading import Part, Reading
from spendgate.providers.refusals import openai_error, openai_refusal
from spendgate.providers.shapes import FACTOR, FLAG, TEXT, UNREADABLE, Fields, Shape, cap, record
from spendgate.providers.stated import FEES
from spendgate.providers.streams import EventReader
from spendgate.usage import Usage

_REQUEST: Final = Shape(model=TEXT, stream=FLAG, max_tokens=FACTOR)
_REQUEST_SCAN: Final = Scanner(
    _REQUEST,
    ("model", "stream", "max_tokens"),
    marks=rb'type"\s*:\s*"(image_url|image)"|(images|connectors|conversation_id)"\s*:',
)
_USAGE: Final = record(
    billed_units=record(input_tokens=FACTOR, output_tokens=FACTOR, search_units=FACTOR, image_tokens=FACTOR)
)
_ANSWER: Final = Shape(id=TEXT, usage=_USAGE, meta=_USAGE)
_ANSWER_SCAN: Final = Scanner(_ANSWER, ("id", "usage", "meta"))
_EVENT: Final = Shape(id=TEXT, type=TEXT, delta=record(usage=_USAGE))


class _Cohere(BaseDialect):
    """What both share. Stateless."""

    request = _REQUEST_SCAN
    output_tokens: int | None
    """The output of an answer that counts none; None where each must."""

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""
        return BodyReader(headers, _ANSWER, _ANSWER_SCAN, self._answer)

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """A refusal in Cohere's error shape: a text alone."""
        return replace(openai_refusal(notice, tool, strict=strict), body=_message(notice.message))

    def error(self, status: int, message: str, request_id: str = "") -> Answer:
        """The gate's own error in Cohere's shape."""
        return replace(openai_error(status, message, request_id), body=_message(message))

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """A last event with an error: so Cohere ends a stream that fails."""
        delta = {"finish_reason": "ERROR", "error": notice.message}
        return b"event: message-end\ndata: " + json.dumps({"type": "message-end", "delta": delta}).encode() + b"\n\n"

    def _answer(self, reading: Reading, found: Fields) -> Reading:
        usage = found.get("usage") or found.get("meta")
        reading = replace(reading, response_id=found.get("id"), ended=True)
        if usage is None or not usage.get("billed_units"):
            return replace(reading, flags=(*reading.flags, "an answer without usage"))
        return _counted(reading, usage, self.output_tokens)


class CohereChat(_Cohere):
    """Cohere's chat. Stateless."""

    name = "cohere-chat"
    output_tokens = None

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan."""
        found = scan.fields
        return Ask(
            model=found.get("model"),
            streamed=bool(found.get("stream")),
            text_bytes=len(body),
            opaque_input=bool(scan.marks),
            output_tokens_max=cap(found.get("max_tokens")),
            **sender(head),
        )

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return _Stream(headers)


class CohereEmbed(_Cohere):
    """Cohere's embeddings. Stateless."""

    name = "cohere-embed"
    output_tokens = 0

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan."""
        opaque = bool(scan.marks)
        model = scan.fields.get("model")
        return Ask(model=model, text_bytes=len(body), opaque_input=opaque, output_tokens_max=0, **sender(head))

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """Whatever a head says, nothing here streams."""
        return self.document(ask, headers)


class _Stream(EventReader):
    """Reads a streamed chat."""

    marks = (b'"message-end"', b'"usage"')
    texts = (b"text", b"thinking", b"tool_plan", b"arguments")

    def event(self, data: bytes) -> bool:
        """Read the first event and the last."""
        found = _EVENT.read(data)
        self.current = replace(self.current, response_id=self.current.response_id or found.get("id"))
        if found.get("type") == "message-end":
            self.current = replace(self.current, ended=True)
            usage = (found.get("delta") or {}).get("usage")
            if usage is not None and usage.get("billed_units"):
                self.current = _counted(self.current, usage, None)
        return True


def _counted(reading: Reading, usage: Fields, output_tokens: int | None) -> Reading:
    """The Reading with these counts. Images are input, at its price."""
    billed = usage["billed_units"]
    texts, images = _units(billed, "input_tokens"), _units(billed, "image_tokens")
    output = _units(billed, "output_tokens")
    counts = Usage(
        input_tokens=images if texts is None else texts + (images or 0),
        output_tokens=output_tokens if output is None else output,
    )
    flags = (*reading.flags, FEES) if billed.get("search_units") else reading.flags
    return replace(reading, parts=(Part(counts),), final=counts.known, flags=flags)


def _units(billed: Fields, name: str) -> int | None:
    count: int | None = billed.get(name)
    return None if count == UNREADABLE else count


def _message(text: str) -> bytes:
    return json.dumps({"message": text}).encode()
