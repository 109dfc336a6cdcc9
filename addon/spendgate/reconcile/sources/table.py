"""Which sources there are. A new one is a line here and a module beside it."""

from __future__ import annotations

from typing import Final

from spendgate.reconcile.sources.anthropic_analytics import AnthropicAnalytics
from spendgate.reconcile.sources.anthropic_csv import AnthropicCostCsv, AnthropicUsageCsv
from spendgate.reconcile.sources.anthropic_enterprise import AnthropicEnterprise
from spendgate.reconcile.sources.anthropic_legacy import AnthropicLegacy
from spendgate.reconcile.sources.aws_cur import AwsCur
from spendgate.reconcile.sources.azure_cost import AzureCost
from spendgate.reconcile.sources.chatgpt_credits import ChatGPTCredits
from spendgate.reconcile.sources.claude_code import ClaudeCode
from spendgate.reconcile.sources.copilot_api import Copilot
from spendgate.reconcile.sources.copilot_csv import CopilotCsv, CopilotOldCsv
from spendgate.reconcile.sources.cursor_api import Cursor
from spendgate.reconcile.sources.cursor_csv import CursorCsv
from spendgate.reconcile.sources.google_billing import GoogleBilling
from spendgate.reconcile.sources.interface import ApiSource, FileSource
from spendgate.reconcile.sources.langsmith_runs import LangSmith
from spendgate.reconcile.sources.litellm_spend import LiteLlm
from spendgate.reconcile.sources.openai_api import OpenAI
from spendgate.reconcile.sources.openai_csv import OpenAICostCsv, OpenAIUsageCsv
from spendgate.reconcile.sources.openrouter_api import OpenRouter
from spendgate.reconcile.sources.openrouter_csv import OpenRouterCsv

APIS: Final[tuple[ApiSource, ...]] = (
    AnthropicAnalytics(),
    AnthropicLegacy(),
    AnthropicEnterprise(),
    ClaudeCode(),
    OpenAI(),
    Cursor(),
    Copilot(),
    OpenRouter(),
)
FILES: Final[tuple[FileSource, ...]] = (
    AnthropicCostCsv(),
    AnthropicUsageCsv(),
    OpenAIUsageCsv(),
    OpenAICostCsv(),
    ChatGPTCredits(),
    CursorCsv(),
    CopilotCsv(),
    CopilotOldCsv(),
    OpenRouterCsv(),
    AwsCur(),
    GoogleBilling(),
    AzureCost(),
    LiteLlm(),
    LangSmith(),
)
"""In the order in which a file is offered to them: the narrower first."""
