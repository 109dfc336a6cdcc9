"""Azure Cost Management export (actual cost), as CSV: token meters of Azure OpenAI and Foundry models.

Source: the dataset schemas of Cost Management (learn.microsoft.com, cost-management-billing/dataset-schema), enterprise and
customer agreement: names differ in case and a few in spelling; meters as the public retail price list has them (`gpt 4o 1120
Inp glbl Tokens` in `1K`, `GPT 5 Mini cchd Inpt Glbl 1M Tokens`, `5.4 opt Gl 1M Tokens`). Partitions of one export are one
statement: put them together by `cat`, gzip or not.

Who called is not in it: subscription and resource are. Dollars are read as they are; in another billing currency the export's
own dollar column (`CostInUsd`, customer agreement) is taken, and where it has none the file is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from spendgate.reconcile.sources.assembling import Reading, filled, plain, told
from spendgate.reconcile.sources.clouds import (
    MODEL,
    LeftOut,
    again,
    amount_of,
    axes_of,
    class_of,
    head_of,
    one_class,
    plain_word,
    tokens,
    uncounted,
    unpacked,
    words_of,
)
from spendgate.reconcile.sources.reading import Row, csv_header, day_ms, decimal, nanos, shown
from spendgate.statement import DAY_MS, Charge, Line, Statement, Who
from spendgate.usage import NO_USAGE

_NEEDED: Final = (
    "date", "metercategory", "metersubcategory", "metername", "quantity", "unitofmeasure", "costinbillingcurrency", "chargetype",
)  # fmt: skip
_CHARGES: Final = {
    "tax": Charge.TAX, "refund": Charge.CREDIT, "roundingadjustment": Charge.ROUNDING, "unusedreservation": Charge.OTHER,
    "unusedsavingsplan": Charge.OTHER,
}  # fmt: skip
_SERVICES: Final = ("openai", "foundry models")
_PER: Final = re.compile(r"^(\d+)\s*([KM]?)\b", re.IGNORECASE)
_SIZES: Final = {"": 1, "k": 1000, "m": 1_000_000}
_STOP: Final = re.compile(
    r"^(?:\d{4}|inp|inpt|input|outp|outpt|output|opt|cached?|cchd|cd|ch|cach|batch|pp|priority|glbl|gl|global|rgnl|regnl|regional"
    r"|dzone|dz|data|shortco|longco|txt|text|aud|audio|img|image|tokens?|1[km]|ft|training|hosting)$",
    re.IGNORECASE,
)


class AzureCost:
    """`azure-cost`."""

    name = "azure-cost"
    title = "Azure Cost Management export, actual cost, as CSV: token meters by subscription, resource and day"

    def recognises(self, head: bytes) -> bool:
        """See `FileSource`."""
        return {name.lower() for name in csv_header(head_of(head))}.issuperset(_NEEDED)

    def read(self, data: bytes, origin: str) -> Statement:
        """See `FileSource`."""
        reading, left = Reading(self.name, "azure", unpacked(data, origin), origin), LeftOut()

        def take(row: Row) -> list[Line]:
            return [] if again(row) else _lines({name.lower(): cell for name, cell in row.items()}, reading, left)

        said = reading.rows((), take).statement(lambda line: line.who.organization)
        notes = (
            *said.notes,
            *left.told(),
            "Azure tells no requests and no people; a month may change until its invoice is issued",
        )
        return replace(said, sha256=sha256(data).hexdigest(), notes=notes)


def _lines(row: Mapping[str, str], reading: Reading, left: LeftOut) -> list[Line]:
    starts = _day(row["date"])
    reading.covers(starts, starts + DAY_MS)
    column, currency = _dollars(row, "costinusd", "costinbillingcurrency")
    if currency != "USD":
        reading.notes.update([f"in {plain_word(currency)}: the export's own dollars are taken"])
    billed = nanos(filled(row, column))
    category, sub, meter = row["metercategory"], row["metersubcategory"], row["metername"]
    known = any(each in f"{category} {sub}".lower() for each in _SERVICES)
    if not known and not MODEL.search(f"{sub} {meter} {row.get('productname', '')}"):
        left.add(category or row["chargetype"], billed)
        return []
    line = _line(row, meter, sub, starts)
    reading.notes.update(uncounted(line))
    return [replace(line, billed_nanos=billed, list_nanos=_listed(row, currency), amount=f"{row[column]} USD")]


def _dollars(row: Mapping[str, str], dollars: str, own: str) -> tuple[str, str]:
    """The column that has dollars, and the billing currency. Raises ValueError where there is none."""
    currency = row.get("billingcurrency") or row.get("billingcurrencycode") or ""
    if currency == "USD":
        return own, currency
    if row.get(dollars):
        return dollars, currency or "an unnamed currency"
    raise ValueError(
        f"currency {shown(currency)} without a column CostInUsd: no rate is guessed; an export of a customer agreement has it"
    )


def _listed(row: Mapping[str, str], currency: str) -> int | None:
    """Pay-as-you-go price times quantity, where both are dollars; the quantity is in the price's unit."""
    told_of = told(row.get("paygcostinusd"))
    if told_of is not None:
        return nanos(told_of)
    price = told(row.get("paygprice"))
    if currency != "USD" or price is None or not row["quantity"] or row["chargetype"].lower() != "usage":
        return None
    listed = decimal(price) * decimal(row["quantity"])
    return nanos(listed) or None  # Marketplace rows have a price of 0


