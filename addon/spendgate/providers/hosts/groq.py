"""Groq. Source: facts/wire-formats.md 12."""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import CHAT, EMBEDDINGS, RESPONSES, Provider, billable, free

PROVIDERS: Final = (
    Provider(
        "groq",
        ("api.groq.com",),
        "groq",
        (
            billable("/openai/v1/chat/completions", CHAT),
            billable("/openai/v1/responses", RESPONSES),
            billable("/openai/v1/embeddings", EMBEDDINGS),
            *free("/openai/v1/files/**"),
        ),
    ),
)
