"""GitHub's billing reports as CSV: AI usage and metered usage, and the premium requests of before October 2025.

Source: `content/billing/reference/billing-reports.md` of github/docs, and headers of real exports (`facts/reconciliation.md` 4).
Rows of one day and person differ in their repository, too: each is a line, none is merged. Whether `input` of the AI usage report
includes what was read from and written to a cache is not said: it is taken to (as Copilot's own counters do) unless a row has
less of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from spendgate.reconcile.sources import reading as read
from spendgate.reconcile.sources.assembling import Reading, begins, dollars_only, filled, flag, quantity, told, whole
from spendgate.reconcile.sources.copilot_lines import PROVIDER, Amounts, Row, is_ai, lines_of, model_of
from spendgate.statement import DAY_MS, Billed, Charge, Line, Statement, Who
from spendgate.usage import NO_USAGE, Usage

_COLUMNS: Final = (
    "date", "product", "sku", "quantity", "unit_type", "gross_amount", "discount_amount", "net_amount",
)  # fmt: skip
_TOKENS: Final = ("input", "output", "cache_read", "cache_write")
_OLD: Final = ("Timestamp", "User", "Model", "Requests Used", "Exceeds Monthly Quota")


class CopilotCsv:
    """`github-copilot-csv`."""

    name = "github-copilot-csv"
    title = "GitHub AI usage or metered usage report, from Billing and licensing, Usage: Get usage report"

    def recognises(self, head: bytes) -> bool:
        """See `FileSource`."""
        return begins(head, _COLUMNS)

    def read(self, data: bytes, origin: str) -> Statement:
        """See `FileSource`."""
        reading = Reading(self.name, PROVIDER, data, origin)

        def take(row: read.Row) -> Iterator[Line]:
            reading.once(row)
            starts_ms = read.day_ms(row["date"])
            span = reading.covers(starts_ms, starts_ms + DAY_MS)
            if not is_ai(row["product"], row["unit_type"]):
                reading.notes[f"of product {read.shown(row['product'])}: left out, they are about no model"] += 1
                return iter(())
            return lines_of(_row(row, *span))

        said = reading.rows(_COLUMNS, take).statement(lambda line: line.who.organization)
        return _disjoint(said)


def _row(row: read.Row, starts_ms: int, ends_ms: int) -> Row:
    if "currency" in row:
        dollars_only(row["currency"])
    who = Who(
        organization=told(row.get("organization")),
        workspace=told(row.get("cost_center_name")),
        user=told(row.get("username")),
    )
    tokens = [whole(row.get(name)) for name in _TOKENS]
    usage = NO_USAGE
    if any(each is not None for each in tokens):
        fresh, output, cached, written = tokens
        usage = Usage(fresh, cached, cache_write_tokens=written, output_tokens=output)
    amounts = Amounts.read(row["gross_amount"], row["discount_amount"], row["net_amount"])
    return Row(
        starts_ms, ends_ms, who, row["sku"], told(row.get("model")), row["unit_type"], amounts, row["quantity"],
        row["gross_amount"].strip(), usage,
    )  # fmt: skip


def _disjoint(said: Statement) -> Statement:
    """With input that does not include what was cached, by what the rows show."""
    counted = [each.usage for each in said.lines if each.usage != NO_USAGE]
    if not counted:
        return said
    if any((each.input_tokens or 0) < (each.cache_read_tokens or 0) + each.writes for each in counted):
        return replace(said, notes=(*said.notes, "input is taken as without cached tokens: rows have more of those"))
    lines = tuple(replace(each, usage=_without_cache(each.usage)) for each in said.lines)
    return replace(said, lines=lines, notes=(*said.notes, "input is taken to include cached tokens: no row denies it"))


def _without_cache(usage: Usage) -> Usage:
    if usage.input_tokens is None:
        return usage
    return Usage(
        usage.input_tokens - (usage.cache_read_tokens or 0) - usage.writes, usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens, output_tokens=usage.output_tokens,
    )  # fmt: skip


class CopilotOldCsv:
    """`github-copilot-requests-csv`."""

    name = "github-copilot-requests-csv"
    title = "GitHub Copilot premium requests, as reports were before October 2025; without amounts"

    def recognises(self, head: bytes) -> bool:
        """See `FileSource`."""
        return begins(head, _OLD)

    def read(self, data: bytes, origin: str) -> Statement:
        """See `FileSource`."""
        reading = Reading(self.name, PROVIDER, data, origin)

        def take(row: read.Row) -> list[Line]:
            at_ms = read.instant_ms(row["Timestamp"])
            exceeds = flag(filled(row, "Exceeds Monthly Quota"))
            if exceeds:
                reading.notes["beyond the quota: what they cost is not in this file"] += 1
            return [
                Line(
                    *reading.covers(at_ms, at_ms + 1), PROVIDER, model_of(row["Model"]), "copilot_premium_request",
                    Who(user=told(row["User"])), charge=Charge.REQUESTS, requests=1,
                    quantity=quantity(row["Requests Used"]), unit="premium requests",
                    billed_nanos=None if exceeds else 0, billed=Billed.METERED if exceeds else Billed.INCLUDED,
                )
            ]  # fmt: skip

        return reading.rows(_OLD, take).statement()
