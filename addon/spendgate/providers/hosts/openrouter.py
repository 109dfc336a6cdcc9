"""OpenRouter: three dialects, each answer with what it cost (`usage.cost`). Source: facts/wire-formats.md 12;
its regional hosts: OpenRouter's SDK reference, November 2026."""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import (
    CHAT,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    Provider,
    Site,
    billable,
    free,
    responses_read,
)

PROVIDERS: Final = (
    Provider(
        "openrouter",
        ("openrouter.ai", "eu.openrouter.ai", "us.openrouter.ai"),
        "openrouter",
        (
            billable("/api/v1/chat/completions", CHAT),
            billable("/api/v1/completions", CHAT),
            billable("/api/v1/responses", RESPONSES),
            billable("/api/v1/messages", MESSAGES),
            billable("/api/v1/embeddings", EMBEDDINGS),
            *responses_read("/api/v1/responses"),
            *free("/api/v1/messages/count_tokens", "/api/v1/auth/**", "/api/v1/keys/**"),
        ),
        states_cost=True,
        site=Site.ALSO,
    ),
)
