"""claude.ai and the chat of Claude Desktop: a seat's traffic, without counts. Source: facts/wire-formats.md 8."""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import Provider, Site, billable, free

CLAUDE_AI: Final = "claude-ai"
_CHAT: Final = "/api/organizations/*/chat_conversations"

PROVIDERS: Final = (
    Provider(
        "claude-ai",
        ("claude.ai",),
        "anthropic",
        (
            billable(f"{_CHAT}/*/completion", CLAUDE_AI, plan=True),
            billable(f"{_CHAT}/*/retry_completion", CLAUDE_AI, plan=True),
            *free(_CHAT, "/api/organizations/*/convert_document"),
        ),
        CLAUDE_AI,
        site=Site.MAINLY,
    ),
)
