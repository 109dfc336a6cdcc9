"""DeepSeek: OpenAI's dialects and, under `/anthropic`, Anthropic's. Source: facts/wire-formats.md 12, 18.

Its Anthropic paths take `claude-*` for models of its own (`opus` for the large one, else the small one). So they are priced by
DeepSeek's list, where no such name stands: what the answer names is charged, and a name that it only repeats is unknown.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import CHAT, MESSAGES, RESPONSES, Provider, billable, free

PROVIDERS: Final = (
    Provider(
        "deepseek",
        ("api.deepseek.com",),
        "deepseek",
        (
            billable("/chat/completions", CHAT),
            billable("/v1/chat/completions", CHAT),
            billable("/beta/chat/completions", CHAT),
            billable("/beta/v1/chat/completions", CHAT),
            billable("/beta/completions", CHAT),
            billable("/beta/v1/completions", CHAT),
            billable("/responses", RESPONSES),
            billable("/v1/responses", RESPONSES),
            billable("/anthropic/v1/messages", MESSAGES),
            *free("/anthropic/v1/messages/count_tokens", "/anthropic/api/event_logging/**"),
        ),
    ),
)
