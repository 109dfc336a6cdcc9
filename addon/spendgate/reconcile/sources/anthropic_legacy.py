"""Anthropic's reports before the analytics API: of a Console organization, and of an Enterprise one. Both still answer.

Sources: Console, the documentation's pages on `usage_report/messages` and `cost_report`; Enterprise, the PyPI package `anthropic`
2.12.0, `types/beta/organization` (BetaAnalyticsCostReportTimeBucket, BetaAnalyticsUsageReportTimeBucket, CostReportListParams),
`pagination.SyncReportPageCursor`. Amounts are decimal strings in cents.

Counts and money are two reports of two grains. Console: counts by key, account, workspace, model and price axes without money;
money by workspace and description (model, class, price axes) without keys. They meet at day, workspace, model, class and axes.
Enterprise: both by product, model and price axes, neither with keys or people.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlencode

from spendgate.reconcile.sources.anthropic_words import counted, kind_of_cost
from spendgate.reconcile.sources.assembling import Cursor, day_word, dollars_only, fields, obj, whole
from spendgate.reconcile.sources.interface import Asking, Page, Request, Span
from spendgate.reconcile.sources.reading import CENT, Faults, instant_ms, nanos, text
from spendgate.statement import DAY_MS, Axes, Line, Statement, Who

HOST: Final = "api.anthropic.com"
GROUPS_MAX: Final = 100
"""An Enterprise bucket names its largest groups up to here, and no remainder."""
_LONGEST_MS: Final = 31 * DAY_MS
_PRIORITY: Final = (
    "Priority Tier use is counted here, and the cost report leaves its cost out: it is in the commitment's invoice"
)
_NO_KEYS: Final = "this report tells no keys and no people: costs are compared by model and day alone"


class _Report:
    """Buckets of days, page by page: what both organizations' reports share."""

    name: str
    host = HOST
    paths: tuple[str, str]
    """Of the costs, then of the counts."""
    groups: tuple[tuple[str, ...], tuple[str, ...]]

    def ask(self, span: Span) -> Asking:
        """Costs, then counts, in queries of at most 31 days."""
        faults, run = Faults(self.host), Run()
        for path, groups in zip(self.paths, self.groups, strict=True):
            for part in parts(span):
                yield from self._query(path, groups, part, faults, run)
        faults.raise_any()
        run.refuse_doubles(faults)
        faults.raise_any()
        return Statement(
            self.name, "anthropic", "", span.from_ms, span.until_ms, run.whole.hexdigest(), self.host, run.refreshed_ms,
            tuple(run.lines), self.notes(run),
        )  # fmt: skip

    def _query(
        self, path: str, groups: Iterable[str], part: Span, faults: Faults, run: Run
    ) -> Generator[Request, Page, None]:
        cursor = Cursor()
        words = [
            ("starting_at", f"{day_word(part.from_ms)}T00:00:00Z"),
            ("ending_at", f"{day_word(part.until_ms)}T00:00:00Z"),
        ]
        words += [("bucket_width", "1d"), *(("group_by[]", group) for group in groups), ("limit", "31")]
        while True:
            more = [] if cursor.next is None else [("page", cursor.next)]
            page = yield Request(f"{path}?{urlencode([*words, *more])}")
            run.page(page, self.line, cursor, faults)
            if cursor.next is None:
                return

    def line(self, starts_ms: int, ends_ms: int, row: dict[str, Any]) -> Line:
        """One row of a bucket."""
        raise NotImplementedError  # pragma: no cover - of the two below

    def notes(self, run: Run) -> tuple[str, ...]:
        """What a reader must know of this report."""
        raise NotImplementedError  # pragma: no cover - of the two below


class AnthropicLegacy(_Report):
    """`anthropic-legacy`: a Console organization."""

    name = "anthropic-legacy"
    title = "Anthropic Usage & Cost Admin API of a Console organization, before the analytics API; an admin key"
    variable = "ANTHROPIC_ADMIN_KEY"
    gap_ms = 1_000
    paths = ("/v1/organizations/cost_report", "/v1/organizations/usage_report/messages")
    groups = (
        ("workspace_id", "description"),
        (
            "account_id",
            "api_key_id",
            "context_window",
            "inference_geo",
            "model",
            "service_tier",
            "speed",
            "workspace_id",
        ),
    )

    def headers(self, credential: str) -> dict[str, str]:
        """See `ApiSource`. The beta is what lets counts be grouped by speed, as costs are."""
        return {
            "x-api-key": credential,
            "anthropic-version": "2023-06-01",
            "anthropic-beta": "fast-mode-2026-02-01",
        }

    def line(self, starts_ms: int, ends_ms: int, row: dict[str, Any]) -> Line:
        """A cost's workspace is all that it tells of who; a count also names the key ("": none) and the account."""
        money = "amount" in row
        workspace = text(row["workspace_id"]) or ""
        who = Who(workspace=workspace)
        if not money:
            who = Who(workspace=workspace, key=text(row["api_key_id"]) or "", user=text(row.get("account_id")))
        common = {"product": text(row["description"]) if money else None}
        return _cost_or_counts(starts_ms, ends_ms, row, who, common)

    def notes(self, run: Run) -> tuple[str, ...]:
        """See `_Report`."""
        priority = any(each.axes.tier == "priority" for each in run.lines)
        told = "costs are told by workspace and model, counts by key: a cost is brought to keys by counts alone"
        return (told, _PRIORITY) if priority else (told,)


