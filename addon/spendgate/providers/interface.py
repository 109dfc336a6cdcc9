"""What every dialect answers, as values. No mitmproxy, no disk, no clock.

A *provider* is who bills (`anthropic`, `openai`, `azure`, …). A *dialect* is one wire format (`anthropic-messages`,
`openai-chat`, `openai-responses`, `openai-embeddings`). A *tool* is the program a person uses (`claude-code`, `codex`, …).
Many providers speak one dialect; the registry joins them.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct, field

from spendgate.attribution import Evidence
from spendgate.providers.boundaries import Boundaries
from spendgate.usage import Usage


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
    prices: str | None = None
    """The genai-prices provider id to price by, where it is not `provider`."""
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


class Claim(Struct, frozen=True):
    """Something the client says of itself, with where it said it."""

    value: str | None = None
    evidence: Evidence = Evidence.NONE
    library: bool = False
    """It names a library that many programs are built on: what the process is known as says more."""


class Ask(Struct, frozen=True):
    """What one billable request asks for, as far as its bytes tell. Sizes in bytes, counts in tokens."""

    model: str | None = None
    also: tuple[str, ...] = ()
    """Other models that may answer, or work for the one that does (`other_models`); `""`: one that the request does not name."""
    streamed: bool = False
    text_bytes: int = 0
    """Bytes of the request that can become input tokens; at most one token a byte."""
    opaque_input: bool = False
    """Input that is only referred to or packed (images, files, earlier response ids): only the context window bounds it."""
    packed_bytes: int = 0
    """The part of `text_bytes` that is media (pictures, documents, recordings), of which a byte is far less of a token."""
    packed_tokens: int = 0
    """What it usually counts as (`packed`): for estimates alone."""
    audio_ms: int | None = None
    """How long the recording is that is to be written down, as far as its head tells (`recordings`): for estimates alone."""
    pictures: int = 0
    """Pictures that are to be drawn, of which the answer may not say what they used: for estimates alone."""
    context_window: int | None = None
    """The context window asked for, where a request can ask for a larger one than the model's own."""
    output_tokens_max: int | None = None
    """The request's own cap for one choice; None: the model's maximum."""
    choices: int = 1
    service_tier: str | None = None
    speed: str | None = None
    """Anthropic's `speed`: `fast` costs more; None or `standard`: the list price."""
    cache_ttl: str | None = None
    """Dearest cache write asked for: `5m`, `1h`; `write` where the provider writes caches by itself; None: none."""
    searches_max: int | None = 0
    """Most billed server-tool calls; 0 where no such tool is offered, None where nothing caps them."""
    loops: bool = False
    """Server tools that make the provider sample again and bill the input again: no finite bound."""
    guarded: bool = False
    """A guardrail of the host's looks at it and at its answer, which the host bills by the text."""
    overheard: bool = False
    """Of a WebSocket whose turns may begin without a message: every one is of this `model`, and is asked at the handshake."""
    announces: bool = False
    """It names models for what comes later on its connection, and asks for nothing itself."""
    transcribes: bool = False
    """Of a WebSocket: what was heard is to be written down, by a model of its own, and answered apart from turns."""
    lane: str | None = None
    """Of a WebSocket on which several responses run at once, each in a lane: which one; None: the one without a name."""
    steers: str | None = None
    """Of a WebSocket: the running response that it adds input to. The server then begins another by itself, as that one was asked
    for, with what this says of it."""
    background: bool = False
    characters: int | None = None
    """Characters that are to be spoken, where the dialect bills by them."""
    generates: bool = True
    """False: only a connection or a cache is to be warmed up. What the provider counts is charged all the same."""
    continues: str | None = None
    """The answer, or the conversation that the provider keeps, which this request goes on from without repeating it."""
    conversation: str | None = None
    """The conversation that the provider keeps this request and its answer in."""
    prices: str | None = None
    """The genai-prices id to price by, where a request of a reseller names the vendor."""
    usage_unsaid: bool = False
    """A stream whose request says nothing of whether it is to report its usage, where it could."""
    tool: Claim = Claim()
    session: Claim = Claim()
    """The whole conversation, OpenTelemetry's `gen_ai.conversation.id`: the main agent's, also where a sub-agent asks."""
    agent: str | None = None
    """The sub-agent that asks, `gen_ai.agent.id`; None: the main one, or nobody says."""
    agent_name: str | None = None
    """What that agent is for, `gen_ai.agent.name`."""
    parent_agent: str | None = None
    """The agent that started it; None: the main one of its session, where `agent` is not None."""
    known_as: str | None = None
    """As what a main agent's sub-agents name their parent, where the client names that, too (Copilot)."""
    api_key: str | None = None
    """A fingerprint of the credential (first 12 hex of SHA-256, with the key's public prefix), never the key; several, joined by
    `attribution.BESIDE`, where the provider reads more than one and they differ."""
    billing: str = "metered"
    """`metered`, `subscription` or `overage`, from the kind of credential (policy.md, billing's built-in table)."""
    account: str | None = None
    account_claimed: bool = False
    """Whether a header beside a key names it, which alone proves nothing: a client may send any."""


