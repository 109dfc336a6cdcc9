"""Hosts that serve open models by the token: Fireworks, Together, Cerebras. Source: facts/wire-formats.md 12."""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Provider, billable

PROVIDERS: Final = (
    Provider(
        "fireworks",
        ("api.fireworks.ai",),
        "fireworks",
        (
            billable("/inference/v1/chat/completions", CHAT),
            billable("/inference/v1/completions", CHAT),
            billable("/inference/v1/responses", RESPONSES),
            billable("/inference/v1/messages", MESSAGES),
            billable("/inference/v1/embeddings", EMBEDDINGS),
        ),
    ),
    Provider(
        "together",
        ("api.together.xyz", "api.together.ai"),
        "together",
        (
            billable("/v1/chat/completions", CHAT),
            billable("/v1/completions", CHAT),
            billable("/v1/embeddings", EMBEDDINGS),
        ),
    ),
    Provider(
        "cerebras",
        ("api.cerebras.ai",),
        "cerebras",
        (billable("/v1/chat/completions", CHAT), billable("/v1/completions", CHAT)),
    ),
)
