"""AWS Cost and Usage Report 2.0 (Data Exports), as CSV or .csv.gz: what models on Amazon Bedrock cost, by hour and principal.

Source: the CUR 2.0 table dictionary and Bedrock's page on reading it (docs.aws.amazon.com, cost-mgmt-understanding-cur-data);
usage types and descriptions as the public price list has them. Models of other makers are sold through AWS Marketplace, each as a
product `… (Amazon Bedrock Edition)` of its own: they are found by that name. Money is `line_item_net_unblended_cost` where the
report has it (after discounts), else `line_item_unblended_cost`; list price is `pricing_public_on_demand_cost`.

There is no request in it, and no id of one. `identity_line_item_id`, where the export has it, is unique in a partition alone: a
row is a copy where all else is the same, too (`twice`). A month is written anew until its invoice; several files of one month
are one statement: `cat *.csv.gz > month.csv.gz`. Parquet is not read: it needs a library that nothing else here needs.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from spendgate.reconcile.sources.assembling import Reading, begins, dollars_only, plain, told
from spendgate.reconcile.sources.clouds import (
    MODEL,
    LeftOut,
    again,
    amount_of,
    axes_of,
    class_of,
    head_of,
    one_class,
    tokens,
    uncounted,
    unpacked,
    words_of,
)
from spendgate.reconcile.sources.reading import Row, instant_ms, loads, nanos
from spendgate.statement import Charge, Line, Statement, Who
from spendgate.usage import NO_USAGE

_NEEDED: Final = (
    "line_item_usage_start_date", "line_item_usage_end_date", "line_item_line_item_type", "line_item_product_code",
    "line_item_usage_type", "line_item_usage_amount", "line_item_unblended_cost", "line_item_currency_code",
)  # fmt: skip
_OWN_ID: Final = "identity_line_item_id"
_USAGE: Final = frozenset({"Usage", "DiscountedUsage", "SavingsPlanCoveredUsage"})
_CHARGES: Final = {"Tax": Charge.TAX, "Credit": Charge.CREDIT, "Refund": Charge.CREDIT, "Fee": Charge.OTHER}
_EDITION: Final = re.compile(r"\s*\(Amazon Bedrock Edition\)\s*$", re.IGNORECASE)
_REGION: Final = re.compile(r"^([A-Z]{2,4}\d{0,2})-(?:MP:[A-Z0-9]+_)?")
_NAMED: Final = re.compile(r"^(.+?)-(?:mantle-)?(?:input|output|cache|text|image|audio|video)\b", re.IGNORECASE)
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z\d])|(?<=\d)(?=[A-Z][a-z])|\.0(?=[A-Z]|$)")
_PER: Final = re.compile(r"^(1|1k|1000|1m|1000000)\s*tokens?$", re.IGNORECASE)
_PRINTED: Final = re.compile(r"^\{.*?\bproduct_name=([^,}]*)")
_SIZES: Final = {"1": 1, "1k": 1000, "1000": 1000, "1m": 1_000_000, "1000000": 1_000_000}


class AwsCur:
    """`aws-cur`."""

    name = "aws-cur"
    title = "AWS Data Exports, CUR 2.0 as CSV (gzip or not), with IAM principals where they are to be told apart"

    def recognises(self, head: bytes) -> bool:
        """See `FileSource`."""
        return begins(head_of(head), _NEEDED)

    def read(self, data: bytes, origin: str) -> Statement:
        """See `FileSource`."""
        reading, left = Reading(self.name, "aws", unpacked(data, origin), origin), LeftOut()
        said = reading.rows(_NEEDED, lambda row: _lines(row, reading, left), _OWN_ID).statement(
            lambda line: line.who.organization
        )
        notes = (*said.notes, *left.told(), "AWS tells no requests; a month may change until its invoice is issued")
        return replace(said, sha256=sha256(data).hexdigest(), notes=notes)


def _lines(row: Row, reading: Reading, left: LeftOut) -> list[Line]:
    if again(row):
        return []
    kind = row["line_item_line_item_type"]
    starts, ends = _instant(row["line_item_usage_start_date"]), _instant(row["line_item_usage_end_date"])
    if kind in _USAGE:
        # A tax or a fee is dated to the month's end, long before the report reaches it.
        reading.covers(starts, ends)
    dollars_only(row["line_item_currency_code"])
    net, gross = told(row.get("line_item_net_unblended_cost")), row["line_item_unblended_cost"]
    if net is None and "line_item_net_unblended_cost" in row and kind.endswith("Discount"):
        net = "0"  # what it takes off is in the net cost of the rows that it is for
    billed = nanos(net or gross)
    product = _product(row)
    if not _of_a_model(row, product):
        left.add(row["line_item_product_code"] or kind, billed)
        return []
    if ends <= starts:
        ends = starts + 1  # some fees have no length
    line = _line(row, kind, product, starts, ends)
    reading.notes.update(uncounted(line))
    listed = told(row.get("pricing_public_on_demand_cost")) if kind in _USAGE else None
    given = f"{net or gross} USD"
    return [replace(line, billed_nanos=billed, list_nanos=_listed(listed, net, gross, kind), amount=given)]


def _listed(public: str | None, net: str | None, gross: str, kind: str) -> int | None:
    """List price. A discount that is a row of its own takes from the bill and has none."""
    if kind.endswith("Discount"):
        return 0
    if public is not None and nanos(public):
        return nanos(public)  # Marketplace rows have 0 here
    return nanos(gross) if net is not None and kind in _USAGE else None


def _line(row: Row, kind: str, product: str, starts: int, ends: int) -> Line:
    usage_type = row["line_item_usage_type"]
    region = _REGION.match(usage_type)
    bare = usage_type[region.end() :] if region else usage_type
    words = words_of(bare)
    token_class = class_of(words) if "token" in bare.lower() else None
    charge = _CHARGES.get(kind) or (Charge.TOKENS if token_class or kind.endswith("Discount") else Charge.OTHER)
    amount, unit = amount_of(row["line_item_usage_amount"]), told(row.get("pricing_unit"))
    per = _per(unit, row.get("line_item_line_item_description", ""))
    of_tokens = charge is Charge.TOKENS and token_class is not None and kind in _USAGE
    counted = tokens(amount, per) if of_tokens and per and amount is not None else None
    return Line(
        starts,
        ends,
        "aws-mantle" if "mantle" in words else "aws",
        model=_model(bare, product),
        product=usage_type or product or None,
        who=_who(row),
        axes=axes_of(words, told(row.get("product_region_code")) or (region[1] if region else None)),
        charge=charge,
        token_class=token_class if of_tokens else None,
        usage=NO_USAGE if counted is None or token_class is None else one_class(token_class, counted),
        quantity=None if counted is not None or not amount else plain(amount),
        unit=None if counted is not None else (unit if kind in _USAGE else kind),
    )


def _who(row: Row) -> Who:
    """The principal; a session is named by a person's address where roles are taken by login."""
    principal = row.get("line_item_iam_principal")
    session = (principal or "").rpartition("/")[2]
    return Who(
        organization=told(row.get("bill_payer_account_id")),
        workspace=told(row.get("line_item_usage_account_id")),
        user=principal,
        email=session if "@" in session else None,
    )


