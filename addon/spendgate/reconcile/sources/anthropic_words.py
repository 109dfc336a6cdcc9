"""The words that Anthropic's reports share: kinds of cost, classes of tokens, and a row's counts.

Source: the PyPI package `anthropic` 2.12.0, `types/beta/organization` (BetaAnalyticsCostType, BetaAnalyticsTokenType,
BetaAnalyticsUsageBucketedResult) and the pages on `usage_report` and `cost_report` of its documentation.
"""

from __future__ import annotations

from typing import Any, Final

from spendgate.reconcile.sources.assembling import whole
from spendgate.reconcile.sources.reading import count
from spendgate.statement import Charge, TokenClass
from spendgate.usage import Usage

CHARGES: Final = {
    "tokens": Charge.TOKENS,
    "web_search": Charge.WEB_SEARCH,
    "code_execution": Charge.CODE_EXECUTION,
    "session_usage": Charge.SESSION,
}
CLASSES: Final = {
    "uncached_input_tokens": TokenClass.INPUT,
    "cache_read_input_tokens": TokenClass.CACHE_READ,
    "cache_creation.ephemeral_5m_input_tokens": TokenClass.CACHE_WRITE_5M,
    "cache_creation.ephemeral_1h_input_tokens": TokenClass.CACHE_WRITE_1H,
    "output_tokens": TokenClass.OUTPUT,
}


def kind_of_cost(cost_type: str | None, token_type: str | None) -> tuple[Charge, TokenClass | None, str | None]:
    """What a row's money is for, its class of tokens, and the word that nobody knew when this was written.

    A row without a cost type is not taken for tokens: nothing says so.
    """
    charge, token_class = CHARGES.get(cost_type or "", Charge.OTHER), CLASSES.get(token_type or "")
    if token_type is not None and token_class is None:
        charge = Charge.OTHER
    return charge, token_class, (token_type or cost_type) if charge is Charge.OTHER else None


def counted(usage: dict[str, Any]) -> Usage:
    """A row's counts, which are disjoint. Raises ValueError, KeyError."""
    writes, tools = usage.get("cache_creation") or {}, usage.get("server_tool_use") or {}
    return Usage(
        input_tokens=count(usage["uncached_input_tokens"]),
        cache_read_tokens=count(usage["cache_read_input_tokens"]),
        cache_write_5m_tokens=whole(writes.get("ephemeral_5m_input_tokens")),
        cache_write_1h_tokens=whole(writes.get("ephemeral_1h_input_tokens")),
        output_tokens=count(usage["output_tokens"]),
        web_searches=whole(tools.get("web_search_requests")),
    )
