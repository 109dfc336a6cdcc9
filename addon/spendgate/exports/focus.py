"""FOCUS 1.4, Cost and Usage: what the gate has captured, as rows that never pretend to be an invoice.

The sum of BilledCost for an invoice must be what that invoice demands, so a captured row has none: BilledCost and EffectiveCost
are 0, and there is no InvoiceId. ContractedCost is what the calls cost at the prices in force, ListCost what they would at list
price; `x_CapturedCost` says the first by its own name, `x_EstimatedCost` the part of it that no provider's count
supports, and `x_CalibratedCost` so much of that as bills have calibrated.
A row is one UTC day of alike calls. FOCUS has no columns for models or classes of tokens: they are `x_` columns.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from spendgate.ledger.queries import Spend

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
_VERSION: Final = "1.4"
_NOT_NULL: Final = (
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
MANDATORY: Final = frozenset((*_NOT_NULL, *_NULLABLE))
"""The columns that every Cost and Usage dataset of FOCUS 1.4 has."""
_OWN: Final = (
    "x_FocusVersion", "x_CapturedCost", "x_EstimatedCost", "x_CalibratedCost", "x_Model", "x_ApiKeyId", "x_Person", "x_Team",
    "x_Machine", "x_Tool", "x_Project", "x_Host", "x_Billing", "x_Calls", "x_InputTokens", "x_CacheReadTokens",
    "x_CacheWriteTokens", "x_OutputTokens",
)  # fmt: skip
COLUMNS: Final = (*sorted((*MANDATORY, "ConsumedQuantity", "ConsumedUnit", "Tags")), *_OWN)
"""What is written, in this order."""
_MOMENT: Final = "%Y-%m-%dT%H:%M:%SZ"
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
        "BillingPeriodStart": month.strftime(_MOMENT), "BillingPeriodEnd": _next_month(month).strftime(_MOMENT),
        "ChargePeriodStart": day.strftime(_MOMENT), "ChargePeriodEnd": (day + timedelta(days=1)).strftime(_MOMENT),
        "ChargeCategory": "Usage", "ChargeClass": "",
        "ChargeDescription": f"{said['model'] or 'unknown model'}, captured", "HostProviderName": "",
        "InvoiceIssuerName": said["provider"], "ServiceProviderName": said["provider"],
        "ServiceCategory": "AI and Machine Learning", "ServiceName": f"{said['provider']} models",
        "PricingQuantity": "", "PricingUnit": "", "ConsumedQuantity": tokens, "ConsumedUnit": "Tokens",
        "Tags": json.dumps(tags), "x_FocusVersion": _VERSION, "x_CapturedCost": decimal(each.cost_nanos),
        "x_EstimatedCost": decimal(each.not_reported_nanos),
        "x_CalibratedCost": decimal(each.calibrated_nanos), "x_Model": said["model"], "x_ApiKeyId": said["api_key"],
        "x_Person": said["person"], "x_Team": said["team"], "x_Machine": said["machine"], "x_Tool": said["tool"],
        "x_Project": said["project"], "x_Host": said["host"], "x_Billing": said["billing"], "x_Calls": each.calls,
        "x_InputTokens": each.input_tokens, "x_CacheReadTokens": each.cache_read_tokens,
        "x_CacheWriteTokens": each.cache_write_tokens, "x_OutputTokens": each.output_tokens,
    }  # fmt: skip


def _next_month(month: datetime) -> datetime:
    return (month + timedelta(days=32)).replace(day=1)


def decimal(nanos: int) -> str:
    """Dollars to the nano-dollar, as FOCUS writes numbers: no separators, no exponent."""
    whole, part = divmod(abs(nanos), _NANOS)
    text = f"{whole}.{part:09d}".rstrip("0").rstrip(".")
    return f"-{text}" if nanos < 0 else text


# -- the structure of a file, whoever wrote it -------------------------------------------------------------------------

_CATEGORIES: Final = frozenset(("Usage", "Purchase", "Tax", "Credit", "Adjustment"))
_SERVICES: Final = frozenset((
    "AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools", "Multicloud",
    "Identity", "Integration", "Internet of Things", "Management and Governance", "Media", "Migration", "Mobile", "Networking",
    "Security", "Storage", "Web", "Other",
))  # fmt: skip
_NUMBERS: Final = frozenset((
    "BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingQuantity", "ConsumedQuantity",
    "x_CapturedCost", "x_EstimatedCost", "x_CalibratedCost",
))  # fmt: skip
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
_TIMES: Final = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


def faults(lines: Iterable[str]) -> Iterator[str]:
    """What of a CSV file is not as FOCUS 1.4 has it, by line: columns, empty cells, words, numbers, periods."""
    reader = csv.DictReader(lines, strict=True)
    names = reader.fieldnames or ()
    if missing := sorted(MANDATORY - set(names)):
        yield f"line 1: these columns are missing: {', '.join(missing)}"
        return
    if double := sorted({name for name in names if names.count(name) > 1}):
        yield f"line 1: these columns stand twice: {', '.join(double)}"
    try:
        for row in reader:
            yield from (f"line {reader.line_num}: {fault}" for fault in _row_faults(row))
    except csv.Error as fault:
        yield f"line {reader.line_num}: this is no CSV: {fault}"


def _row_faults(row: Mapping[str | None, str | None]) -> Iterator[str]:
    if None in row or None in row.values():
        yield "it has another number of cells than the first line"
        return
    cells = {str(name): str(value) for name, value in row.items()}
    yield from (f"{name} is empty" for name in _NOT_NULL if not cells[name])
    for name in sorted(_NUMBERS & set(cells)):
        if cells[name] and not _NUMBER.fullmatch(cells[name]):
            yield f"{name} is no decimal: {cells[name][:40]!r}"
    yield from _word_faults(cells)
    yield from _period_faults(cells)


def _word_faults(cells: Mapping[str, str]) -> Iterator[str]:
    if cells["ChargeCategory"] and cells["ChargeCategory"] not in _CATEGORIES:
        yield f"ChargeCategory is none of {', '.join(sorted(_CATEGORIES))}: {cells['ChargeCategory'][:40]!r}"
    if cells["ChargeClass"] not in ("", "Correction"):
        yield f"ChargeClass is neither empty nor Correction: {cells['ChargeClass'][:40]!r}"
    if cells["ServiceCategory"] and cells["ServiceCategory"] not in _SERVICES:
        yield f"ServiceCategory is none of the standard's: {cells['ServiceCategory'][:40]!r}"
    if cells["BillingCurrency"] and not _CURRENCY.fullmatch(cells["BillingCurrency"]):
        yield f"BillingCurrency is no ISO 4217 code: {cells['BillingCurrency'][:40]!r}"
    if bool(cells["PricingQuantity"]) != bool(cells["PricingUnit"]):
        yield "of PricingQuantity and PricingUnit only one is there"
    if _is_captured(cells) and Decimal(cells["BilledCost"]) != 0:
        yield "a captured row has a BilledCost: what no invoice demands must not be added to one"


def _is_captured(cells: Mapping[str, str]) -> bool:
    return bool(cells.get("x_CapturedCost")) and _NUMBER.fullmatch(cells["BilledCost"]) is not None


def _period_faults(cells: Mapping[str, str]) -> Iterator[str]:
    found: dict[str, datetime] = {}
    for name in _TIMES:
        try:
            found[name] = datetime.strptime(cells[name], _MOMENT)
        except ValueError:
            if cells[name]:
                yield f"{name} is no UTC time as 2026-11-01T00:00:00Z: {cells[name][:40]!r}"
    if len(found) < len(_TIMES):
        return
    for kind in ("Billing", "Charge"):
        if found[f"{kind}PeriodStart"] >= found[f"{kind}PeriodEnd"]:
            yield f"{kind}PeriodStart is not before {kind}PeriodEnd"
    if not found["BillingPeriodStart"] <= found["ChargePeriodStart"] < found["BillingPeriodEnd"]:
        yield "the charge period does not begin in the billing period"
