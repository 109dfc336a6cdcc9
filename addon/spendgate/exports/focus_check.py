"""The structure of a FOCUS 1.4 Cost and Usage file, whoever wrote it: the public validator passes files that break its rules.

Columns that must be there, cells that must not be empty, the standard's allowed words, numbers, periods, and what a charge of its
category must not have.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from spendgate.exports.focus import MANDATORY, MOMENT, NOT_NULL
from spendgate.exports.focus_words import SERVICES, WORDS

_NUMBERS: Final = frozenset((
    "BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingQuantity", "ConsumedQuantity", "ListUnitPrice",
    "ContractedUnitPrice", "x_CapturedCost", "x_EstimatedCost", "x_CalibratedCost",
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
    yield from (f"{name} is empty" for name in NOT_NULL if not cells[name])
    for name in sorted(_NUMBERS & set(cells)):
        if cells[name] and not _NUMBER.fullmatch(cells[name]):
            yield f"{name} is no decimal: {cells[name][:40]!r}"
    yield from _word_faults(cells)
    yield from _period_faults(cells)


def _word_faults(cells: Mapping[str, str]) -> Iterator[str]:
    for name, allowed in WORDS.items():
        if cells.get(name) and cells[name] not in allowed:
            yield f"{name} is none of the standard's words ({', '.join(sorted(allowed))}): {cells[name][:40]!r}"
    sub, category = cells.get("ServiceSubcategory", ""), cells["ServiceCategory"]
    if sub and category in SERVICES and sub not in SERVICES[category]:
        yield f"ServiceSubcategory is none of {category}: {sub[:40]!r}"
    if cells["BillingCurrency"] and not _CURRENCY.fullmatch(cells["BillingCurrency"]):
        yield f"BillingCurrency is no ISO 4217 code: {cells['BillingCurrency'][:40]!r}"
    for kind in ("Pricing", "Consumed"):
        if bool(cells.get(f"{kind}Quantity")) != bool(cells.get(f"{kind}Unit")):
            yield f"of {kind}Quantity and {kind}Unit only one is there"
    yield from _category_faults(cells)
    if cells.get("x_CapturedCost") and Decimal(_number(cells["BilledCost"])) != 0:
        yield "a captured row has a BilledCost: what no invoice demands must not be added to one"


def _category_faults(cells: Mapping[str, str]) -> Iterator[str]:
    """What a charge of its category must not have."""
    category = cells["ChargeCategory"]
    if category == "Purchase" and cells.get("ChargeFrequency") == "Usage-Based":
        yield "ChargeFrequency of a Purchase is Usage-Based"
    if category == "Tax" and cells["PricingQuantity"]:
        yield "PricingQuantity of a Tax is there"
    if category in WORDS["ChargeCategory"] - {"Usage"} and cells.get("ConsumedQuantity"):
        yield f"ConsumedQuantity is there, and the charge is a {category}, no Usage"
    listed, billed = (Decimal(_number(cells[name])) for name in ("ListCost", "BilledCost"))
    if category == "Credit" and not cells.get("ListUnitPrice") and listed != billed:
        yield "ListCost of a Credit without a list price is not its BilledCost"


def _number(cell: str) -> str:
    """What is no number is told as such elsewhere."""
    return cell if _NUMBER.fullmatch(cell) else "0"


def _period_faults(cells: Mapping[str, str]) -> Iterator[str]:
    found: dict[str, datetime] = {}
    for name in _TIMES:
        try:
            found[name] = datetime.strptime(cells[name], MOMENT)
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
