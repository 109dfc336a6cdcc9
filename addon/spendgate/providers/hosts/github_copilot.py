"""GitHub Copilot: three dialects on one host for each kind of plan, and the proxies of its completions.

Calls state their price (`copilot_usage`), and that is what is billed. Completions and next edits are part of every plan. Hosts of
`SUBDOMAIN.ghe.com` are a company's own; its policy names them. Source: facts/wire-formats.md 10.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.credentials import BEARER
from spendgate.providers.provider import CHAT, MESSAGES, RESPONSES, Provider, billable, free

PROVIDERS: Final = (
    Provider(
        "github-copilot",
        (
            "api.githubcopilot.com",
            "api.individual.githubcopilot.com",
            "api.business.githubcopilot.com",
            "api.enterprise.githubcopilot.com",
        ),
        "github-copilot",
        (
            billable("/chat/completions", CHAT),
            billable("/v1/chat/completions", CHAT),
            billable("/responses", RESPONSES, websocket=True),
            billable("/v1/responses", RESPONSES, websocket=True),
            billable("/v1/messages", MESSAGES),
            *free("/models/**", "/v1/messages/count_tokens"),
        ),
        states_cost=True,
        makers=True,
        keys=(BEARER,),
    ),
    Provider(
        "github-copilot-completions",
        (
            "copilot-proxy.githubusercontent.com",
            "proxy.individual.githubcopilot.com",
            "proxy.business.githubcopilot.com",
            "proxy.enterprise.githubcopilot.com",
        ),
        "github-copilot",
        free("/v1/engines/**"),
    ),
)
