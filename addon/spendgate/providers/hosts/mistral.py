"""Mistral, and Codestral's own host for completion of code. Source: facts/wire-formats.md 12.

`fim` and `agents` answer in the shape of chat. Conversations, OCR and audio are of another one.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import CHAT, EMBEDDINGS, Provider, billable, free

PROVIDERS: Final = (
    Provider(
        "mistral",
        ("api.mistral.ai", "codestral.mistral.ai"),
        "mistral",
        (
            billable("/v1/chat/completions", CHAT),
            billable("/v1/fim/completions", CHAT),
            billable("/v1/agents/completions", CHAT),
            billable("/v1/embeddings", EMBEDDINGS),
            *free("/v1/files/**"),
        ),
    ),
)
