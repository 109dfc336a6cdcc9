"""Anthropic's own API, with what Claude Code asks of it beside messages. Source: facts/wire-formats.md 1.1, 20."""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import MESSAGES, Provider, billable, free

PROVIDERS: Final = (
    Provider(
        "anthropic",
        ("api.anthropic.com",),
        "anthropic",
        (
            billable("/v1/messages", MESSAGES),
            *free(
                "/v1/messages/count_tokens", "/v1/models/**", "/v1/files/**", "/v1/organizations/**", "/v1/skills/**"
            ),
            # Claude Code's own: profile, settings, flags, quota, telemetry, sign-in.
            *free("/", "/api/**", "/mcp-registry/**", "/v1/oauth/**", "/oauth/**", "/v1/mcp_servers/**"),
        ),
        MESSAGES,
    ),
)
