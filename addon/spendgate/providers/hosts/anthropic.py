"""Anthropic's own API, with what Claude Code asks of it beside messages. Source: facts/wire-formats.md 1.1, 20."""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import (
    ANTHROPIC_BATCHES,
    ANTHROPIC_KEYS,
    CHAT,
    MESSAGES,
    Provider,
    billable,
    free,
    result,
)

PROVIDERS: Final = (
    Provider(
        "anthropic",
        ("api.anthropic.com",),
        "anthropic",
        (
            billable("/v1/messages", MESSAGES),
            # Its endpoint for OpenAI's SDKs, with OpenAI's answers and errors (platform.claude.com, OpenAI SDK compatibility).
            billable("/v1/chat/completions", CHAT),
            billable("/v1/messages/batches", ANTHROPIC_BATCHES),
            # A batch is billed when it is worked off, and metered when its results are read.
            result("/v1/messages/batches/*/results", ANTHROPIC_BATCHES),
            *free("/v1/messages/batches/*/cancel"),
            *free(
                "/v1/messages/count_tokens", "/v1/models/**", "/v1/files/**", "/v1/organizations/**", "/v1/skills/**"
            ),
            # Claude Code's own: profile, settings, flags, quota, telemetry, sign-in.
            *free("/", "/api/**", "/mcp-registry/**", "/v1/oauth/**", "/oauth/**", "/v1/mcp_servers/**"),
        ),
        MESSAGES,
        usage_when_asked=True,
        keys=ANTHROPIC_KEYS,
    ),
)
