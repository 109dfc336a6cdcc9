"""What every dialect is asked and answers: a request's head and route, a reader, a refusal. No mitmproxy, no disk, no clock.

A *provider* is who bills (`anthropic`, `openai`, `azure`, …). A *dialect* is one wire format (`anthropic-messages`,
`openai-chat`, `openai-responses`, `openai-embeddings`). A *tool* is the program a person uses (`claude-code`, `codex`, …).
Many providers speak one dialect; the registry joins them. What a request asks for is an `ask.Ask`, what its response used
a `reading.Reading`.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

from spendgate.price_lists import Lists
from spendgate.providers.ask import Ask
from spendgate.providers.boundaries import Boundaries
from spendgate.providers.reading import Reading, Result


class Headers(Protocol):
    """Case-insensitive request or response headers: mitmproxy's own, or a `CaseInsensitive` in tests."""

    def get(self, name: str, default: str | None = None, /) -> str | None: ...


class Kind(StrEnum):
    """What an exchange on a provider host is."""

    BILLABLE = "billable"
    RESULT = "result"
    """Reading back what was worked off before (a background response, a batch): never held or refused, metered once by its id."""
    FREE = "free"
    """Known to cost nothing: token counts, model lists, authentication, telemetry. Recorded, never refused."""
    UNRECOGNIZED = "unrecognized"
    """A path that no table knows. Recorded with bytes and times, never refused, shown by `status`."""


KEY_FIELDS: Final = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "?key")
"""Where clients put keys, whatever API they speak (`credentials`)."""


class Head(Struct, frozen=True):
    """A request's head. `path` has no query; `host` is lower case without port."""

    method: str
    host: str
    path: str
    query: str
    headers: Headers
    keys: tuple[str, ...] = KEY_FIELDS
    """Where its provider looks for a key, once its route is known; until then wherever one may stand."""


class Route(Struct, frozen=True):
    """Where a request goes and what that means. `path` is a template with ids as `*`, fit for the ledger."""

    provider: str
    dialect: str
    kind: Kind
    path: str
    websocket: bool = False
    model: str | None = None
    """The model, where the path holds it."""
    also: tuple[str, ...] = ()
    """Other models that a lenient server may read in the same path."""
    prices: str | Lists | None = None
    """The genai-prices provider id to price by, where it is not `provider`; of a host with several vendors' models its lists."""
    billing: str | None = None
    """`gateway` where the policy's host entry says so, `subscription` for the paths of a flat plan."""
    states_cost: bool = False
    """Whether this provider's answers state what is billed (OpenRouter, xAI, Copilot); elsewhere such a field counts nothing."""
    asks_usage: bool = False
    """Whether a chat stream here may be made to report its usage: the policy says so, and the host does it only then."""
    keys: tuple[str, ...] = KEY_FIELDS
    """Where its provider looks for a key (`credentials`); what stands elsewhere does not count."""
    own: bool = False
    """A host of the policy's own, whose parser is not known (`providers/cased`)."""
    body_bytes_max: int = 64 * 1024 * 1024
    """A longer request body is answered 413 in the provider's shape; Anthropic's own limit is 32 MB."""


class Reader(Protocol):
    """Reads one response's decoded bytes as they pass. Never raises; bounded memory; the caller keeps the bytes flowing."""

    def feed(self, data: bytes) -> bool:
        """Take the next bytes. True when the counts changed since the last call (a cue to correct the hold)."""
        ...

    def reading(self) -> Reading:
        """What has been read so far."""
        ...

    def close(self) -> Reading:
        """No more bytes will come: what was read. Called once, at a clean end or not."""
        ...


class Notice(Struct, frozen=True):
    """A refusal or a cut, ready to be put into a provider's shape. `message` is for a person and ends with the policy's help."""

    message: str
    code: str
    """Our own word for programs: `spent`, `held`, `rule`, `unbounded`, `failure`."""
    passing: bool = False
    """True: may be retried after `retry_after_s`. False: the client must stop."""
    retry_after_s: int | None = None
    resets_at: datetime | None = None
    request_id: str = ""


class Answer(Struct, frozen=True):
    """An HTTP answer that the gate gives itself."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Dialect(Protocol):
    """One wire format. Implementations are stateless; a module-level instance is put into the registry."""

    name: str

    def ask(self, head: Head, body: bytes) -> Ask:
        """Read what a billable request asks for. `body` is decoded of its content-encoding.

        Raises WireError where the body is not this dialect at all; the caller then treats the call as one without a known
        model and bound. On a 1 MB body this takes 1-3 ms: where the loop must not wait so long, use `asking`.
        """
        ...

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """`ask` in steps of well under a millisecond; its return value is the Ask. Let the loop run between two steps.

        Raises WireError as `ask` does.
        """
        ...

    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """A reader for the response. Errors (status >= 400) get one that reads `free`."""
        ...

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """The refusal in the provider's own error shape, such that this tool shows it and stops (strict: always 429)."""
        ...

    def error(self, status: int, message: str, request_id: str = "") -> Answer:
        """An error of the gate's own (413 a body too long, 503 no decision) in the provider's error shape."""
        ...

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """What ends a running stream in the dialect's own error form, to be sent after a whole event."""
        ...

    def boundaries(self, headers: Headers) -> Boundaries | None:
        """Where a cut may follow in the response with this head, whose body is not encoded; None: nothing may be added to it."""
        ...


class ResultReader(Protocol):
    """Reads an answer that gives results back, as it passes. Never raises; bounded memory, however long it is."""

    def feed(self, data: bytes) -> tuple[Result, ...]:
        """Take the next bytes; the results that they complete."""
        ...

    def close(self) -> tuple[Result, ...]:
        """No more bytes will come, at a clean end or not; the results that are complete now."""
        ...


class ResultDialect(Dialect, Protocol):
    """A dialect whose answers are also read back later."""

    def results(self, head: Head, status: int, headers: Headers) -> ResultReader:
        """A reader of what a request with this head is answered with."""
        ...
