"""Google Cloud billing export (BigQuery, standard or detailed usage cost), as JSON lines or CSV: Gemini API and Vertex AI.

Source: the schema of the export (docs.cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/standard-usage and
detailed-usage); SKU names as the public catalogue has them (`Gemini 3.7 Flash Global Text Input - Predictions`, `Generate
content cached input token count gemini 3.8 flash text`). Get it by `bq query --format=prettyjson` or `bq extract
--destination_format NEWLINE_DELIMITED_JSON`; a CSV file is a query's, with `service.description` or `service_description` as
columns and credits as JSON.

`cost` is before credits. Discounts that come as credits are taken off what is billed; other credits (promotions, free tier)
are lines of their own. Another currency than dollars is turned into them by the row's own `currency_conversion_rate`, as the
schema says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from msgspec.structs import replace

from spendgate.money import NANOS_MAX, NANOS_PER_DOLLAR, half_even
from spendgate.reconcile.sources.assembling import Reading, day_word, fields, plain, told
from spendgate.reconcile.sources.clouds import (
    MODEL,
    LeftOut,
    again,
    amount_of,
    axes_of,
    class_of,
    one_class,
    plain_word,
    tokens,
    uncounted,
    words_of,
)
from spendgate.reconcile.sources.reading import Row, decimal, loads, shown
from spendgate.reconcile.sources.records import Record, at, claims, records, utc_ms
from spendgate.statement import Charge, Line, Statement, Who
from spendgate.usage import NO_USAGE

_NESTED: Final = ("service", "sku", "usage_start_time", "usage_end_time", "cost", "currency", "invoice")
_GEMINI_API: Final = ("gemini api", "generative language api")
_OURS: Final = ("vertex ai", *_GEMINI_API)
_CHARGES: Final = {"tax": Charge.TAX, "rounding_error": Charge.ROUNDING, "adjustment": Charge.OTHER}
_DISCOUNTS: Final = (
    "DISCOUNT", "SUSTAINED_USAGE_DISCOUNT", "COMMITTED_USAGE_DISCOUNT", "COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE",
    "RESELLER_MARGIN",
)  # fmt: skip
_GEMINI: Final = re.compile(
    r"gemini[ -](\d+(?:\.\d+)?)"
    r"((?:[ -](?:pro|flash|lite|nano|ultra|image|tts|live|native|audio|preview)\b(?! (?:input|output)))*)",
    re.IGNORECASE,
)
_CLAUDE: Final = re.compile(
    r"claude[ -](?:(opus|sonnet|haiku|fable|mythos)[ -](\d+(?:\.\d+)?)|(\d(?:\.\d)?)[ -](opus|sonnet|haiku))", re.I
)
_PER: Final = {"count": 1, "counts": 1, "tokens": 1, "requests": 1}


class GoogleBilling:
    """`google-billing`."""

    name = "google-billing"
    title = "Google Cloud billing export of BigQuery (standard or detailed) as JSON lines, or a query's CSV"

    def recognises(self, head: bytes) -> bool:
        """See `FileSource`."""
        flat = [
            [f"{word}{dot}{leaf}" for word, leaf in (("service", "description"), ("sku", "description"))]
            for dot in "._"
        ]
        rest = ("usage_start_time", "usage_end_time", "cost", "currency")
        return claims(head, _NESTED) or any(claims(head, (*each, *rest)) for each in flat)

    def read(self, data: bytes, origin: str) -> Statement:
        """See `FileSource`."""
        run = _Run(Reading(self.name, "google", data, origin))
        said = run.reading.items(records, run.lines).statement(lambda line: line.who.organization)
        return replace(said, refreshed_ms=run.exported_ms, notes=(*said.notes, *run.left.told(), *run.months()))


class _Run:
    """One file: its rows, and what they say of months and of when they were exported."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.left = reading, LeftOut()
        self.exported_ms: int | None = None
        self._months: dict[str, set[str]] = {}

    def months(self) -> tuple[str, ...]:
        """Invoice months in which days stand that are of another month: Google's months are of its own time zone."""
        odd = [
            f"{plain_word(month)} has days of {', '.join(sorted(days))}"
            for month, days in sorted(self._months.items())
            if days
        ]
        return (f"an invoice month is not a UTC month: {'; '.join(odd)}",) if odd else ()

    def lines(self, row: Record) -> list[Line]:
        """One row, and its credits."""
        if isinstance(row, Row) and again(row):
            return []
        starts, ends = utc_ms(row["usage_start_time"]), utc_ms(row["usage_end_time"])
        if told(at(row, "cost_type")) in (None, "regular"):
            self.reading.covers(starts, ends)  # a tax or an adjustment is dated to a whole month
        ends = max(ends, starts + 1)
        self._export(row, starts)
        rate = _rate(row)
        if rate != 1:
            self.reading.notes.update([f"in {plain_word(row['currency'])}, turned into dollars by their own rate"])
        cost = _nanos(row["cost"], rate)
        service, sku = told(at(row, "service.description")) or "", told(at(row, "sku.description")) or ""
        if not any(each in service.lower() for each in _OURS) and not MODEL.search(f"{service} {sku}"):
            self.left.add(service or "no service", cost)
            return []
        taken, others = _credits(row, rate)
        line = _line(row, service, sku, starts, ends)
        self.reading.notes.update(uncounted(line))
        listed = at(row, "cost_at_list")
        line = replace(
            line,
            billed_nanos=cost + taken,
            list_nanos=cost if listed is None or listed == "" else _nanos(listed, rate),
            amount=f"{plain(decimal(row['cost']))} {row['currency']}",
        )
        apart = [
            replace(
                line, charge=Charge.CREDIT, token_class=None, usage=NO_USAGE, quantity=None, unit=kind, billed_nanos=nanos,
                list_nanos=None, amount=f"{given} {row['currency']}",
            )
            for kind, nanos, given in others
        ]  # fmt: skip
        return [line, *apart]

    def _export(self, row: Record, starts: int) -> None:
        exported, month = at(row, "export_time"), told(at(row, "invoice.month"))
        if exported:
            self.exported_ms = max(self.exported_ms or 0, utc_ms(exported))
        if month is not None:
            day = day_word(starts)
            self._months.setdefault(month, set()).update([day] if day[:7].replace("-", "") != month else [])


