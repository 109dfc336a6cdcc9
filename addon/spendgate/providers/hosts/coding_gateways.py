"""Hosts through which coding tools sell models: Kilo Code, Cline, Amp. Source: facts/wire-formats.md 11.

Kilo and Cline speak as OpenRouter does, with its models' names and `usage.cost`. Amp passes vendors' own dialects on, at about
their list prices; its other paths are its own and not read.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import CHAT, GEMINI, MESSAGES, RESPONSES, Provider, Site, billable, free

PROVIDERS: Final = (
    Provider(
        "kilo",
        ("api.kilo.ai",),
        "openrouter",
        (
            billable("/api/gateway/chat/completions", CHAT),
            billable("/api/gateway/v1/chat/completions", CHAT),
            billable("/api/openrouter/chat/completions", CHAT),
            billable("/api/openrouter/v1/chat/completions", CHAT),
        ),
        states_cost=True,
    ),
    Provider(
        "cline",
        ("api.cline.bot",),
        "openrouter",
        (billable("/api/v1/chat/completions", CHAT),),
        states_cost=True,
    ),
    Provider(
        "amp",
        ("ampcode.com",),
        "openrouter",
        (
            billable("/api/provider/anthropic/v1/messages", MESSAGES, prices="anthropic"),
            billable("/api/provider/openai/v1/chat/completions", CHAT, prices="openai"),
            billable("/api/provider/openai/v1/responses", RESPONSES, websocket=True, prices="openai"),
            billable("/api/provider/xai/v1/chat/completions", CHAT, prices="x-ai"),
            *(
                billable(f"/api/provider/google/**/models/{{model}}:{verb}", GEMINI, prices="google")
                for verb in ("generateContent", "streamGenerateContent")
            ),
            billable("/api/provider/**/chat/completions", CHAT),
            *free("/api/provider/anthropic/v1/messages/count_tokens"),
        ),
        site=Site.ALSO,
    ),
)