INSTEAD: Final = ("audio_ms", "input_characters")
"""Units that are billed in place of tokens."""


class Part(Struct, frozen=True):
    """One sampling that the provider bills: its model, counts and what changes its price."""

    usage: Usage
    model: str | None = None
    """The model that answered; None: the one of the reading."""
    context: Mapping[str, str] = field(default_factory=dict)
    """genai-prices' price_context (`service_tier`, `speed`, `processing`), from the *response*."""
    geo: str | None = None
    """Anthropic's `inference_geo`: `us` costs 1.1 times."""
    units: Mapping[str, int] = field(default_factory=dict)
    """What `Usage` has no place for, by genai-prices' usage key: `input_image_tokens`, `output_image_tokens` and their
    kin (part of the tokens), `input_characters`, `storage_searches`; and `audio_ms`, the milliseconds of audio listened to.
    """

    @property
    def known(self) -> bool:
        """Whether all that is billed was counted: in tokens, or by a unit that is billed in their place."""
        return self.usage.known or any(name in self.units for name in INSTEAD)


class Reading(Struct, frozen=True):
    """What a response used, as far as it has been read. A reader may give one at any time."""

    parts: tuple[Part, ...] = ()
    model: str | None = None
    request_id: str | None = None
    response_id: str | None = None
    account: str | None = None
    final: bool = False
    """The provider's last counts were seen."""
    ended: bool = False
    """The provider said that this answer is over, with its counts or without (a WebSocket goes on after that)."""
    free: bool = False
    """The provider says that this costs nothing (an error before work, a refusal before any output)."""
    stated_cost_nanos: int | None = None
    """The provider's own price of the call (OpenRouter, xAI): the truth where given."""
    output_bytes: int = 0
    """Bytes of generated text, thinking and tool input seen: what an estimate of an unfinished stream rests on."""
    input_bytes: int = 0
    """Bytes of the request that came after it was decided (`spoken.Spoken.upload`): an estimate adds them to `Ask.text_bytes`."""
    flags: tuple[str, ...] = ()
    """What did not fit: `reader failed: …`, `split of cache writes assumed`, … Never content."""
    background: bool = False
    """The provider says that it works this answer off by itself, whoever is connected."""
    overage: bool | None = None
    """Whether the account is past what its plan includes, where the provider says so."""
    overage_until_ms: int | None = None
    """When what it includes begins anew, where the provider says that."""


class Result(Struct, frozen=True):
    """What one answer that was worked off before has used, as it is read back."""

    key: str
    """What it is at this provider, whoever reads it and however often. Not stored itself: it may be a person's own word."""
    reading: Reading
    awaited: bool = False
    """Its request has a row and a charge of its own, if it left through a gate (a background response; not a batch)."""


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
