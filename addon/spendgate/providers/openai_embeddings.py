"""The dialect `openai-embeddings`: POST …/embeddings. One count, of input; never streamed. Facts: wire-formats.md 2.1."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Final

from spendgate.providers.client import sender
from spendgate.providers.interface import Answer, Ask, Head, Headers, Notice, Part, Reader, Reading
from spendgate.providers.jsonscan import Scanner
from spendgate.providers.openai_usage import USAGE, usage_of
from spendgate.providers.readers import BodyReader, FreeReader
from spendgate.providers.refusals import chat_cut, openai_error, openai_refusal
from spendgate.providers.shapes import TEXT, Fields, Shape
from spendgate.usage import Usage

_REQUEST: Final = Shape(model=TEXT)
_REQUEST_SCAN: Final = Scanner(_REQUEST, ("model",))
_ANSWER: Final = Shape(model=TEXT, usage=USAGE)
_ANSWER_SCAN: Final = Scanner(_ANSWER, ("model", "usage"))


class OpenAIEmbeddings:
    """OpenAI Embeddings. Stateless."""

    name = "openai-embeddings"

    def ask(self, head: Head, body: bytes) -> Ask:
        """What the request asks for. Input given as token numbers has at least two bytes a token."""
        return _ask(head, body, _REQUEST_SCAN.read(body).fields)

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """What the request asks for, in steps of well under a millisecond."""
        scan = yield from _REQUEST_SCAN.steps(body)
        return _ask(head, body, scan.fields)

    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """A reader for the response."""
        return FreeReader(headers) if status >= 300 else BodyReader(headers, _ANSWER, _ANSWER_SCAN, _answer)

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """A refusal in OpenAI's error shape."""
        return openai_refusal(notice, tool, strict=strict)

    def error(self, status: int, message: str, request_id: str = "") -> Answer:
        """The gate's own error in OpenAI's shape."""
        return openai_error(status, message, request_id)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """As for chat; nothing here streams, so nothing is ever cut in the middle."""
        return chat_cut(notice)


def _ask(head: Head, body: bytes, found: Fields) -> Ask:
    return Ask(model=found.get("model"), text_bytes=len(body), output_tokens_max=0, **sender(head))


def _answer(reading: Reading, found: Fields) -> Reading:
    model, usage = found.get("model"), found.get("usage")
    if usage is None:
        return replace(reading, model=model, ended=True, flags=(*reading.flags, "an answer without usage"))
    counts = usage_of(usage).overlaid(Usage(output_tokens=0))
    return replace(reading, model=model, parts=(Part(counts, model),), final=counts.known, ended=True)
