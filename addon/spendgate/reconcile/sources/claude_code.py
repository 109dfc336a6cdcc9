"""Claude Code Analytics: who used Claude Code with which model on a day, counted by the tool. An estimate, never the bill.

Source: Anthropic's documentation of `GET /v1/organizations/usage_report/claude_code`: one UTC day a call, cents in
`estimated_cost.amount`, cache writes without their time-to-live. What it counts becomes lines of counts without money, so that no
estimate is ever taken for billed; the estimate's total is told in a note.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from spendgate.money import dollars
from spendgate.reconcile.sources.assembling import Cursor, after, day_word, days_of, dollars_only, fields, obj
from spendgate.reconcile.sources.interface import Asking, Page, Request, Span
from spendgate.reconcile.sources.reading import CENT, Faults, count, instant_ms, nanos, text
from spendgate.statement import DAY_MS, Billed, Line, Statement, Who
from spendgate.usage import Usage


class ClaudeCode:
    """`claude-code`: the API."""

    name = "claude-code"
    title = "Claude Code Analytics API: counts by person, key and model, no bill; an admin key"
    host = "api.anthropic.com"
    variable = "ANTHROPIC_ADMIN_KEY"
    gap_ms = 1_000

    def headers(self, credential: str) -> dict[str, str]:
        """See `ApiSource`."""
        return {"x-api-key": credential, "anthropic-version": "2023-06-01"}

    def ask(self, span: Span) -> Asking:
        """Day by day."""
        faults, run = Faults(self.host), _Run()
        for day in days_of(span.from_ms, span.until_ms):
            cursor = Cursor()
            while True:
                words = [("starting_at", day_word(day)), ("limit", "1000")]
                words += [] if cursor.next is None else [("page", cursor.next)]
                page = yield Request(f"/v1/organizations/usage_report/claude_code?{urlencode(words)}")
                run.page(page, day, cursor, faults)
                if cursor.next is None:
                    break
        faults.raise_any()
        return Statement(
            self.name, "anthropic", span.account or run.subject, span.from_ms, span.until_ms, run.whole.hexdigest(), self.host,
            None, tuple(run.lines), run.notes(),
        )  # fmt: skip


class _Run:
    def __init__(self) -> None:
        self.whole = sha256()
        self.lines: list[Line] = []
        self._organizations: set[str] = set()
        self._seen: set[tuple[object, ...]] = set()
        self._estimate = 0

    @property
    def subject(self) -> str:
        return next(iter(self._organizations)) if len(self._organizations) == 1 else ""

    def page(self, page: Page, day: int, cursor: Cursor, faults: Faults) -> None:
        place = f"page {page.number}"
        self.whole.update(page.body)
        cursor.next = None
        with faults.at(place):
            found = obj(page.body, "data")
            for number, item in enumerate(found["data"]):
                with faults.at(f"{place} data[{number}]"):
                    self._record(fields(item), day)
            cursor.follow(after(found))

    def _record(self, item: dict[str, Any], day: int) -> None:
        told = instant_ms(item["date"])
        if told != day:
            raise ValueError(f"is of {day_word(told)}, asked was {day_word(day)}")
        actor = fields(item["actor"])
        email, key = text(actor.get("email_address")), text(actor.get("api_key_name"))
        if email is None and key is None:
            raise ValueError("its actor has neither an address nor a key's name")
        organization = text(item.get("organization_id"))
        if organization:
            self._organizations.add(organization)
        known = (day, email, key, organization, text(item.get("terminal_type")), text(item["customer_type"]))
        if known in self._seen:
            raise ValueError("this actor, terminal and day came before: a page came twice")
        self._seen.add(known)
        who = Who(organization=organization, key_name=key, email=email)
        billed = Billed.INCLUDED if item["customer_type"] == "subscription" else Billed.METERED
        for each in item["model_breakdown"]:
            self.lines.append(self._line(fields(each), day, who, billed))

    def _line(self, each: dict[str, Any], day: int, who: Who, billed: Billed) -> Line:
        tokens, cost = fields(each["tokens"]), fields(each["estimated_cost"])
        dollars_only(cost["currency"])
        self._estimate += nanos(cost["amount"], CENT)
        usage = Usage(
            input_tokens=count(tokens["input"]),
            cache_read_tokens=count(tokens["cache_read"]),
            cache_write_tokens=count(tokens["cache_creation"]),
            output_tokens=count(tokens["output"]),
        )
        model = text(each["model"])
        return Line(
            day, day + DAY_MS, "anthropic", model=model, product="claude_code", who=who, usage=usage, billed=billed
        )

    def notes(self) -> tuple[str, ...]:
        return (
            f"no bill: the tool's own counts; it estimates {dollars(self._estimate)}, which no line holds as money",
            "cache writes are not split by time-to-live; people on a subscription may be missing (anthropics/claude-code#27780)",
        )
