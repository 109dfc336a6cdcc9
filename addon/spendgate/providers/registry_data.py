"""The table of providers: what the files of `hosts/` say, and the families of paths that a policy's own hosts may have.

Sources: facts/wire-formats.md 0.1, 1.1, 2.1, 6, 20.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from spendgate.providers import hosts
from spendgate.providers.credentials import API_KEY, BEARER, X_API_KEY
from spendgate.providers.provider import (
    ANTHROPIC_BATCHES,
    CHAT,
    EMBEDDINGS,
    IMAGES,
    MESSAGES,
    OPENAI_BATCHES,
    REALTIME,
    RESPONSES,
    SPEECH,
    TRANSCRIPTIONS,
    Family,
    Provider,
    billable,
    free,
    responses_read,
    result,
    words,
)

# A gateway may put anything before the API's own path, and may speak both vendors' dialects, whichever it is listed with. So
# what costs money stands first, and what is free is known by its end alone: a free word in front is a gateway's, or anyone's.
_ANYWHERE: Final = (
    billable("/**/v1/messages", MESSAGES),
    billable("/**/openai/deployments/{model}/chat/completions", CHAT),
    billable("/**/openai/deployments/{model}/completions", CHAT),
    billable("/**/openai/deployments/{model}/responses", RESPONSES, websocket=True),
    billable("/**/openai/deployments/{model}/embeddings", EMBEDDINGS),
    billable("/**/chat/completions", CHAT),
    billable("/**/completions", CHAT),
    billable("/**/responses", RESPONSES, websocket=True),
    billable("/**/responses/compact", RESPONSES),
    billable("/**/embeddings", EMBEDDINGS),
    billable("/**/openai/deployments/{model}/images/generations", IMAGES),
    billable("/**/openai/deployments/{model}/images/edits", IMAGES),
    billable("/**/openai/deployments/{model}/audio/transcriptions", TRANSCRIPTIONS),
    billable("/**/openai/deployments/{model}/audio/translations", TRANSCRIPTIONS),
    billable("/**/openai/deployments/{model}/audio/speech", SPEECH),
    billable("/**/images/generations", IMAGES),
    billable("/**/images/edits", IMAGES),
    billable("/**/images/variations", IMAGES),
    billable("/**/audio/transcriptions", TRANSCRIPTIONS),
    billable("/**/audio/translations", TRANSCRIPTIONS),
    billable("/**/audio/speech", SPEECH),
    billable("/**/realtime", REALTIME, websocket=True),
    billable("/**/v1/messages/batches", ANTHROPIC_BATCHES),
    billable("/**/batches", OPENAI_BATCHES),
    # Worked off in the background or in a batch, and metered when it is read.
    result("/**/v1/messages/batches/*/results", ANTHROPIC_BATCHES),
    result("/**/files/*/content", OPENAI_BATCHES),
    *responses_read("/**/responses"),
    *free("/**/v1/messages/count_tokens", "/**/responses/input_tokens", "/**/batches/*/cancel", "/**/moderations"),
    *free("/**/files", "/**/models", "/api/event_logging/batch", "/api/event_logging/*/batch"),
)

FAMILIES: Final[dict[str, Family]] = {
    family.name: family
    for family in (
        Family("anthropic", "anthropic", MESSAGES, _ANYWHERE),
        Family("openai", "openai", CHAT, _ANYWHERE),
        Family("azure", "azure", CHAT, _ANYWHERE, (API_KEY, X_API_KEY, BEARER)),
    )
}
"""For hosts that a policy names. The model is the deployment in `/openai/deployments/MODEL/…`, where the path has one."""


def _gathered() -> dict[str, Provider]:
    """The providers of every file of `hosts/`, in order of name. Raises ValueError for a name or host that stands twice."""
    found: dict[str, Provider] = {}
    taken: set[str] = set()
    for module in sorted(each.name for each in iter_modules(hosts.__path__)):
        for provider in import_module(f"{hosts.__name__}.{module}").PROVIDERS:
            if provider.name in found or taken & set(provider.hosts):
                raise ValueError(f"hosts/{module}.py: {provider.name} or a host of it stands twice")
            found[provider.name] = provider
            taken |= set(provider.hosts)
    return dict(sorted(found.items()))


PROVIDERS: Final[dict[str, Provider]] = _gathered()

_RULES: Final = (
    *(rule for family in FAMILIES.values() for rule in family.rules),
    *(rule for provider in PROVIDERS.values() for rule in provider.rules),
)
PATH_WORDS: Final = words(_RULES) | {
    # Of the same APIs, what costs nothing or is not read, so that their rows can be told apart.
    "account", "agents", "anthropic", "assistants", "audio", "authorize", "batch", "batches", "bootstrap",
    "calls", "checkpoints", "claude_cli", "claude_code", "client_secrets", "complete", "containers", "content",
    "deployments", "edits", "environments", "eval", "evals", "events", "feedback", "fine_tuning", "generations",
    "grove", "hello", "images", "jobs", "messages", "metrics", "oauth", "openai", "organization",
    "organizations", "policy_limits", "profile", "realtime", "results", "runs", "search", "servers", "sessions",
    "settings", "speech", "stream", "threads", "token", "transcription_sessions", "transcriptions",
    "translations", "usage", "variations", "vector_stores", "versions", "videos",
    "cachedcontents", "ocr", "operations", "rerank", "tuning", "tunings", ":asyncbatchembedcontent", ":batchgeneratecontent",
    ":predict", ":predictlongrunning",
}  # fmt: skip
"""The only words of a path that are kept in the ledger; anything else could be an id, a name or a secret."""
