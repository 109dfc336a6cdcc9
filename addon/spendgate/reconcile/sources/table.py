"""Which sources there are. A new one is a line here and a module beside it."""

from __future__ import annotations

from typing import Final

from spendgate.reconcile.sources.anthropic_analytics import AnthropicAnalytics
from spendgate.reconcile.sources.chatgpt_credits import ChatGPTCredits
from spendgate.reconcile.sources.copilot_api import Copilot
from spendgate.reconcile.sources.copilot_csv import CopilotCsv, CopilotOldCsv
from spendgate.reconcile.sources.cursor_api import Cursor
from spendgate.reconcile.sources.cursor_csv import CursorCsv
from spendgate.reconcile.sources.interface import ApiSource, FileSource
from spendgate.reconcile.sources.openai_api import OpenAI
from spendgate.reconcile.sources.openai_csv import OpenAICostCsv, OpenAIUsageCsv
from spendgate.reconcile.sources.openrouter_api import OpenRouter
from spendgate.reconcile.sources.openrouter_csv import OpenRouterCsv

APIS: Final[tuple[ApiSource, ...]] = (AnthropicAnalytics(), OpenAI(), Cursor(), Copilot(), OpenRouter())
FILES: Final[tuple[FileSource, ...]] = (
    OpenAIUsageCsv(),
    OpenAICostCsv(),
    ChatGPTCredits(),
    CursorCsv(),
    CopilotCsv(),
    CopilotOldCsv(),
    OpenRouterCsv(),
)
"""In the order in which a file is offered to them: the narrower first."""
