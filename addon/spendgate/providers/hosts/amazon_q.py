"""Kiro and Amazon Q Developer: credits of a plan. Source: facts/wire-formats.md 11.

Amazon Q's own programs send all they do to `/`, and name the operation in a header (`x-amz-target`), which no rule can see: such
a row says `unrecognized`, with bytes and times, and nothing of it is refused.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import Provider, billable

AMAZON_Q: Final = "amazon-q"

PROVIDERS: Final = (
    Provider(
        "amazon-q",
        ("q.us-east-1.amazonaws.com", "codewhisperer.us-east-1.amazonaws.com"),
        "anthropic",
        (
            billable("/generateAssistantResponse", AMAZON_Q, plan=True),
            billable("/SendMessage", AMAZON_Q, plan=True),
        ),
        AMAZON_Q,
    ),
)
