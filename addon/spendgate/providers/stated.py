"""What an answer itself says that it cost, and which of its fees nobody prices. Amounts are whole nano-dollars, rounded once.

OpenRouter, and what speaks like it (Kilo, Cline), gives `usage.cost` in dollars; with the person's own key at the vendor
(`is_byok`) that is OpenRouter's share alone, and the vendor bills `cost_details.upstream_inference_cost` beside it.
Perplexity gives an object with `total_cost`, xAI `cost_in_usd_ticks`, of which 10,000,000,000 are a dollar. Whether it
counts, the registry decides (`Provider.states_cost`). Sources: facts/wire-formats.md 12, 18.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from spendgate.money import NANOS_PER_DOLLAR, half_even
from spendgate.providers.shapes import AMOUNT, COUNT, FLAG, TEXT, Fields, amount_or, record

STATED: Final = {
    "cost": amount_or(total_cost=AMOUNT, currency=TEXT),
    "is_byok": FLAG,
    "cost_details": record(upstream_inference_cost=AMOUNT),
    "cost_in_usd_ticks": AMOUNT,
    "num_server_side_tools_used": COUNT,
    "server_tool_use_details": record(web_search_requests=COUNT, tool_calls_executed=COUNT),
}
"""The fields of a `usage` object that tell costs and fees."""

FEES: Final = "fees of server tools not priced"
"""Flag of an answer for which the provider ran tools that it bills by the call, where the answer does not state its cost."""

GUARDED: Final = "guardrail not priced"
"""Flag of a call that a guardrail of Bedrock's looked at: AWS bills it by the text beside the tokens, also where it lets nothing
through."""
GUARDRAIL: Final = "x-amzn-bedrock-guardrailidentifier"
"""The guardrail of InvokeModel (botocore 1.44.8) and of OpenAI's APIs on Bedrock (AWS, user guide, "Include a guardrail in a chat
completion"), in a request's head."""

_TICKS_A_DOLLAR: Final = 10_000_000_000


def stated_nanos(usage: Fields) -> int | None:
    """What a `usage` object says that the call cost, in nano-dollars; None where it says nothing, or not all."""
    ticks = usage.get("cost_in_usd_ticks")
    if ticks is not None:
        return _nanos(ticks, _TICKS_A_DOLLAR)
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost") if (cost.get("currency") or "USD").upper() == "USD" else None
    if not isinstance(cost, Decimal):
        return None
    if not usage.get("is_byok"):
        return _nanos(cost)
    upstream = (usage.get("cost_details") or {}).get("upstream_inference_cost")
    return None if upstream is None else _nanos(cost) + _nanos(upstream)


def tools_run(usage: Fields) -> bool:
    """Whether a `usage` object tells of tools that the provider ran and bills by the call."""
    details = usage.get("server_tool_use_details") or {}
    return bool(usage.get("num_server_side_tools_used") or details.get("tool_calls_executed"))


def _nanos(amount: Decimal, a_dollar: int = 1) -> int:
    numerator, denominator = amount.as_integer_ratio()
    return half_even(numerator * NANOS_PER_DOLLAR, denominator * a_dollar)
