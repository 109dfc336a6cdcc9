"""The dialect `chat-answer-capped`: OpenAI's chat where `max_tokens` may bound the answer alone, without what is thought before.

So it is at Alibaba for models before qwen4-max-preview, by model and `thinking_budget`; `max_completion_tokens` bounds both
(alibabacloud.com, Model Studio, API compatibility upgrades, 2026-11-02).
"""

from __future__ import annotations

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.interface import Head
from spendgate.providers.jsonscan import Scan
from spendgate.providers.openai_chat import OpenAIChat
from spendgate.providers.shapes import UNREADABLE, cap


class AnswerCapped(OpenAIChat):
    """Chat whose thoughts `max_tokens` does not bound. Stateless."""

    name = "chat-answer-capped"

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan; what is told not to think is bounded as elsewhere."""
        ask = super().asked(head, body, scan)
        if scan.fields.get("enable_thinking") is False:
            return ask
        both = scan.fields.get("max_completion_tokens")
        return replace(ask, output_tokens_max=None if both == UNREADABLE else cap(both))
