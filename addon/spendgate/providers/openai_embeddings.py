"""The dialect `openai-embeddings`: POST …/embeddings. One count, of input; never streamed. Facts: wire-formats.md 2.1."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.base import OpenAIDialect
from spendgate.providers.client import sender
from spendgate.providers.interface import Head, Headers, Notice, Reader
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.openai_usage import USAGE, usage_of
from spendgate.providers.readers import BodyReader
from spendgate.providers.reading import Part, Reading
from spendgate.providers.refusals import chat_cut
from spendgate.providers.shapes import TEXT, Fields, Shape
from spendgate.providers.stated import stated_nanos
from spendgate.usage import Usage

_REQUEST: Final = Shape(model=TEXT)
_REQUEST_SCAN: Final = Scanner(_REQUEST, ("model",), marks=rb'((?:image|video|audio|document|file)(?:s|_url)?)"')
_ANSWER: Final = Shape(model=TEXT, usage=USAGE)
_ANSWER_SCAN: Final = Scanner(_ANSWER, ("model", "usage"))


class OpenAIEmbeddings(OpenAIDialect):
    """OpenAI Embeddings. Stateless."""

    name = "openai-embeddings"

    request = _REQUEST_SCAN

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan. Input given as token numbers has at least two bytes a token; models of other
        vendors behind hosts of this dialect also take pictures."""
        opaque = bool(scan.marks)
        return Ask(
            model=scan.fields.get("model"), text_bytes=len(body), opaque_input=opaque, output_tokens_max=0, **sender(head)
        )  # fmt: skip

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """Whatever a head says, nothing here streams."""
        return self.document(ask, headers)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""
        return BodyReader(headers, _ANSWER, _ANSWER_SCAN, _answer)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """As for chat; nothing here streams, so nothing is ever cut in the middle."""
        return chat_cut(notice)


def _answer(reading: Reading, found: Fields) -> Reading:
    model, usage = found.get("model"), found.get("usage")
    if usage is None:
        return replace(reading, model=model, ended=True, flags=(*reading.flags, "an answer without usage"))
    counts = usage_of(usage).overlaid(Usage(output_tokens=0))
    stated = stated_nanos(usage) if counts.known else None
    parts = (Part(counts, model),)
    return replace(reading, model=model, parts=parts, final=counts.known, ended=True, stated_cost_nanos=stated)