class AnthropicEnterprise(_Report):
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
        return _cost_or_counts(starts_ms, ends_ms, row, Who(), {"product": text(row.get("product"))})

    def notes(self, run: Run) -> tuple[str, ...]:
        """See `_Report`. A bucket that is full to the brim may lack groups, which nothing tells."""
        full = [
            f"{day_word(day)} has {rows} groups, of which the API tells the largest {GROUPS_MAX} alone and no remainder: "
            f"what is billed that day may be more"
            for day, rows in sorted(run.full.items())
        ]
        return (_NO_KEYS, "a seat-based plan reports usage credits alone, no seats", *full)


def _cost_or_counts(starts_ms: int, ends_ms: int, row: dict[str, Any], who: Who, common: dict[str, Any]) -> Line:
    axes = Axes(
        tier=text(row.get("service_tier")),
        speed=text(row.get("speed")),
        geo=text(row.get("inference_geo")),
        context=text(row.get("context_window")),
    )
    common |= {"starts_ms": starts_ms, "ends_ms": ends_ms, "provider": "anthropic", "model": text(row["model"])}
    if "amount" not in row:
        return Line(**common, who=who, axes=axes, usage=counted(row), requests=whole(row.get("requests")))
    dollars_only(row["currency"])
    charge, token_class, unit = kind_of_cost(text(row["cost_type"]), text(row.get("token_type")))
    listed = row.get("list_amount")
    return Line(
        **common,
        who=who,
        axes=axes,
        charge=charge,
        token_class=token_class,
        unit=unit,
        requests=whole(row.get("requests")),
        billed_nanos=nanos(row["amount"], CENT),
        list_nanos=None if listed is None else nanos(listed, CENT),
        amount=f"{row['amount']} cent",
    )


def parts(span: Span) -> Iterator[Span]:
    """The span in stretches of at most 31 days."""
    start = span.from_ms
    while start < span.until_ms:
        end = min(start + _LONGEST_MS, span.until_ms)
        yield Span(start, end)
        start = end


class Run:
    """The pages of one run, read into lines."""

    def __init__(self) -> None:
        self.whole = sha256()
        self.lines: list[Line] = []
        self.refreshed_ms: int | None = None
        """The oldest moment that a page tells."""
        self.full: dict[int, int] = {}
        """By day the rows of a bucket that has as many as a bucket may have."""
        self._buckets: dict[tuple[int, bool], int] = {}

    def page(self, page: Page, line: Any, cursor: Cursor, faults: Faults) -> None:  # noqa: ANN401 - a bound `_Report.line`
        """Take one in; `cursor` is then where the next one is."""
        place = f"page {page.number}"
        self.whole.update(page.body)
        cursor.next = None
        with faults.at(place):
            found = obj(page.body, "data")
            said = found.get("data_refreshed_at")
            if said is not None:
                ms = instant_ms(said)
                self.refreshed_ms = ms if self.refreshed_ms is None else min(self.refreshed_ms, ms)
            for number, bucket in enumerate(found["data"]):
                with faults.at(f"{place} data[{number}]"):
                    self._bucket(fields(bucket), f"{place} data[{number}]", line, faults)
            more = text(found.get("next_page")) or None
            cursor.follow(None if found.get("has_more") is False else more)

    def _bucket(self, bucket: dict[str, Any], place: str, line: Any, faults: Faults) -> None:  # noqa: ANN401 - see `page`
        starts, ends, rows = instant_ms(bucket["starting_at"]), instant_ms(bucket["ending_at"]), bucket["results"]
        if not isinstance(rows, list):
            raise TypeError("`results` is no list")
        if len(rows) >= GROUPS_MAX:
            self.full[starts] = max(len(rows), self.full.get(starts, 0))
        for number, row in enumerate(rows):
            with faults.at(f"{place} results[{number}]"):
                made = line(starts, ends, fields(row))
                self.lines.append(made)
        if rows:
            key = (starts, "amount" in fields(rows[0]))
            self._buckets[key] = self._buckets.get(key, 0) + 1

    def refuse_doubles(self, faults: Faults) -> None:
        """A bucket that came on two pages would count twice."""
        for (starts, money), times in self._buckets.items():
            if times > 1:
                what = "costs" if money else "counts"
                faults.add(day_word(starts), f"its {what} came {times} times; run the command again")
