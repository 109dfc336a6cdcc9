"""Anthropic's Usage & Cost Analytics API: list and net cost, token counts and requests by day, key, model and product.

Source: the PyPI package `anthropic` 2.12.0, `types/beta/organization/analytics` (CostListParams, BetaAnalyticsCostItem,
UsageListParams, BetaAnalyticsUsageItem) and `pagination.SyncReportPageCursor`. Amounts are decimal strings in cents, after
discounts and before credits. Both endpoints are asked for the same groups: at most five besides cost and token types, of which
key, model, product, service tier and speed decide most about a price; where inference ran (`inference_geo`) is left to the
price's own mark, a factor of 1.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlencode

from spendgate.reconcile.sources.anthropic_words import counted, kind_of_cost
from spendgate.reconcile.sources.assembling import after, whole, within
from spendgate.reconcile.sources.interface import Asking, Page, Request, Span
from spendgate.reconcile.sources.reading import CENT, Faults, count, instant_ms, loads, nanos, text
from spendgate.statement import DAY_MS, Axes, Line, Statement, Who

_GROUPS: Final = ("api_key_id", "model", "product", "service_tier", "speed")
_LONGEST_MS: Final = 31 * DAY_MS
"""What one query may span."""


class AnthropicAnalytics:
    """`anthropic`: the API."""

    name = "anthropic"
    title = "Anthropic Usage & Cost Analytics API; an admin key or one with read:analytics"
    host = "api.anthropic.com"
    variable = "ANTHROPIC_ADMIN_KEY"
    gap_ms = 1_000  # 60 requests a minute is the documented limit of the API before it

    def headers(self, credential: str) -> dict[str, str]:
        """See `ApiSource`."""
        return {
            "x-api-key": credential,
            "anthropic-version": "2023-06-01",
            "anthropic-beta": "analytics-usage-cost-2026-08-24",
        }

    def ask(self, span: Span) -> Asking:
        """Cost, then usage, in queries of at most 31 days."""
        faults, whole, read = Faults(self.host), sha256(), Reading()
        for kind in ("cost", "usage"):
            for part in _parts(span):
                read.cursor = None
                while True:
                    page = yield _request(kind, part, read.cursor)
                    whole.update(page.body)
                    read.page(page, part, faults)
                    if read.cursor is None:
                        break
        faults.raise_any()
        span_ms = (span.from_ms, span.until_ms)
        return Statement(
            self.name, "anthropic", span.account, *span_ms, whole.hexdigest(), self.host, read.refreshed_ms, tuple(read.lines)
        )  # fmt: skip


def _parts(span: Span) -> Iterator[Span]:
    start = span.from_ms
    while start < span.until_ms:
        end = min(start + _LONGEST_MS, span.until_ms)
        yield Span(start, end)
        start = end


def _request(kind: str, span: Span, cursor: str | None) -> Request:
    groups = (*_GROUPS, "cost_type", "token_type") if kind == "cost" else _GROUPS
    words = [("starting_at", _day(span.from_ms)), ("ending_at", _day(span.until_ms)), ("time_bucket_width", "1d")]
    words += [("group_by[]", group) for group in groups]
    words += [("limit", "1000")]
    if cursor is not None:
        words.append(("page", cursor))
    return Request(f"/v1/organizations/analytics/{kind}?{urlencode(words)}")


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Reading:
    """Pages into lines. A page that came twice is one: the cursor of the next must be new."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.refreshed_ms: int | None = None
        self.cursor: str | None = None
        self._seen: set[str] = set()
        self._rows: set[bytes] = set()

    def page(self, page: Page, part: Span, faults: Faults) -> None:
        """Take a page in. `cursor` is then that of the next, None after the last or after a page that cannot be read."""
        place, self.cursor = f"page {page.number}", None
        with faults.at(place):
            found = loads(page.body)
            if not isinstance(found, dict) or not isinstance(found["data"], list):
                raise ValueError("no object with a list `data`")
            self._refreshed(found.get("data_refreshed_at"))
            for number, item in enumerate(found["data"]):
                with faults.at(f"{place} data[{number}]"):
                    self._once(item)
                    self.lines.append(_line(item, part))
            self.cursor = self._next(found)

    def _once(self, item: object) -> None:
        """Rows are told apart by their groups: one that is there twice, to the amount, came on two pages. Raises ValueError."""
        digest = sha256(repr(item).encode()).digest()
        if digest in self._rows:
            raise ValueError("this row came before: a page has come twice; run the command again")
        self._rows.add(digest)

    def _refreshed(self, said: object) -> None:
        """The oldest of the pages' moments: the statement reaches no further than its stalest page."""
        if said is not None:
            ms = instant_ms(said)
            self.refreshed_ms = ms if self.refreshed_ms is None else min(self.refreshed_ms, ms)

    def _next(self, found: dict[str, Any]) -> str | None:
        cursor = after(found)
        if cursor is None:
            return None
        if cursor in self._seen:
            raise ValueError("the next page is one that has been read already")
        self._seen.add(cursor)
        return cursor


def _line(item: dict[str, Any], part: Span) -> Line:
    group, cost, usage = item["group"], item.get("cost"), item.get("usage")
    if (cost is None) is (usage is None):
        raise ValueError("neither `cost` nor `usage`, or both")
    starts_ms, ends_ms = within(
        instant_ms(item["starting_at"]), instant_ms(item["ending_at"]), part.from_ms, part.until_ms
    )
    key = text(group["api_key_id"])
    common = {
        "starts_ms": starts_ms,
        "ends_ms": ends_ms,
        "provider": "anthropic",
        "model": text(group.get("model")),
        "product": text(group.get("product")),
        "who": Who(key="" if key is None else key),
        "axes": Axes(tier=text(group.get("service_tier")), speed=text(group.get("speed"))),
    }
    return _usage(usage or {}, common) if cost is None else _cost(group, cost, common)


def _cost(group: dict[str, Any], cost: dict[str, Any], common: dict[str, Any]) -> Line:
    if cost["currency"] != "USD":
        raise ValueError(f"currency {cost['currency']!r}: only USD can be read")
    kind, token_type = text(group.get("cost_type")), text(group.get("token_type"))
    requests = cost.get("requests")
    charge, token_class, unit = kind_of_cost(kind or "tokens", token_type)
    return Line(
        **common,
        charge=charge,
        token_class=token_class,
        requests=whole(requests),
        unit=unit,
        billed_nanos=nanos(cost["amount"], CENT),
        list_nanos=None if cost.get("list_amount") is None else nanos(cost["list_amount"], CENT),
        amount=f"{cost['amount']} cent",
    )


def _usage(usage: dict[str, Any], common: dict[str, Any]) -> Line:
    made = counted(usage)
    said = usage.get("total_tokens")
    if said is not None and count(said) != made.input_total + (made.output_tokens or 0):
        raise ValueError(f"its classes do not add up to total_tokens {said}")
    return Line(**common, usage=made, requests=whole(usage.get("requests")))
