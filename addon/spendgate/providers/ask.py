"""What one billable request asks for, as values: what bounds it, and what the client says of itself. No mitmproxy, no disk."""

from __future__ import annotations

from msgspec import Struct

from spendgate.attribution import Evidence


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
    discounted: bool = False
    """It may be worked off hours later, for less: no answer says so (OpenAI's `completion_window`)."""
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
