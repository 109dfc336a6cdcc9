"""The dialect `openai-responses`: POST …/responses and …/responses/compact, streamed or not, and WebSocket …/responses.

What its answers hold is read in `openai_answers`, a WebSocket in `openai_responses_socket`.
Sources: facts/wire-formats.md 2, 3, 18; Codex 0.169.0 on the wire (20).
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.base import OpenAIDialect
from spendgate.providers.interface import Head, Headers, Notice, Reader, ResultReader
from spendgate.providers.jsonscan import Scan
from spendgate.providers.openai_answers import ANSWER, ANSWER_SCAN, MARKS, answer, read_ends, read_event
from spendgate.providers.openai_responses_asked import REQUEST_SCAN, ask_of
from spendgate.providers.openai_responses_socket import ResponsesSocket
from spendgate.providers.openai_steering import steer_failed
from spendgate.providers.readers import BodyReader, Flagged
from spendgate.providers.refusals import responses_cut, responses_failed, responses_frame
from spendgate.providers.results import NoResults, OneResult
from spendgate.providers.sse import Oversized
from spendgate.providers.streams import EventReader

DISCOUNTED: Final = "at the plain price: completion_window"
"""Flag of a background response that may wait: OpenAI takes 30% off for two hours and 40% for eight (developers.openai.com, flex
processing), which no list has."""
TEXTS: Final = (b"delta",)


class OpenAIResponses(OpenAIDialect):
    """OpenAI Responses over HTTP and WebSocket. Stateless."""

    name = "openai-responses"

    request = REQUEST_SCAN

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan."""
        return ask_of(head, body, scan)

    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """A reader for the response."""
        reader = super().reader(ask, status, headers)
        return Flagged(reader, DISCOUNTED) if ask.discounted and status < 300 else reader

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return _Stream(headers)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""
        return BodyReader(headers, ANSWER, ANSWER_SCAN, answer)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """`response.failed`, which ends a stream."""
        return responses_cut(notice, response_id)

    def results(self, head: Head, status: int, headers: Headers) -> ResultReader:
        """A reader of one response that is asked for again: polled, streamed on, or cancelled."""
        return NoResults() if status >= 300 else OneResult(self.reader(Ask(), status, headers))

    def socket(self, head: Head) -> ResponsesSocket:
        """A reader of one WebSocket connection; `head` is its handshake's."""
        return ResponsesSocket(head)

    def refusal_frame(self, notice: Notice, tool: str | None, *, strict: bool = False) -> bytes:
        """The message that refuses one `response.create`."""
        return responses_frame(notice, tool, strict=strict)

    def steer_refused(self, notice: Notice, message: bytes, lane: str | None) -> bytes:
        """`response.steer.failed`, which gives the input back."""
        return steer_failed(notice, message, lane)

    def cut_frame(self, notice: Notice, response_id: str | None = None) -> bytes:
        """The message that ends a running response."""
        return responses_failed(notice, response_id)


class _Stream(EventReader):
    """Reads a streamed answer."""

    marks = MARKS
    texts = TEXTS

    def event(self, data: bytes) -> bool:
        """Read an event that holds a `response` or an error."""
        self.current, _ = read_event(replace(self.current, output_bytes=self.output_bytes), data)
        return True

    def oversized(self, event: Oversized) -> bool:
        """Read a last event that repeats a long answer."""
        self.current = read_ends(self.current, event.head, event.tail)
        return True
