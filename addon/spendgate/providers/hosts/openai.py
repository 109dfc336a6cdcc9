"""OpenAI's own API, at its global host and at those of its data residency.

A region's premium of a tenth, for models since March 2026, is not added: no list tells which these are.
Source: facts/wire-formats.md 2.1; of the regions OpenAI's guide to data residency, November 2026.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.credentials import BEARER, SUBPROTOCOL
from spendgate.providers.provider import (
    CHAT,
    EMBEDDINGS,
    IMAGES,
    OPENAI_BATCHES,
    REALTIME,
    RESPONSES,
    SPEECH,
    TRANSCRIPTIONS,
    Provider,
    billable,
    free,
    responses_read,
    result,
)

_REGIONS: Final = ("us", "eu", "gb", "ae", "au", "ca", "in", "jp", "kr", "sg")

PROVIDERS: Final = (
    Provider(
        "openai",
        ("api.openai.com", *(f"{region}.api.openai.com" for region in _REGIONS)),
        "openai",
        (
            billable("/v1/chat/completions", CHAT),
            billable("/v1/completions", CHAT),
            billable("/v1/responses", RESPONSES, websocket=True),
            billable("/v1/responses/compact", RESPONSES),
            billable("/v1/embeddings", EMBEDDINGS),
            billable("/v1/batches", OPENAI_BATCHES),
            billable("/v1/images/generations", IMAGES),
            billable("/v1/images/edits", IMAGES),
            billable("/v1/images/variations", IMAGES),
            billable("/v1/audio/transcriptions", TRANSCRIPTIONS),
            billable("/v1/audio/translations", TRANSCRIPTIONS),
            billable("/v1/audio/speech", SPEECH),
            billable("/v1/realtime", REALTIME, websocket=True),
            # Worked off in the background or in a batch, and metered when it is read.
            *responses_read("/v1/responses"),
            result("/v1/files/*/content", OPENAI_BATCHES),
            *free("/v1/batches/*/cancel"),
            *free("/", "/v1/models/**", "/v1/files/**", "/v1/uploads/**", "/v1/moderations", "/v1/organization/**"),
            *free("/v1/responses/input_tokens", "/v1/conversations/**"),
        ),
        usage_when_asked=True,
        keys=(BEARER, SUBPROTOCOL),
    ),
)
