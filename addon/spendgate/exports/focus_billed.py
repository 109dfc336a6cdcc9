"""FOCUS 1.4, Cost and Usage: what providers bill, as imported statements say it. A dataset of its own, without captured rows.

One row is one line of a statement that tells money and is in force on a closed day: the lines that a reconciliation compares, so
that the sum of BilledCost is what its report calls billed. The issuer is the provider, whose charges these are; whoever has the
provider's own FOCUS file, too, must not add both. BilledCost is after discounts and 0 for what a plan pays, what was not charged
and what is on another bill; ListCost is the list price where the source tells one, else what is billed. A credit is a charge of
its own. The statements name no invoice, so there is no InvoiceId.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from spendgate.exports.focus import MOMENT, STANDARD, VERSION, decimal, next_month
from spendgate.statement import Charge, Line
from spendgate.usage import Usage

_OWN: Final = (
    "x_FocusVersion", "x_Billed", "x_Charge", "x_Model", "x_Product", "x_TokenClass", "x_ServiceTier", "x_Workspace",
    "x_ApiKeyId", "x_ApiKeyName", "x_User", "x_ResponseId", "x_Requests", "x_InputTokens", "x_CacheReadTokens",
    "x_CacheWriteTokens", "x_OutputTokens", "x_Source", "x_Import", "x_ImportSha256",
)  # fmt: skip
COLUMNS: Final = (*STANDARD, *_OWN)
"""What is written, in this order."""
_CATEGORIES: Final = {
    Charge.SEAT: "Purchase", Charge.SUPPORT: "Purchase", Charge.TAX: "Tax", Charge.CREDIT: "Credit",
    Charge.ROUNDING: "Adjustment", Charge.OTHER: "Adjustment",
}  # fmt: skip
_FREQUENCIES: Final = {"Usage": "Usage-Based", "Purchase": "Recurring"}


class BilledLine(NamedTuple):
    """A line, what of it is money on this bill (nano-dollars), and the import that says so."""

    line: Line
    charged_nanos: int
    subject: str
    source: str
    name: str
    sha256: str


def rows(billed: Iterable[BilledLine]) -> Iterator[dict[str, str | int]]:
    """One row for each line that tells money, whether or not it is money on this bill."""
    for each in billed:
        if each.line.billed_nanos is not None:
            yield _row(each)


def _row(each: BilledLine) -> dict[str, str | int]:
    line, who, use = each.line, each.line.who, each.line.usage
    category = _CATEGORIES.get(line.charge, "Usage")
    quantity, unit = _consumed(line) if category == "Usage" else ("", "")
    billed = decimal(each.charged_nanos)
    told = category != "Credit" and line.list_nanos is not None
    starts = datetime.fromtimestamp(line.starts_ms // 1000, UTC)
    # FOCUS has whole seconds, and a request of a few milliseconds is no empty period.
    ends = datetime.fromtimestamp(max(-(-line.ends_ms // 1000), line.starts_ms // 1000 + 1), UTC)
    month = starts.replace(day=1, hour=0, minute=0, second=0)
    about = " ".join(
        part for part in (line.model or line.product or "no model", line.charge.value, line.token_class or "") if part
    )
    return {
        "BilledCost": billed, "EffectiveCost": billed, "ContractedCost": billed,
        "ListCost": decimal(line.list_nanos or 0) if told else billed,
        "BillingAccountId": who.organization or each.subject or "unknown", "BillingAccountName": "", "BillingCurrency": "USD",
        "BillingPeriodStart": month.strftime(MOMENT), "BillingPeriodEnd": next_month(month).strftime(MOMENT),
        "ChargePeriodStart": starts.strftime(MOMENT), "ChargePeriodEnd": ends.strftime(MOMENT),
        "ChargeCategory": category, "ChargeClass": "", "ChargeFrequency": _FREQUENCIES.get(category, "One-Time"),
        "ChargeDescription": f"{about}, billed", "HostProviderName": "", "InvoiceIssuerName": line.provider,
        "ServiceProviderName": line.provider, "ServiceCategory": "AI and Machine Learning", "ServiceSubcategory": "Generative AI",
        "ServiceName": f"{line.provider} models", "PricingQuantity": "", "PricingUnit": "", "ConsumedQuantity": quantity,
        "ConsumedUnit": unit, "Tags": "{}", "x_FocusVersion": VERSION, "x_Billed": line.billed.value,
        "x_Charge": line.charge.value,
        "x_Model": line.model or "", "x_Product": line.product or "", "x_TokenClass": line.token_class or "",
        "x_ServiceTier": line.axes.tier or "", "x_Workspace": who.workspace or "", "x_ApiKeyId": who.key or "",
        "x_ApiKeyName": who.key_name or "", "x_User": who.email or who.user or "", "x_ResponseId": line.response_id or "",
        "x_Requests": _count(line.requests), "x_InputTokens": _count(use.input_tokens),
        "x_CacheReadTokens": _count(use.cache_read_tokens),
        "x_CacheWriteTokens": _count(_writes(use)), "x_OutputTokens": _count(use.output_tokens), "x_Source": each.source,
        "x_Import": each.name, "x_ImportSha256": each.sha256,
    }  # fmt: skip


def _consumed(line: Line) -> tuple[str | int, str]:
    """How much was used, and of what; nothing where the line does not say."""
    use = line.usage
    counts = [
        each for each in (use.input_tokens, use.cache_read_tokens, _writes(use), use.output_tokens) if each is not None
    ]
    if counts:
        return sum(counts), "Tokens"
    if line.quantity and line.unit:
        return line.quantity, line.unit
    return (line.requests, "Requests") if line.requests is not None else ("", "")


def _writes(use: Usage) -> int | None:
    counts = [
        each
        for each in (use.cache_write_5m_tokens, use.cache_write_1h_tokens, use.cache_write_tokens)
        if each is not None
    ]
    return sum(counts) if counts else None


def _count(number: int | None) -> str | int:
    """What is not told is no zero."""
    return "" if number is None else number
