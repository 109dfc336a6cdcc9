"""What dialects share: a request is scanned, then read; an answer is free, a stream or one document; OpenAI's error shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable
from typing import Final

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.boundaries import BlankLines, Boundaries
from spendgate.providers.interface import Answer, Head, Headers, Notice, Reader
from spendgate.providers.jsonscan import Scan, Scanner, at_once
from spendgate.providers.packed import packed
from spendgate.providers.readers import Flagged, FreeReader, is_events, is_open, served
from spendgate.providers.refusals import openai_error, openai_refusal
from spendgate.providers.stated import GUARDED, GUARDRAIL

_BEDROCK: Final = "bedrock-"
"""How the names of Bedrock's hosts begin."""


def asked_also(ask: Ask, names: Iterable[str]) -> Ask:
    """`ask`, with these models that may be meant, too."""
    more = tuple(dict.fromkeys(name for name in names if name != ask.model and name not in ask.also))
    return replace(ask, also=(*ask.also, *more)) if more else ask


def weighed(ask: Ask, body: bytes) -> Generator[None, None, Ask]:
    """`ask`, with how much of its JSON is packed media, in steps."""
    if not ask.opaque_input:
        return ask
    found = yield from packed(body)
    return replace(ask, packed_bytes=found.size_bytes, packed_tokens=found.tokens) if found.size_bytes else ask


class BaseDialect(ABC):
    """A dialect as far as all are alike. Stateless."""

    request: Scanner
    """What is looked at in a request."""

    def ask(self, head: Head, body: bytes) -> Ask:
        """What the request asks for, in one go; `asking` does the same in steps."""
        return at_once(self.asking(head, body))

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """What the request asks for, in steps of well under a millisecond."""
        scan = yield from self.request.steps(body)
        return (yield from weighed(asked_also(self.asked(head, body, scan), scan.also), body))

    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """A reader for the response."""
        if status >= 300:
            return FreeReader(headers)
        return self.events(ask, headers) if is_events(headers, asked=ask.streamed) else self.document(ask, headers)

    def boundaries(self, headers: Headers) -> Boundaries | None:
        """Server-sent events, where the response is of them."""
        return BlankLines() if is_open(headers, "text/event-stream") else None

    @abstractmethod
    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan."""

    @abstractmethod
    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""

    @abstractmethod
    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""


class OpenAIDialect(BaseDialect):
    """A dialect with OpenAI's error shape, and its word on which model serves."""

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """What the request asks for, in steps; on Bedrock a guardrail may look at it."""
        ask = yield from super().asking(head, body)
        guarded = head.host.startswith(_BEDROCK) and bool(head.headers.get(GUARDRAIL))
        return replace(ask, guarded=True) if guarded else ask

    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """A reader for the response."""
        reader = served(super().reader(ask, status, headers), headers)
        return Flagged(reader, GUARDED) if ask.guarded and status < 300 else reader

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """A refusal in OpenAI's error shape."""
        return openai_refusal(notice, tool, strict=strict)

    def error(self, status: int, message: str, request_id: str = "") -> Answer:
        """The gate's own error in OpenAI's shape."""
        return openai_error(status, message, request_id)
