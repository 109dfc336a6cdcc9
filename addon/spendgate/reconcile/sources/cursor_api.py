"""Cursor's Admin API: each usage event of a team, and the spend of the billing cycle beside it.

Source: https://cursor.com/docs/account/teams/admin-api (copy of 2026): POST /teams/filtered-usage-events and /teams/spend, twenty
requests a minute. `chargedCents` is the model's price after its discount and Cursor's fee; `tokenUsage.totalCents` the model's
price before it. Whether `endDate` is in the span is not said: what is exactly on it is left to the next span. /teams/spend knows
the current billing cycle alone and is told beside the sum of the events, in a note.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from spendgate.money import dollars
from spendgate.reconcile.sources.assembling import day_word, fields, flag, obj, quantity, told, whole
from spendgate.reconcile.sources.cursor_lines import BUGBOT, CLOUD_AGENT, billed_by, cents
from spendgate.reconcile.sources.interface import Asking, Page, Request, Span
from spendgate.reconcile.sources.reading import CENT, Faults, count, epoch_ms, nanos, shown, text
from spendgate.statement import DAY_MS, Axes, Billed, Charge, Line, Statement, Who
from spendgate.usage import NO_USAGE, Usage

_LONGEST_MS: Final = 30 * DAY_MS
_PAGE: Final = 500
_PAGES_MAX: Final = 100_000


class Cursor:
    """`cursor`: the API."""

    name = "cursor"
    title = "Cursor Admin API (Enterprise); an admin key of the team"
    host = "api.cursor.com"
    variable = "CURSOR_ADMIN_KEY"
    gap_ms = 3_000  # 20 requests a minute

    def headers(self, credential: str) -> dict[str, str]:
        """See `ApiSource`."""
        word = base64.b64encode(f"{credential}:".encode()).decode()
        return {"authorization": f"Basic {word}", "content-type": "application/json"}

    def ask(self, span: Span) -> Asking:
        """Events, in queries of at most thirty days; then the cycle's spend."""
        faults, hashed, events, spend = Faults(self.host), sha256(), _Events(), _Spend()
        for part in _parts(span):
            events.begin(part)
            yield from _pages("filtered-usage-events", part, events.page, faults, hashed.update)
            with faults.at(f"{day_word(part.from_ms)} to {day_word(part.until_ms - 1)}"):
                events.end()
        yield from _pages("spend", None, spend.page, faults, hashed.update)
        faults.raise_any()
        return Statement(
            self.name, "cursor", "", span.from_ms, span.until_ms, hashed.hexdigest(), self.host, None,
            tuple(events.lines), (*events.notes(), *spend.notes(span, events.lines)),
        )  # fmt: skip


def _parts(span: Span) -> Iterator[Span]:
    for start in range(span.from_ms, span.until_ms, _LONGEST_MS):
        yield Span(start, min(start + _LONGEST_MS, span.until_ms))


def _pages(
    kind: str, span: Span | None, take: Callable[[Page, Faults], bool], faults: Faults, hashed: Callable[[bytes], None]
) -> Generator[Request, Page]:
    """Pages by their number, until `take` says that it was the last."""
    days = {} if span is None else {"startDate": span.from_ms, "endDate": span.until_ms}
    for number in range(1, _PAGES_MAX):
        words = json.dumps({**days, "page": number, "pageSize": _PAGE})
        page = yield Request(f"/teams/{kind}", "POST", words.encode())
        hashed(page.body)
        more = False
        with faults.at(f"page {page.number}"):
            more = take(page, faults)
        if not more:
            return


