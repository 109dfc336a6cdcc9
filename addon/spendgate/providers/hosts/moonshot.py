"""Moonshot's API, and the flat plan of Kimi Code at a host of its own. Source: facts/wire-formats.md 12."""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import CHAT, MESSAGES, Provider, billable, free

PROVIDERS: Final = (
    Provider(
        "moonshotai",
        ("api.moonshot.ai", "api.moonshot.cn"),
        "moonshotai",
        (
            billable("/v1/chat/completions", CHAT),
            billable("/anthropic/v1/messages", MESSAGES),
            *free("/v1/tokenizers/estimate-token-count", "/v1/files/**", "/anthropic/v1/messages/count_tokens"),
        ),
    ),
    Provider(
        "kimi-code",
        ("api.kimi.com",),
        "moonshotai",
        (
            billable("/coding/chat/completions", CHAT, plan=True),
            billable("/coding/v1/chat/completions", CHAT, plan=True),
            billable("/coding/v1/messages", MESSAGES, plan=True),
            *free("/coding/v1/messages/count_tokens", "/coding/v1/files/**"),
        ),
    ),
)
