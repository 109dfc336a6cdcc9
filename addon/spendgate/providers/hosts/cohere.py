"""Cohere: its own dialects, and OpenAI's under `/compatibility`. Source: facts/wire-formats.md 12.

A stream of the older `/v1/chat` is lines of JSON, which are not read: estimated. Reranking is billed by the search: not read.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import CHAT, EMBEDDINGS, Provider, billable, free

PROVIDERS: Final = (
    Provider(
        "cohere",
        ("api.cohere.com", "api.cohere.ai"),
        "cohere",
        (
            billable("/v2/chat", "cohere-chat"),
            billable("/v1/chat", "cohere-chat"),
            billable("/v2/embed", "cohere-embed"),
            billable("/v1/embed", "cohere-embed"),
            billable("/compatibility/v1/chat/completions", CHAT),
            billable("/compatibility/v1/embeddings", EMBEDDINGS),
            *free("/v1/tokenize", "/v1/detokenize", "/v1/check-api-key"),
        ),
        "cohere-chat",
    ),
)
