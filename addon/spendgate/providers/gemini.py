"""The dialect `gemini`: generateContent, streamGenerateContent and embedContent of the Gemini API and of Vertex AI.

The model stands in the path. A stream is of events with `alt=sse`, else one JSON array that comes element by element.
Sources: facts/wire-formats.md 4, 16.1, 18.
"""

from __future__ import annotations

from collections.abc import Generator

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.base import BaseDialect, asked_also, weighed
from spendgate.providers.boundaries import Boundaries
from spendgate.providers.client import sender
from spendgate.providers.gemini_answers import ANSWER_SCAN, ANSWER_SHAPE, Stream, answer
from spendgate.providers.gemini_asked import MARKS, REQUEST, asked_of, routed_also
from spendgate.providers.gemini_errors import google_cut, google_error, google_refusal
from spendgate.providers.interface import Answer, Head, Headers, Notice, Reader
from spendgate.providers.jsonarray import BetweenElements
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.readers import BodyReader, FreeReader, is_events, is_open
from spendgate.providers.reading import Reading
from spendgate.providers.shapes import Fields, Shape
from spendgate.providers.stated import FEES


class Gemini(BaseDialect):
    """Google's generateContent and its kin. Stateless."""

    name = "gemini"

    request = Scanner(Shape(**REQUEST), REQUEST, marks=MARKS)

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan. The model is the path's: it is the route that names it."""
        said = sender(head)
        return asked_of(head, body, scan, scan.fields, Ask(**said))

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """What the request asks for, in steps."""
        scan = yield from self.request.steps(body)
        ask = yield from weighed(self.asked(head, body, scan), body)
        return asked_also(ask, (yield from routed_also(body, scan)))

    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """A reader for the response: of events, of an array that is streamed, or of one answer."""
        if status < 300 and ask.streamed and not is_events(headers, asked=True):
            return self.elements(headers)
        if status >= 300:
            return FreeReader(headers)
        return super().reader(ask, status, headers)

    def elements(self, headers: Headers) -> Reader:
        """A reader of a streamed array."""
        return Stream(headers, array=True)

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return Stream(headers)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""
        generates, hosted = ask.output_tokens_max != 0, ask.searches_max is None

        def read(reading: Reading, found: Fields) -> Reading:
            made = answer(reading, found, generates)
            # Of a long answer, an image's, candidates are not read, and what searched for it is unknown.
            unread = hosted and found.get("candidates") is None and not found.get("promptFeedback")
            return replace(made, flags=(*made.flags, FEES)) if unread else made

        return BodyReader(headers, ANSWER_SHAPE, ANSWER_SCAN, read)

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """A refusal in Google's error shape."""
        return google_refusal(notice, tool, strict=strict)

    def error(self, status: int, message: str, request_id: str = "") -> Answer:
        """The gate's own error in Google's shape."""
        return google_error(status, message, request_id)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """An event with a top-level `error`."""
        return google_cut(notice)

    def boundaries(self, headers: Headers) -> Boundaries | None:
        """Events, or the elements of an array."""
        return super().boundaries(headers) or (BetweenElements() if is_open(headers, "application/json") else None)
