"""OpenAI's costs and usage API: money by day, project, key and line item; counts and requests also by user, model and tier.

Source: the PyPI package `openai` 3.54.0, `resources/admin/organization/usage.py` (paths), `types/admin/organization/usage_*.py`
(parameters, results), `_client.py` (lists in a query are written with brackets). Costs reconcile to the invoice, usage may differ
from them, so both are taken. Costs are not grouped by user: with projects, some organizations are refused that.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlencode

from spendgate.reconcile.naming import day_of
from spendgate.reconcile.sources.assembling import Cursor, day_word, days_of, fields, obj
from spendgate.reconcile.sources.interface import Asking, Page, Request, Span
from spendgate.reconcile.sources.openai_lines import OTHER_KINDS, cost_line, other_line, token_line
from spendgate.reconcile.sources.reading import Faults, epoch_ms, text
from spendgate.statement import Line, Statement

_COSTS: Final = "costs"
_TOKEN_KINDS: Final = ("completions", "embeddings", "moderations")
_USED: Final = ("project_id", "user_id", "api_key_id", "model")
_GROUPS: Final = {
    _COSTS: ("project_id", "api_key_id", "line_item"),
    "completions": (*_USED, "batch", "service_tier"),
    "vector_stores": ("project_id",),
    "code_interpreter_sessions": ("project_id",),
    "file_search_calls": ("project_id", "user_id", "api_key_id"),
}
"""By endpoint; the others: _USED."""
_BUCKETS: Final = {_COSTS: 180}
"""How many days one page may hold; of usage 31."""


class OpenAI:
    """`openai`: the API."""

    name = "openai"
    title = "OpenAI organization costs and usage API; an admin key with read access to usage"
    host = "api.openai.com"
    variable = "OPENAI_ADMIN_KEY"
    gap_ms = 500  # no limit is published for it

    def headers(self, credential: str) -> dict[str, str]:
        """See `ApiSource`."""
        return {"authorization": f"Bearer {credential}"}

    def ask(self, span: Span) -> Asking:
        """Costs, then each kind of usage, page by page."""
        faults, whole, reading = Faults(self.host), sha256(), _Reading(span)
        for kind in (_COSTS, *_TOKEN_KINDS, *OTHER_KINDS):
            yield from _kind(kind, span, reading, faults, whole.update)
        faults.raise_any()
        return Statement(
            self.name, "openai", "", span.from_ms, span.until_ms, whole.hexdigest(), self.host, None,
            tuple(reading.lines), tuple(reading.notes()),
        )  # fmt: skip


def _kind(
    kind: str, span: Span, reading: _Reading, faults: Faults, hashed: Callable[[bytes], None]
) -> Generator[Request, Page]:
    cursor = Cursor()
    while True:
        page = yield _request(kind, span, cursor.next)
        hashed(page.body)
        reading.page(kind, page, cursor, faults)
        if cursor.next is None:
            return


def _request(kind: str, span: Span, cursor: str | None) -> Request:
    words = [
        ("start_time", str(span.from_ms // 1000)), ("end_time", str(span.until_ms // 1000)), ("bucket_width", "1d"),
        ("limit", str(_BUCKETS.get(kind, 31))),
    ]  # fmt: skip
    words += [("group_by[]", group) for group in _GROUPS.get(kind, _USED)]
    if cursor is not None:
        words.append(("page", cursor))
    path = _COSTS if kind == _COSTS else f"usage/{kind}"
    return Request(f"/v1/organization/{path}?{urlencode(words)}")


class _Reading:
    """Pages into lines."""

    def __init__(self, span: Span) -> None:
        self.lines: list[Line] = []
        self._span = span
        self._days: dict[str, set[int]] = {}
        self._doubts: dict[str, int] = {}

    def page(self, kind: str, page: Page, cursor: Cursor, faults: Faults) -> None:
        """Take a page in; `cursor` is then at that after it."""
        place = f"page {page.number}"
        cursor.follow(None)
        self._days.setdefault(kind, set())
        with faults.at(place):
            found = obj(page.body, "data")
            for number, bucket in enumerate(found["data"]):
                with faults.at(f"{place} data[{number}]"):
                    self._bucket(kind, fields(bucket), f"{place} data[{number}]", faults)
            if found["has_more"]:
                if not found["next_page"]:
                    raise ValueError("there is more, and no next page is named")
                cursor.follow(text(found["next_page"]))

    def _bucket(self, kind: str, bucket: dict[str, Any], place: str, faults: Faults) -> None:
        starts_ms, ends_ms = epoch_ms(bucket["start_time"]), epoch_ms(bucket["end_time"])
        if not self._span.from_ms <= starts_ms < ends_ms <= self._span.until_ms:
            raise ValueError("its times are not within what was asked for")
        if day_of(starts_ms) != day_of(ends_ms - 1):
            raise ValueError(
                "it is of more than one UTC day, and days were asked for: which day used what it has is not told"
            )
        days = self._days[kind]
        if starts_ms in days:
            raise ValueError(f"{day_word(starts_ms)} came before: a page has come twice")
        days.add(starts_ms)
        for number, result in enumerate(bucket["results"]):
            with faults.at(f"{place} results[{number}]"):
                self.lines.append(self._line(kind, fields(result), starts_ms, ends_ms))

    def _line(self, kind: str, result: dict[str, Any], starts_ms: int, ends_ms: int) -> Line:
        if kind == _COSTS:
            amount = fields(result["amount"])
            return cost_line(amount["value"], amount["currency"], result, starts_ms, ends_ms)
        if kind not in _TOKEN_KINDS:
            return other_line(kind, result, starts_ms, ends_ms)
        line, doubt = token_line(kind, result, starts_ms, ends_ms)
        if doubt:
            self._doubts[doubt] = self._doubts.get(doubt, 0) + 1
        return line

    def notes(self) -> list[str]:
        """What a reader must know."""
        said = [f"{times} lines of usage: {doubt}" for doubt, times in self._doubts.items()]
        for kind, days in self._days.items():
            lacking = [each for each in days_of(self._span.from_ms, self._span.until_ms) if each not in days]
            if lacking:
                last = day_word(lacking[-1])
                said.append(
                    f"{kind}: no bucket for {len(lacking)} days of {day_word(lacking[0])} to {last}: taken as nothing"
                )
        return said
