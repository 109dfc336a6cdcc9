"""Anthropic's analytics reports of an Enterprise organization, before the analytics API that both kinds have. They still answer.

Source: the PyPI package `anthropic` 2.12.0, `types/beta/organization` (BetaAnalyticsCostReportTimeBucket, CostReportListParams,
BetaAnalyticsUsageReportTimeBucket) and `pagination.SyncReportPageCursor`. Both reports are by product, model and price axes,
neither has keys or people.

A bucket names its largest 100 groups and no remainder. Where one is as full as that, the day's totals are asked for without
groups, and what they are more is a line of its own: no group, no model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator
from typing import Any, Final

from msgspec.structs import replace

from spendgate.reconcile.sources.anthropic_reports import Report, Run, cost_or_counts
from spendgate.reconcile.sources.anthropic_words import counted
from spendgate.reconcile.sources.assembling import day_word, dollars_only, whole
from spendgate.reconcile.sources.interface import Page, Request, Span
from spendgate.reconcile.sources.reading import CENT, Faults, nanos, text
from spendgate.statement import Charge, Line, Who
from spendgate.usage import Usage

GROUPS_MAX: Final = 100
REST: Final = "groups beyond the largest 100"
_NO_KEYS: Final = "this report tells no keys and no people: costs are compared by model and day alone"


class AnthropicEnterprise(Report):
    """`anthropic-enterprise`: an Enterprise organization of claude.ai."""

    name = "anthropic-enterprise"
    title = "Anthropic Enterprise analytics reports, before the analytics API; a key with read:analytics"
    variable = "ANTHROPIC_ANALYTICS_KEY"
    gap_ms = 1_000  # 60 requests a minute
    paths = ("/v1/organizations/analytics/cost_report", "/v1/organizations/analytics/usage_report")
    groups = (
        ("product", "model", "cost_type", "token_type", "context_window", "inference_geo", "speed"),
        ("product", "model", "context_window", "inference_geo", "speed"),
    )

    def headers(self, credential: str) -> dict[str, str]:
        """See `ApiSource`."""
        return {"x-api-key": credential, "anthropic-version": "2023-06-01"}

    def line(self, starts_ms: int, ends_ms: int, row: dict[str, Any]) -> Line:
        """Products are all that it tells of who."""
        return cost_or_counts(starts_ms, ends_ms, row, Who(), {"product": text(row.get("product"))})

    def rest(self, path: str, part: Span, faults: Faults, run: Run) -> Generator[Request, Page, None]:
        """See `Report`: the totals of the stretch, where a bucket of it is full."""
        money = path == self.paths[0]
        full = {day for (day, of), rows in run.rows.items() if of is money and rows >= GROUPS_MAX}
        full = {day for day in full if part.from_ms <= day < part.until_ms}
        if not full:
            return
        totals = Run()
        totals.whole = run.whole
        yield from self.query(path, (), part, faults, run=totals, line=_total)
        totals.refuse_doubles(faults)
        named: dict[int, list[Line]] = defaultdict(list)
        for line in run.lines:
            if (line.billed_nanos is not None) is money:
                named[line.starts_ms].append(line)
        for total in totals.lines:
            if total.starts_ms in full:
                with faults.at(f"the groups of {day_word(total.starts_ms)}"):
                    run.lines += _lacking(total, named[total.starts_ms])

    def notes(self, run: Run) -> tuple[str, ...]:
        """See `Report`."""
        days = sorted({each.starts_ms for each in run.lines if each.product == REST})
        beyond = [
            f"{day_word(day)} has {REST}: one line has what they come to, without model and product" for day in days
        ]
        return (_NO_KEYS, "a seat-based plan reports usage credits alone, no seats", *beyond)


def _total(starts_ms: int, ends_ms: int, row: dict[str, Any]) -> Line:
    """A bucket's only row where nothing is grouped: all of a day."""
    common: dict[str, Any] = {"starts_ms": starts_ms, "ends_ms": ends_ms, "provider": "anthropic", "product": REST}
    if "amount" not in row:
        return Line(**common, usage=counted(row), requests=whole(row.get("requests")))
    dollars_only(row["currency"])
    return Line(
        **common,
        charge=Charge.OTHER,
        billed_nanos=nanos(row["amount"], CENT),
        list_nanos=None if row.get("list_amount") is None else nanos(row["list_amount"], CENT),
    )


def _lacking(total: Line, named: list[Line]) -> list[Line]:
    """What a day's total is more than the groups that are named; () where it is nothing. Raises ValueError: it is less."""
    if total.billed_nanos is not None:
        billed = total.billed_nanos - sum(each.billed_nanos or 0 for each in named)
        listed = (total.list_nanos or 0) - sum(each.list_nanos or 0 for each in named)
        if abs(billed) <= len(named):  # each amount was rounded to a whole nano-dollar
            return []
        if billed < 0:
            raise ValueError("come to more than the day's total; run the command again")
        return [replace(total, billed_nanos=billed, list_nanos=None if total.list_nanos is None else listed)]
    usage = _less(total.usage, sum((each.usage for each in named), Usage()))
    requests = None if total.requests is None else total.requests - sum(each.requests or 0 for each in named)
    if not any(getattr(usage, name) for name in usage.__struct_fields__):
        return []
    return [replace(total, usage=usage, requests=requests)]


def _less(total: Usage, part: Usage) -> Usage:
    """Class by class. Raises ValueError where the part is more."""
    counts = {name: (getattr(total, name), getattr(part, name)) for name in total.__struct_fields__}
    if any(mine is not None and (theirs or 0) > mine for mine, theirs in counts.values()):
        raise ValueError("count more than the day's total; run the command again")
    return Usage(**{name: None if mine is None else mine - (theirs or 0) for name, (mine, theirs) in counts.items()})