def _line(row: Mapping[str, str], meter: str, sub: str, starts: int) -> Line:
    words, kind = words_of(meter), row["chargetype"].lower()
    unit = row["unitofmeasure"]
    token_class = class_of(words) if "token" in f"{meter} {unit}".lower() else None
    charge = _CHARGES.get(kind) or (Charge.TOKENS if token_class else Charge.OTHER)
    is_tokens = charge is Charge.TOKENS and token_class is not None
    quantity, found = amount_of(row["quantity"]), _PER.match(unit.strip())
    per = int(found[1]) * _SIZES[found[2].lower()] if found else None
    counted = tokens(quantity, per) if is_tokens and per and quantity is not None else None
    return Line(
        starts,
        starts + DAY_MS,
        "azure",
        model=_model(meter, sub) if token_class else None,
        product=meter or row.get("productname") or None,
        who=Who(
            organization=told(row.get("billingaccountid")),
            workspace=told(row.get("subscriptionid")),
            key_name=told(row.get("resourceid", "").rpartition("/")[2]),
        ),
        axes=axes_of(words, told(row.get("resourcelocation"))),
        charge=charge,
        token_class=token_class if is_tokens else None,
        usage=one_class(token_class, counted) if token_class and counted is not None else NO_USAGE,
        quantity=None if counted is not None or not quantity else plain(quantity),
        unit=None if counted is not None else (unit if is_tokens or kind == "usage" else kind) or None,
    )


def _model(meter: str, sub: str) -> str | None:
    """What a meter begins with, up to its first word of class, place or date: `gpt-4o`; a bare number is of its family."""
    names: list[str] = []
    for word in meter.split():
        if _STOP.match(word):
            break
        names.append(word.lower())
    if not names:
        return None
    if names[0][0].isdigit() and "gpt" in sub.lower():
        names.insert(0, "gpt")
    return "-".join(names)


def _day(text: str) -> int:
    """`2026-11-20`, with or without a time, or `11/20/2026`, month first, as Microsoft's enterprise exports have it."""
    said = text.strip()
    if "/" in said:
        try:
            return day_ms(datetime.strptime(said, "%m/%d/%Y").date())
        except ValueError as fault:
            raise ValueError(f"{shown(text)} is no day; write 2026-11-20 or 11/20/2026") from fault
    return day_ms(date.fromisoformat(said[:10]) if "T" in said else said)
