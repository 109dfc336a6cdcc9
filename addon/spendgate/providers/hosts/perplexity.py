"""Perplexity: its answers may state their cost with searches and fees (`usage.cost`). Source: facts/wire-formats.md 12.

`/v1/agent` is its own name for `/v1/responses`, `/v1/sonar` for chat (both reported, not tried). `/search`
costs money by the call and is not read.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import CHAT, EMBEDDINGS, ENVELOPED, RESPONSES, Provider, billable

PROVIDERS: Final = (
    Provider(
        "perplexity",
        ("api.perplexity.ai",),
        "perplexity",
        (
            billable("/chat/completions", CHAT),
            billable("/v1/chat/completions", CHAT),
            billable("/v1/sonar", CHAT),
            # Answered by the id of a job, whose result is not read: estimated.
            billable("/async/chat/completions", ENVELOPED),
            billable("/v1/async/sonar", ENVELOPED),
            billable("/v1/responses", RESPONSES),
            billable("/v1/agent", RESPONSES),
            billable("/v1/embeddings", EMBEDDINGS),
        ),
        states_cost=True,
    ),
)
