"""One Connect call as far as all dialects over Connect are alike: when it can be decided, how it is refused and cut."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Final

from spendgate.providers.ask import Ask
from spendgate.providers.boundaries import Boundaries
from spendgate.providers.connect import (
    FIRST_BYTES_MAX,
    HEAD_BYTES,
    BetweenEnvelopes,
    Envelopes,
    First,
    first_message,
    first_size,
)
from spendgate.providers.connect_errors import (
    EXHAUSTED,
    Details,
    code_of,
    error,
    last_envelope,
    stream_answer,
    unary_answer,
)
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Answer, Head, Headers, Notice, Reader
from spendgate.providers.spoken import OpenDialect, Spoken, Weight

EVENTS: Final = "text/event-stream"
STREAM: Final = "application/connect+proto"
_UNARY: Final = ("application/proto", "application/json")
_NOWHERE: Final = Head("POST", "", "/", "", CaseInsensitive({"content-type": STREAM}))


class ConnectCall(ABC):
    """A `Spoken` for one Connect call. A dialect gives `ask` and `reader`."""

    first_bytes_max = FIRST_BYTES_MAX + HEAD_BYTES
    weight = Weight.CALL

    def __init__(self, head: Head, *, streams: bool, details: Details) -> None:
        """`streams`: the method's messages stand in envelopes, whatever the request's content type claims beside it."""
        kind = (head.headers.get("content-type") or "").lower().partition(";")[0].strip()
        self.head = head
        self.streamed = streams and kind not in _UNARY
        self.encoding = head.headers.get("connect-content-encoding")
        self._details = details
        self._answers = EVENTS if _is_sse(head.path) else kind if kind.startswith("application/connect+") else STREAM
        self._sent = Envelopes(self.encoding)
        self._messages = 0
        self._first: First | None = None
        self.input_bytes = 0
        """Bytes of the messages after the first, decompressed where they can be."""

    @abstractmethod
    def ask(self, head: Head, body: bytes) -> Ask:
        """As `Dialect.ask`."""

    @abstractmethod
    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """As `Dialect.reader`."""

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """Decompressed in steps, then in one: few fields of one message are looked at."""
        if self.streamed:
            self._first = yield from first_message(body, self.encoding)
        return self.ask(head, body)

    def message(self, body: bytes) -> tuple[bytes, bool]:
        """The request's first message, or its only one, and whether it is whole. Raises WireError."""
        if not self.streamed:
            return body, True
        if self._first is None:
            steps = first_message(body, self.encoding)
            while self._first is None:
                try:
                    next(steps)
                except StopIteration as end:
                    self._first = end.value
        return self._first

    def begun(self, body: bytes | bytearray) -> bool:
        """Whether the first envelope is there."""
        size = first_size(body)
        return size is not None and len(body) >= min(size, self.first_bytes_max)

    def ready(self, body: bytes) -> bool:
        """Whether the request itself tells all."""
        return True

    def upload(self, data: bytes) -> None:
        """Count what the messages after the first bring."""
        try:
            for envelope in self._sent.feed(data):
                self._messages += 1
                if self._messages > 1:
                    self.input_bytes += envelope.size if envelope.data is None else len(envelope.data)
        except Exception:  # noqa: BLE001  a count of bytes must never break a person's request
            self.input_bytes += len(data)

    def boundaries(self, headers: Headers) -> Boundaries | None:
        """Envelopes, where the response has them and nothing is wrapped around."""
        kind = (headers.get("content-type") or "").lower()
        framed = kind.startswith(("application/connect+", EVENTS)) and not headers.get("content-encoding")
        return BetweenEnvelopes() if framed and headers.get("content-length") is None else None

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """A last envelope for a stream, whose status is always 200, also under `refusals: strict`; 429 for a unary call."""
        said = error(EXHAUSTED, notice.message, self._details(notice))
        if self.streamed:
            return stream_answer(self._answers, said, notice.request_id)
        return unary_answer(429, said, notice.request_id)

    def error(self, status: int, message: str, request_id: str = "") -> Answer:
        """The gate's own error."""
        said = error(code_of(status), message)
        if self.streamed:
            return stream_answer(self._answers, said, request_id)
        return unary_answer(status, said, request_id)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """The envelope that ends a running stream."""
        return last_envelope(error(EXHAUSTED, notice.message, self._details(notice)))


class ConnectDialect(OpenDialect):
    """A dialect over Connect. What is asked of it without a request is answered as for a stream."""

    name: str

    def ask(self, head: Head, body: bytes) -> Ask:
        """As `Dialect.ask`."""
        return self.spoken(head).ask(head, body)

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """As `Dialect.asking`."""
        return self.spoken(head).asking(head, body)

    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """As `Dialect.reader`."""
        return self._any.reader(ask, status, headers)

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """As `Dialect.refusal`."""
        return self._any.refusal(notice, tool, strict=strict)

    def error(self, status: int, message: str, request_id: str = "") -> Answer:
        """As `Dialect.error`."""
        return self._any.error(status, message, request_id)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """As `Dialect.cut`."""
        return self._any.cut(notice, response_id)

    def boundaries(self, headers: Headers) -> Boundaries | None:
        """As `Dialect.boundaries`."""
        return self._any.boundaries(headers)

    @property
    def _any(self) -> Spoken:
        return self.spoken(_NOWHERE)


def no_details(notice: Notice) -> tuple[tuple[str, bytes], ...]:
    """Of a provider whose error details nothing is known."""
    return ()


def _is_sse(path: str) -> bool:
    """Cursor's methods of this name answer as an event stream, which holds envelopes all the same."""
    return path.lower().rstrip("/").endswith("sse")