def _rate(row: Record) -> Decimal:
    """How much of its currency a dollar is. Raises ValueError where that is not told."""
    currency = told(row["currency"])
    if currency == "USD":
        return Decimal(1)
    said = at(row, "currency_conversion_rate")
    if currency is None or said is None or said == "":
        raise ValueError(f"currency {shown(currency)} without currency_conversion_rate: no rate is guessed")
    rate = decimal(said)
    if rate <= 0:
        raise ValueError(f"currency_conversion_rate is {shown(said)}")
    return rate


def _nanos(value: object, rate: Decimal) -> int:
    """`value / rate` dollars in nano-dollars, half-even: the one rounding."""
    (top, bottom), (above, below) = decimal(value).as_integer_ratio(), rate.as_integer_ratio()
    whole = half_even(top * below * NANOS_PER_DOLLAR, bottom * above)
    if abs(whole) > NANOS_MAX:
        raise ValueError(f"{shown(value)} is more than a ledger row holds")
    return whole


def _credits(row: Record, rate: Decimal) -> tuple[int, list[tuple[str, int, str]]]:
    """What discounts take off, and the other credits: type, nano-dollars, the amount as written."""
    found = at(row, "credits")
    if isinstance(found, str):
        found = loads(found.encode()) if found else []
    if not isinstance(found, list | None):
        raise ValueError("`credits` is no list")
    taken, apart = 0, []
    for each in found or ():
        credit: dict[str, Any] = fields(each)
        nanos, kind = _nanos(credit["amount"], rate), told(credit.get("type")) or "credit"
        if kind in _DISCOUNTS:
            taken += nanos
        elif nanos:
            apart.append((kind, nanos, plain(decimal(credit["amount"]))))
    return taken, apart


def _line(row: Record, service: str, sku: str, starts: int, ends: int) -> Line:
    words = words_of(sku)
    kind = told(at(row, "cost_type")) or "regular"
    token_class = None if "character" in sku.lower() or "storage" in words else class_of(words)
    charge = _CHARGES.get(kind) or (_other(words) if token_class is None else Charge.TOKENS)
    amount, unit = amount_of(at(row, "usage.amount")), told(at(row, "usage.unit"))
    per = _PER.get((unit or "").lower())
    counted = tokens(amount, per) if charge is Charge.TOKENS and per and amount is not None else None
    is_tokens = charge is Charge.TOKENS and token_class is not None
    return Line(
        starts,
        ends,
        "google" if service.lower() in _GEMINI_API else "vertex",
        model=_model(sku) or _model(service),
        product=sku or service or None,
        who=Who(organization=told(at(row, "billing_account_id")), workspace=told(at(row, "project.id"))),
        axes=axes_of(words, told(at(row, "location.region")) or told(at(row, "location.location"))),
        charge=charge,
        token_class=token_class if is_tokens else None,
        usage=one_class(token_class, counted) if is_tokens and token_class and counted is not None else NO_USAGE,
        quantity=None if counted is not None or not amount else plain(amount),
        unit=None if counted is not None else (unit if kind == "regular" else kind),
    )


def _other(words: Iterable[str]) -> Charge:
    """What a SKU that names no class of tokens is for."""
    found = frozenset(words)
    if "storage" in found:
        return Charge.STORAGE
    if found & {"grounding", "search", "maps"}:
        return Charge.WEB_SEARCH if "maps" not in found else Charge.TOOL
    return Charge.MEDIA if found & {"image", "video", "imagen", "veo", "lyria", "audio"} else Charge.OTHER


def _model(text: str) -> str | None:
    """The model that a SKU names: `gemini-3.7-flash`, `claude-sonnet-4.5`."""
    found = _GEMINI.search(text)
    if found:
        return f"gemini-{found[1]}{found[2]}".lower().replace(" ", "-")
    found = _CLAUDE.search(text)
    return f"claude-{found[1] or found[4]}-{found[2] or found[3]}".lower() if found else None
