"""FOCUS 1.4, Cost and Usage: what the gate has captured, as rows that never pretend to be an invoice.

The sum of BilledCost for an invoice must be what that invoice demands, so a captured row has none: BilledCost and EffectiveCost
are 0, and there is no InvoiceId. ContractedCost is what the calls cost at the prices in force, ListCost what they would at list
price; `x_CapturedCost` says the first by its own name, `x_EstimatedCost` the part of it that no provider's count
supports, and `x_CalibratedCost` so much of that as bills have calibrated.
What providers bill is another dataset (`focus_billed`), never rows of this one: added up, a call would be there twice.
A row is one UTC day of alike calls. FOCUS has no columns for models or classes of tokens: they are `x_` columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from spendgate.ledger.spending import Spend

BY: Final = (
    "day",
    "person",
    "team",
    "machine",
    "tool",
    "project",
    "provider",
    "host",
    "model",
    "api_key",
    "account",
    "billing",
)
"""What the calls of a row have in common: the groups of `Reader.spend`, in this order, days in UTC."""
VERSION: Final = "1.4"
NOT_NULL: Final = (
    "BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd", "ChargeCategory",
    "ChargePeriodStart", "ChargePeriodEnd", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost",
    "ServiceProviderName", "ServiceCategory", "ServiceName",
)  # fmt: skip
_NULLABLE: Final = (
    "BillingAccountName",
    "ChargeClass",
    "ChargeDescription",
    "HostProviderName",
    "PricingQuantity",
    "PricingUnit",
)
MANDATORY: Final = frozenset((*NOT_NULL, *_NULLABLE))
"""The columns that every Cost and Usage dataset of FOCUS 1.4 has."""
_OWN: Final = (
    "x_FocusVersion", "x_CapturedCost", "x_EstimatedCost", "x_CalibratedCost", "x_Model", "x_ApiKeyId", "x_Person", "x_Team",
    "x_Machine", "x_Tool", "x_Project", "x_Host", "x_Billing", "x_Calls", "x_InputTokens", "x_CacheReadTokens",
    "x_CacheWriteTokens", "x_OutputTokens",
)  # fmt: skip
STANDARD: Final = tuple(
    sorted((*MANDATORY, "ChargeFrequency", "ConsumedQuantity", "ConsumedUnit", "ServiceSubcategory", "Tags"))
)
"""The standard's columns that both datasets have."""
COLUMNS: Final = (*STANDARD, *_OWN)
"""What is written, in this order."""
MOMENT: Final = "%Y-%m-%dT%H:%M:%SZ"
_NANOS: Final = 1_000_000_000


def rows(spent: Iterable[Spend]) -> Iterator[dict[str, str | int]]:
    """One row for each group that left or cost something; groups are `BY`."""
    for each in spent:
        if each.calls or each.cost_nanos or each.value_nanos:
            yield _row(each)


def _row(each: Spend) -> dict[str, str | int]:
    said = {name: value or "" for name, value in zip(BY, each.key, strict=True)}
    day = datetime.strptime(said["day"], "%Y-%m-%d")
    month = day.replace(day=1)
    tokens = each.input_tokens + each.cache_read_tokens + each.cache_write_tokens + each.output_tokens
    tags = {name: said[name] for name in ("person", "team", "project", "tool") if said[name]}
    return {
        "BilledCost": "0", "EffectiveCost": "0", "ContractedCost": decimal(each.cost_nanos),
        "ListCost": decimal(each.value_nanos),
        "BillingAccountId": said["account"] or "unknown", "BillingAccountName": "", "BillingCurrency": "USD",
        "BillingPeriodStart": month.strftime(MOMENT), "BillingPeriodEnd": next_month(month).strftime(MOMENT),
        "ChargePeriodStart": day.strftime(MOMENT), "ChargePeriodEnd": (day + timedelta(days=1)).strftime(MOMENT),
        "ChargeCategory": "Usage", "ChargeClass": "", "ChargeFrequency": "Usage-Based",
        "ChargeDescription": f"{said['model'] or 'unknown model'}, captured", "HostProviderName": "",
        "InvoiceIssuerName": said["provider"], "ServiceProviderName": said["provider"],
        "ServiceCategory": "AI and Machine Learning", "ServiceSubcategory": "Generative AI",
        "ServiceName": f"{said['provider']} models",
        "PricingQuantity": "", "PricingUnit": "", "ConsumedQuantity": tokens, "ConsumedUnit": "Tokens",
        "Tags": json.dumps(tags), "x_FocusVersion": VERSION, "x_CapturedCost": decimal(each.cost_nanos),
        "x_EstimatedCost": decimal(each.not_reported_nanos),
        "x_CalibratedCost": decimal(each.calibrated_nanos), "x_Model": said["model"], "x_ApiKeyId": said["api_key"],
        "x_Person": said["person"], "x_Team": said["team"], "x_Machine": said["machine"], "x_Tool": said["tool"],
        "x_Project": said["project"], "x_Host": said["host"], "x_Billing": said["billing"], "x_Calls": each.calls,
        "x_InputTokens": each.input_tokens, "x_CacheReadTokens": each.cache_read_tokens,
        "x_CacheWriteTokens": each.cache_write_tokens, "x_OutputTokens": each.output_tokens,
    }  # fmt: skip


def next_month(month: datetime) -> datetime:
    """The first of the month after this first of a month."""
    return (month + timedelta(days=32)).replace(day=1)


def decimal(nanos: int) -> str:
    """Dollars to the nano-dollar, as FOCUS writes numbers: no separators, no exponent."""
    whole, part = divmod(abs(nanos), _NANOS)
    text = f"{whole}.{part:09d}".rstrip("0").rstrip(".")
    return f"-{text}" if nanos < 0 else text
