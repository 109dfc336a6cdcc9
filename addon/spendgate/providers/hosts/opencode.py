"""OpenCode's Zen, at the vendors' list prices, and its flat plan Go. Source: facts/wire-formats.md 11.

Claude is spoken to in Anthropic's dialect and GPT in Responses, so these paths tell the vendor; what comes by chat is of many
vendors, in plain names that no one list of genai-prices has, so it is unknown.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import CHAT, MESSAGES, RESPONSES, Provider, Rule, Site, billable, free


def _models(base: str, *, plan: bool) -> tuple[Rule, ...]:
    return (
        billable(f"{base}/chat/completions", CHAT, plan=plan),
        billable(f"{base}/messages", MESSAGES, plan=plan, prices="anthropic"),
        billable(f"{base}/responses", RESPONSES, plan=plan, prices="openai"),
    )


PROVIDERS: Final = (
    Provider(
        "opencode",
        ("opencode.ai",),
        "openrouter",
        (
            *_models("/zen/v1", plan=False),
            *_models("/zen/go/v1", plan=True),
            *free("/zen/v1/messages/count_tokens", "/zen/go/v1/messages/count_tokens"),
        ),
        site=Site.ALSO,
    ),
)
