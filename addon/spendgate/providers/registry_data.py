"""The table of providers: exact hosts and what each path of theirs is. Only hosts whose dialect we read stand here.

A pattern is a path: `*` is one segment, `**` any number, also none. The first rule that fits decides. What no rule knows: see
`registry.Registry.route`. Paths that cost money but that no dialect here reads (batches, images, audio, realtime, sessions)
are left out on purpose, so that they are recorded as `unrecognized` and shown, not passed as free.
Sources: facts/wire-formats.md 0.1, 1.1, 2.1, 6, 20.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spendgate.providers.interface import Kind

MESSAGES: Final = "anthropic-messages"
CHAT: Final = "openai-chat"
RESPONSES: Final = "openai-responses"
EMBEDDINGS: Final = "openai-embeddings"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a POST to a path is, or a WebSocket handshake."""

    pattern: str
    kind: Kind
    dialect: str = ""
    websocket: bool = False
    """The path is also spoken over WebSocket."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Who bills, at which hosts. `prices` is its genai-prices id."""

    name: str
    family: str
    hosts: tuple[str, ...]
    prices: str


@dataclass(frozen=True, slots=True)
class Family:
    """Paths that hosts of one kind have in common; also the words of `capture.hosts[].dialect`."""

    name: str
    prices: str
    dialect: str
    """Whose error shape an exchange has that no rule knows."""
    rules: tuple[Rule, ...]


def _billable(pattern: str, dialect: str, *, websocket: bool = False) -> Rule:
    return Rule(pattern, Kind.BILLABLE, dialect, websocket)


def _free(*patterns: str) -> tuple[Rule, ...]:
    return tuple(Rule(pattern, Kind.FREE) for pattern in patterns)


_ANTHROPIC_RULES: Final = (
    _billable("/v1/messages", MESSAGES),
    *_free("/v1/messages/count_tokens", "/v1/models/**", "/v1/files/**", "/v1/organizations/**", "/v1/skills/**"),
    # Claude Code's own: profile, settings, flags, quota, telemetry, sign-in.
    *_free("/", "/api/**", "/mcp-registry/**", "/v1/oauth/**", "/oauth/**", "/v1/mcp_servers/**"),
)
_OPENAI_RULES: Final = (
    _billable("/v1/chat/completions", CHAT),
    _billable("/v1/completions", CHAT),
    _billable("/v1/responses", RESPONSES, websocket=True),
    _billable("/v1/responses/compact", RESPONSES),
    _billable("/v1/embeddings", EMBEDDINGS),
    *_free("/", "/v1/models/**", "/v1/files/**", "/v1/uploads/**", "/v1/moderations", "/v1/organization/**"),
    *_free("/v1/responses/input_tokens", "/v1/responses/*/cancel", "/v1/conversations/**"),
)
# A gateway may put anything before the API's own path, and may speak both vendors' dialects, whichever it is listed with. So
# what costs money stands first, and what is free is known by its end alone: a free word in front is a gateway's, or anyone's.
_ANYWHERE: Final = (
    _billable("/**/v1/messages", MESSAGES),
    _billable("/**/chat/completions", CHAT),
    _billable("/**/completions", CHAT),
    _billable("/**/responses", RESPONSES, websocket=True),
    _billable("/**/responses/compact", RESPONSES),
    _billable("/**/embeddings", EMBEDDINGS),
    *_free("/**/v1/messages/count_tokens", "/**/responses/input_tokens", "/**/responses/*/cancel", "/**/moderations"),
    *_free("/**/files", "/**/models", "/api/event_logging/batch", "/api/event_logging/*/batch"),
)

FAMILIES: Final[dict[str, Family]] = {
    family.name: family
    for family in (
        Family("anthropic", "anthropic", MESSAGES, _ANYWHERE),
        Family("openai", "openai", CHAT, _ANYWHERE),
        Family("azure", "azure", CHAT, _ANYWHERE),
    )
}
"""For hosts that a policy names. `azure` also takes the model from `/openai/deployments/MODEL/…`."""

PROVIDERS: Final[dict[str, Provider]] = {
    provider.name: provider
    for provider in (
        Provider("anthropic", "api.anthropic.com", ("api.anthropic.com",), "anthropic"),
        Provider("openai", "api.openai.com", ("api.openai.com",), "openai"),
    )
}

API_FAMILIES: Final[dict[str, Family]] = {
    family.name: family
    for family in (
        Family("api.anthropic.com", "anthropic", MESSAGES, _ANTHROPIC_RULES),
        Family("api.openai.com", "openai", CHAT, _OPENAI_RULES),
    )
}
"""The vendors' own APIs, whose paths are known in full."""

PATH_WORDS: Final = frozenset(
    part
    for family in (*FAMILIES.values(), *API_FAMILIES.values())
    for rule in family.rules
    for part in rule.pattern.split("/")
    if part and "*" not in part
) | {
    # Of the same APIs, what costs nothing or is not read, so that their rows can be told apart.
    "account", "agents", "anthropic", "assistants", "audio", "authorize", "batch", "batches", "bootstrap",
    "calls", "checkpoints", "claude_cli", "claude_code", "client_secrets", "complete", "containers", "content",
    "deployments", "edits", "environments", "eval", "evals", "events", "feedback", "fine_tuning", "generations",
    "grove", "hello", "images", "jobs", "messages", "metrics", "oauth", "openai", "organization",
    "organizations", "policy_limits", "profile", "realtime", "results", "runs", "search", "servers", "sessions",
    "settings", "speech", "stream", "threads", "token", "transcription_sessions", "transcriptions",
    "translations", "usage", "variations", "vector_stores", "versions", "videos",
}  # fmt: skip
"""The only words of a path that are kept in the ledger; anything else could be an id, a name or a secret."""
