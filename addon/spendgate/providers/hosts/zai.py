"""Z.ai and its Chinese twin Zhipu, with the paths of their coding plan. Source: facts/wire-formats.md 12.

Whether a call to `/api/anthropic` is the plan's depends on the key, and no key tells: it counts as metered.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import CHAT, ENVELOPED, MESSAGES, Provider, billable, free

_RULES: Final = (
    billable("/api/paas/v4/chat/completions", CHAT),
    billable("/api/coding/paas/v4/chat/completions", CHAT, plan=True),
    # Answered by the id of a job, whose result is not read: estimated.
    billable("/api/paas/v4/async/chat/completions", ENVELOPED),
    billable("/api/anthropic/v1/messages", MESSAGES),
    *free("/api/anthropic/v1/messages/count_tokens", "/api/paas/v4/tokenizer", "/api/anthropic/api/event_logging/**"),
)

PROVIDERS: Final = (
    Provider("zai", ("api.z.ai",), "zai", _RULES),
    Provider("zhipuai", ("open.bigmodel.cn",), "zhipuai", _RULES),
)
