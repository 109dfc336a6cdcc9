"""Buckets of days, page by page: what Anthropic's reports of Console and Enterprise organizations share.

Amounts are decimal strings in cents. Counts and money are two reports of two grains, each with groups of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlencode

from spendgate.reconcile.sources.anthropic_words import counted, kind_of_cost
from spendgate.reconcile.sources.assembling import Cursor, after, day_word, dollars_only, fields, obj, whole, within
from spendgate.reconcile.sources.interface import Asking, Page, Request, Span
from spendgate.reconcile.sources.reading import CENT, Faults, instant_ms, nanos, text
from spendgate.statement import DAY_MS, Axes, Line, Statement, Who

_LONGEST_MS: Final = 31 * DAY_MS
ReadRow = Callable[[int, int, dict[str, Any]], Line]
"""A row of a bucket that begins and ends then."""


class Report(ABC):
    """One organization's two reports."""

    name: str
    host = "api.anthropic.com"
    paths: tuple[str, str]
    """Of the costs, then of the counts."""
    groups: tuple[tuple[str, ...], tuple[str, ...]]

    def ask(self, span: Span) -> Asking:
        """Costs, then counts, in queries of at most 31 days."""
        faults, run = Faults(self.host), Run()
        for path, groups in zip(self.paths, self.groups, strict=True):
            for part in parts(span):
                yield from self.query(path, groups, part, faults, run=run, line=self.line)
                yield from self.rest(path, part, faults, run)
        faults.raise_any()
        run.refuse_doubles(faults)
        faults.raise_any()
        return Statement(
            self.name, "anthropic", span.account, span.from_ms, span.until_ms, run.whole.hexdigest(), self.host, run.refreshed_ms,
            tuple(run.lines), self.notes(run),
        )  # fmt: skip

    def query(
        self, path: str, groups: Iterable[str], part: Span, faults: Faults, *, run: Run, line: ReadRow
    ) -> Generator[Request, Page, None]:
        """All pages of a stretch of at most 31 days, into the run's lines."""
        cursor = Cursor()
        words = [
            ("starting_at", f"{day_word(part.from_ms)}T00:00:00Z"),
            ("ending_at", f"{day_word(part.until_ms)}T00:00:00Z"),
        ]
        words += [("bucket_width", "1d"), *(("group_by[]", group) for group in groups), ("limit", "31")]
        while True:
            more = [] if cursor.next is None else [("page", cursor.next)]
            page = yield Request(f"{path}?{urlencode([*words, *more])}")
            run.page(page, part, line, cursor, faults)
            if cursor.next is None:
                return

    def rest(self, path: str, part: Span, faults: Faults, run: Run) -> Generator[Request, Page, None]:
        """Ask for what the stretch's groups may lack: nothing, where they are told to be all."""
        yield from ()

    @abstractmethod
    def line(self, starts_ms: int, ends_ms: int, row: dict[str, Any]) -> Line:
        """One row of a bucket."""

    @abstractmethod
    def notes(self, run: Run) -> tuple[str, ...]:
        """What a reader must know of this report."""


def cost_or_counts(starts_ms: int, ends_ms: int, row: dict[str, Any], who: Who, common: dict[str, Any]) -> Line:
    """A row that has an amount is money, any other one counts. Raises ValueError, KeyError."""
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
        self.rows: Counter[tuple[int, bool]] = Counter()
        """By day, and whether it is money: how many rows its bucket has."""
        self._buckets: Counter[tuple[int, bool]] = Counter()

    def page(self, page: Page, part: Span, line: ReadRow, cursor: Cursor, faults: Faults) -> None:
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
                    self._bucket(fields(bucket), part, f"{place} data[{number}]", line, faults)
            cursor.follow(after(found))

    def _bucket(self, bucket: dict[str, Any], part: Span, place: str, line: ReadRow, faults: Faults) -> None:
        starts, ends, rows = instant_ms(bucket["starting_at"]), instant_ms(bucket["ending_at"]), bucket["results"]
        within(starts, ends, part.from_ms, part.until_ms)
        if not isinstance(rows, list):
            raise TypeError("`results` is no list")
        for number, row in enumerate(rows):
            with faults.at(f"{place} results[{number}]"):
                made = line(starts, ends, fields(row))
                self.lines.append(made)
        if rows:
            key = (starts, "amount" in fields(rows[0]))
            self._buckets[key] += 1
            self.rows[key] += len(rows)

    def refuse_doubles(self, faults: Faults) -> None:
        """A bucket that came on two pages would count twice."""
        for (starts, money), times in self._buckets.items():
            if times > 1:
                what = "costs" if money else "counts"
                faults.add(day_word(starts), f"its {what} came {times} times; run the command again")
