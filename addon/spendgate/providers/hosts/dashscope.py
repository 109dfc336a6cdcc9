"""Alibaba's Model Studio in OpenAI's dialect, and its coding plan. Source: facts/wire-formats.md 12; the plan's hosts: reported.

genai-prices has no list of Alibaba's: OpenRouter's, which is nearest, spells Qwen's models with their vendor, so plain names are
unknown there and priced by the policy's `unknown_model`. Of Alibaba's native paths
generation of text is read; images, films, speech and applications (`/api/v1/apps`) are not.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import (
    ANSWER_CAPPED,
    CHAT,
    EMBEDDINGS,
    ENVELOPED,
    MESSAGES,
    RESPONSES,
    Provider,
    billable,
    free,
)

PROVIDERS: Final = (
    Provider(
        "alibaba",
        ("dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com", "dashscope-us.aliyuncs.com"),
        "openrouter",
        (
            billable("/compatible-mode/v1/chat/completions", ANSWER_CAPPED),
            billable("/compatible-mode/v1/completions", CHAT),
            billable("/compatible-mode/v1/responses", RESPONSES),
            billable("/compatible-mode/v1/embeddings", EMBEDDINGS),
            billable("/api/v1/services/aigc/text-generation/generation", ENVELOPED),
            billable("/api/v1/services/aigc/multimodal-generation/generation", ENVELOPED),
            billable("/apps/anthropic/v1/messages", MESSAGES),
            *free("/apps/anthropic/v1/messages/count_tokens", "/compatible-mode/v1/files/**"),
        ),
    ),
    Provider(
        "alibaba-coding-plan",
        ("coding.dashscope.aliyuncs.com", "coding-intl.dashscope.aliyuncs.com"),
        "openrouter",
        (
            billable("/v1/chat/completions", ANSWER_CAPPED, plan=True),
            billable("/apps/anthropic/v1/messages", MESSAGES, plan=True),
            *free("/apps/anthropic/v1/messages/count_tokens"),
        ),
    ),
)
