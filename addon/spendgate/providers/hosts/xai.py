"""xAI: each answer with what it cost (`usage.cost_in_usd_ticks`), tools included. Source: facts/wire-formats.md 12;
its regional hosts as several public clients have them (reported, not tried)."""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import (
    CHAT,
    DEFERRED,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    Provider,
    billable,
    free,
    responses_read,
    result,
)

PROVIDERS: Final = (
    Provider(
        "x-ai",
        ("api.x.ai", "us-east-1.api.x.ai", "us-west-2.api.x.ai", "eu-west-1.api.x.ai"),
        "x-ai",
        (
            billable("/v1/chat/completions", CHAT),
            billable("/v1/completions", CHAT),
            billable("/v1/responses", RESPONSES, websocket=True),
            billable("/v1/messages", MESSAGES),
            billable("/v1/embeddings", EMBEDDINGS),
            # Worked off later, and metered when it is read.
            *responses_read("/v1/responses"),
            result("/v1/chat/deferred-completion/*", DEFERRED),
            *free("/v1/tokenize-text", "/v1/files/**", "/v1/messages/count_tokens"),
        ),
        states_cost=True,
    ),
)