class _Events:
    """Events into lines."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._notes: Counter[str] = Counter()
        self._span = Span(0, 0)
        self._got, self._said = 0, 0
        self._pages: set[bytes] = set()

    def begin(self, span: Span) -> None:
        """Pages of this span follow."""
        self._span, self._got, self._said = span, 0, 0
        self._pages.clear()

    def end(self) -> None:
        """They were all. Raises ValueError where they are not as many as the first said."""
        if self._got != self._said:
            raise ValueError(f"{self._got} events came of {self._said} that there are; run the command again")

    def page(self, page: Page, faults: Faults) -> bool:
        """Take a page in; whether there is another."""
        found = obj(page.body, "usageEvents")
        total = count(found["totalUsageEventsCount"])
        events = found["usageEvents"]
        digest = sha256(json.dumps(events, default=str).encode()).digest()
        if events and digest in self._pages:
            raise ValueError("it is a page that has been read already")
        if self._pages and total != self._said:
            raise ValueError("the count of events changed while they were read; run the command again")
        self._pages.add(digest)
        self._said = total
        self._got += len(events)
        for number, event in enumerate(events):
            with faults.at(f"page {page.number} usageEvents[{number}]"):
                self._event(fields(event))
        return flag(fields(found["pagination"])["hasNextPage"])

    def _event(self, event: dict[str, Any]) -> None:
        at_ms = epoch_ms(event["timestamp"], per_second=1000)
        if at_ms == self._span.until_ms:
            return
        if not self._span.from_ms <= at_ms < self._span.until_ms:
            raise ValueError("its time is not within what was asked for")
        kind = text(event["kind"]) or ""
        billed = billed_by(kind)
        if billed is None:
            self._notes[f"kind {shown(kind)} is not known: taken as metered"] += 1
            billed = Billed.METERED
        elif flag(event.get("isFreeBugbot")):
            billed = Billed.INCLUDED
        self.lines.extend(self._split(event, at_ms, billed))

    def _split(self, event: dict[str, Any], at_ms: int, billed: Billed) -> Iterator[Line]:
        """The model's part, and Cursor's fee where it is charged."""
        charged, fee = cents(event["chargedCents"]), cents(event.get("cursorTokenFee") or Decimal(0))
        if fee > charged:
            self._notes["the fee is more than the charge: the charge is the fee"] += 1
            fee = charged
        used = event.get("tokenUsage")
        who, model, product = Who(email=told(event.get("userEmail"))), told(event.get("model")), _product(event)
        of_model = charged - fee
        listed = of_model if used is None else cents(fields(used)["totalCents"])
        by_tokens = used is not None
        yield Line(
            at_ms, at_ms + 1, "cursor", model, product, who, Axes(context="max" if flag(event.get("maxMode")) else None),
            Charge.TOKENS if by_tokens else Charge.REQUESTS,
            usage=NO_USAGE if used is None else _usage(used), requests=1,
            quantity=None if by_tokens else quantity(event.get("requestsCosts")),
            unit=None if by_tokens else "request units",
            billed_nanos=nanos(of_model, CENT) if billed is Billed.METERED else 0, list_nanos=nanos(listed, CENT),
            billed=billed, amount=f"{event['chargedCents']} cent",
        )  # fmt: skip
        if fee and billed in (Billed.METERED, Billed.ELSEWHERE):
            yield Line(
                at_ms, at_ms + 1, "cursor", model, product, who, charge=Charge.SERVICE_FEE,
                billed_nanos=nanos(fee, CENT), amount=f"{event['cursorTokenFee']} cent",
            )  # fmt: skip

    def notes(self) -> list[str]:
        """What a reader must know."""
        return [f"{times} events: {note}" for note, times in self._notes.items()]


def _product(event: dict[str, Any]) -> str | None:
    """What runs without a laptop; None: an editor or a command line."""
    if flag(event.get("isFreeBugbot")):
        return BUGBOT
    return CLOUD_AGENT if flag(event.get("isHeadless")) else None


def _usage(used: dict[str, Any]) -> Usage:
    """Four classes that do not overlap; of some models no writes are told."""
    return Usage(
        input_tokens=count(used["inputTokens"]),
        cache_read_tokens=whole(used.get("cacheReadTokens")),
        cache_write_tokens=whole(used.get("cacheWriteTokens")),
        output_tokens=count(used["outputTokens"]),
    )


class _Spend:
    """The current cycle's spend on demand, to be told beside the sum of the events."""

    def __init__(self) -> None:
        self._cents = Decimal(0)
        self._members: set[str] = set()
        self._cycle_ms = 0
        self._number = 0

    def page(self, page: Page, faults: Faults) -> bool:
        """Take a page in; whether there is another."""
        found = obj(page.body, "teamMemberSpend")
        self._cycle_ms = epoch_ms(found["subscriptionCycleStart"], per_second=1000)
        self._number += 1
        for number, member in enumerate(found["teamMemberSpend"]):
            with faults.at(f"page {page.number} teamMemberSpend[{number}]"):
                one = str(fields(member)["userId"])
                if one in self._members:
                    raise ValueError("this member came before: a page has come twice")
                self._members.add(one)
                self._cents += cents(member["spendCents"])
        return self._number < count(found["totalPages"])

    def notes(self, span: Span, lines: list[Line]) -> tuple[str]:
        """Both sums, where the events reach back to the cycle's beginning."""
        said = f"Cursor counts {dollars(nanos(self._cents, CENT))} on demand since {day_word(self._cycle_ms)}"
        if span.from_ms > self._cycle_ms:
            return (f"{said}; the events begin later and cannot be compared with it",)
        events = sum(each.billed_nanos or 0 for each in lines if each.starts_ms >= self._cycle_ms)
        return (f"{said}, its events up to {day_word(span.until_ms - 1)} come to {dollars(events)}",)