def _product(row: Row) -> str:
    """The product's name: of the map that CUR 2.0 has, or of a column of its own."""
    flat = row.get("product_product_name") or row.get("product_product_family") or ""
    return _named(row.get("product", "")) or flat


@lru_cache(maxsize=4096)
def _named(product: str) -> str:
    """The name in a map of a product, as JSON or as databases print maps; there are few of them, and rows by the million."""
    if product.startswith('{"'):
        return str(loads(product.encode()).get("product_name") or "")
    found = _PRINTED.search(product)
    return found[1].strip() if found else ""


def _of_a_model(row: Row, product: str) -> bool:
    """Whether it is about a model: of Bedrock, or a Marketplace product that is sold as an edition of it."""
    told_of = f"{row['line_item_product_code']} {product} {row.get('line_item_line_item_description', '')}"
    return "bedrock" in told_of.lower() or (
        "token" in row["line_item_usage_type"].lower() and MODEL.search(told_of) is not None
    )


def _model(bare: str, product: str) -> str | None:
    """`Claude Sonnet 4.6` of the product's name; else what the usage type begins with, its words apart."""
    if _EDITION.search(product):
        return _EDITION.sub("", product)
    found = _NAMED.match(bare)
    if found is None:
        return None
    name = _CAMEL.sub("-", found[1]).replace("--", "-")
    old = re.fullmatch(r"Claude-?(\d+(?:\.\d+)?)-(Opus|Sonnet|Haiku)", name)
    return f"claude-{old[2]}-{old[1]}".lower() if old else name.lower()


def _per(unit: str | None, description: str) -> int | None:
    """How many tokens a unit is. AWS's unit may be `Units`; then its description may say million.

    "thousand" in a description is not believed: the price list has it beside prices per million.
    """
    found = _PER.match((unit or "").strip())
    if found:
        return _SIZES[found[1].lower()]
    return 1_000_000 if re.search(r"\bmillion\b.*\btokens?\b", description, re.IGNORECASE) else None


@lru_cache(maxsize=4096)
def _instant(text: str) -> int:
    """RFC 3339; where a tool took the zone away it is UTC, in which AWS writes every time."""
    try:
        return instant_ms(text)
    except ValueError:
        return round(datetime.fromisoformat(text.strip()).replace(tzinfo=UTC).timestamp() * 1000)
