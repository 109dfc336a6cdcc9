"""Kiro and Amazon Q Developer: credits of a plan. Source: facts/wire-formats.md 11; hosts, paths and operations as several public
third-party clients send them (reported, not tried).

The command-line tools speak AWS's JSON protocol: all they do goes to `/`, and `x-amz-target` names the operation, which is then
the path that rules see. What is free here is so by its name.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import Provider, billable, free

AMAZON_Q: Final = "amazon-q"
_REGIONS: Final = ("us-east-1", "eu-central-1")

PROVIDERS: Final = (
    Provider(
        "amazon-q",
        tuple(
            host.format(region)
            for region in _REGIONS
            for host in ("q.{}.amazonaws.com", "codewhisperer.{}.amazonaws.com", "runtime.{}.kiro.dev")
        ),
        "anthropic",
        (
            billable("/generateAssistantResponse", AMAZON_Q, plan=True),
            billable("/SendMessage", AMAZON_Q, plan=True),
            billable("/SendMessageStreaming", AMAZON_Q, plan=True),
            *free("/ListAvailableModels", "/ListAvailableProfiles", "/GetUsageLimits", "/SendTelemetryEvent"),
        ),
        AMAZON_Q,
        targets=True,
    ),
)
