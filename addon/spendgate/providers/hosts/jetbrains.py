"""JetBrains AI: quota of a plan. Source: facts/wire-formats.md 11.

Vendors' own dialects are passed on below two paths, with the vendors' own counts. JetBrains' own stream
(`/user/v5/llm/chat/stream/v7`) has no known counts and stands in no rule: its rows say `unrecognized`, with bytes and times.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.credentials import BEARER
from spendgate.providers.provider import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Provider, billable, free

_OPENAI: Final = "/user/*/llm/openai/v1"
_ANTHROPIC: Final = "/user/*/llm/anthropic/v1"

PROVIDERS: Final = (
    Provider(
        "jetbrains-ai",
        ("api.jetbrains.ai",),
        "openai",
        (
            billable(f"{_OPENAI}/chat/completions", CHAT, plan=True),
            billable(f"{_OPENAI}/responses", RESPONSES, plan=True),
            billable(f"{_OPENAI}/embeddings", EMBEDDINGS, plan=True),
            billable(f"{_ANTHROPIC}/messages", MESSAGES, plan=True, prices="anthropic"),
            *free(f"{_ANTHROPIC}/messages/count_tokens"),
        ),
        keys=(BEARER,),
    ),
)
