"""MiniMax, in the world and in China. Source: facts/wire-formats.md 12."""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import CHAT, MESSAGES, Provider, billable, free

PROVIDERS: Final = (
    Provider(
        "minimax",
        ("api.minimax.io", "api.minimaxi.com"),
        "minimax",
        (
            billable("/v1/chat/completions", CHAT),
            billable("/v1/text/chatcompletion_v2", CHAT),
            billable("/anthropic/v1/messages", MESSAGES),
            *free("/anthropic/v1/messages/count_tokens", "/anthropic/api/event_logging/**"),
        ),
    ),
)
