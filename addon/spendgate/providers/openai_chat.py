"""The dialect `openai-chat`: POST …/chat/completions (and the older …/completions) of OpenAI, Azure and all that speak alike.

A stream reports usage only when asked with `stream_options.include_usage`, in a last chunk without choices; many compatible
hosts report it unasked. A stream without any is estimated. Sources: facts/wire-formats.md 2, 6, 12.
"""

from __future__ import annotations

from spendgate.providers.ask import Ask
from spendgate.providers.base import OpenAIDialect
from spendgate.providers.interface import Head, Headers, Notice, Reader
from spendgate.providers.jsonscan import Scan
from spendgate.providers.openai_chat_answers import ANSWER_SCAN, ANSWER_SHAPE, Stream, answer
from spendgate.providers.openai_chat_asked import REQUEST_SCAN, asked_of
from spendgate.providers.readers import BodyReader
from spendgate.providers.refusals import chat_cut


class OpenAIChat(OpenAIDialect):
    """OpenAI Chat Completions. Stateless."""

    name = "openai-chat"

    request = REQUEST_SCAN

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan."""
        return asked_of(head, body, scan)

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return Stream(headers, searches=ask.searches_max is None)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""
        searches = ask.searches_max is None
        return BodyReader(
            headers, ANSWER_SHAPE, ANSWER_SCAN, lambda reading, found: answer(reading, found, searches=searches)
        )

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """A chunk with a top-level `error`, which ends a stream."""
        return chat_cut(notice)
