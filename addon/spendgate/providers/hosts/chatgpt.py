"""ChatGPT's own backend: Codex with a ChatGPT login, and the conversations of its web and desktop apps.

Whether a call is the plan's is told by its credential (`client`), which this host checks. Quota reads, challenges and
preparations are free; other paths (images, memories, cloud tasks) are not read. Source: facts/wire-formats.md 3, 9.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import RESPONSES, Provider, Site, billable, free

CONVERSATION: Final = "chatgpt-conversation"

PROVIDERS: Final = (
    Provider(
        "chatgpt",
        ("chatgpt.com",),
        "openai",
        (
            billable("/backend-api/codex/responses", RESPONSES, websocket=True),
            billable("/backend-api/codex/responses/compact", RESPONSES),
            billable("/backend-api/f/conversation", CONVERSATION),
            billable("/backend-api/conversation", CONVERSATION),
            *free(
                "/backend-api/wham/usage", "/backend-api/codex/models",
                "/backend-api/f/conversation/prepare", "/backend-api/f/conversation/resume",
                "/backend-api/sentinel/**",
            ),
        ),
        site=Site.MAINLY,
    ),
)  # fmt: skip
