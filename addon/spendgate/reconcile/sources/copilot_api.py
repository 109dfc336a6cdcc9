"""GitHub Copilot's AI credits, by the billing API of an organization or enterprise: by day, model, SKU and person.

Source: https://docs.github.com/en/rest/billing/usage, version 2026-03-10: `/organizations/{org}/settings/billing/ai_credit/usage`
and /orgs/{org}/copilot/billing/seats. A person is a filter there and no column, so each day is asked for as a whole and then for
each seat, until the seats' part is all of it; what is left is nobody's. Completions are not billed. AI credits begin on
2026-06-01.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlencode

from msgspec import Struct

from spendgate.errors import StatementError
from spendgate.reconcile.sources.assembling import days_of, fields, obj, plain, told
from spendgate.reconcile.sources.copilot_lines import PROVIDER, Amounts, Row, lines_of
from spendgate.reconcile.sources.interface import Asking, Page, Request, Span
from spendgate.reconcile.sources.reading import Faults, count, decimal, shown, text
from spendgate.statement import DAY_MS, Line, Statement, Who

_ACCOUNT: Final = re.compile(r"(?:(?P<enterprise>enterprises)/)?(?P<name>[A-Za-z0-9][A-Za-z0-9_-]{0,99})")
_SEATS: Final = 100
_CENT_NANOS: Final = 10_000_000
_COST_CENTERS: Final = (
    "an enterprise's usage that belongs to cost centers may not be in it: GitHub's documentation is not clear"
)


class Copilot:
    """`github-copilot`: the API."""

    name = "github-copilot"
    title = "GitHub Copilot AI credits; --account ORG (token: Administration read) or enterprises/NAME (classic token)"
    host = "api.github.com"
    variable = "GITHUB_BILLING_TOKEN"
    gap_ms = 800  # 5,000 requests an hour

    def headers(self, credential: str) -> dict[str, str]:
        """See `ApiSource`."""
        return {
            "authorization": f"Bearer {credential}",
            "accept": "application/vnd.github+json",
            "x-github-api-version": "2026-03-10",
            "user-agent": "spendgate",
        }

    def ask(self, span: Span) -> Asking:
        """Seats; then each day as a whole, and by person where there is something to divide."""
        found = _ACCOUNT.fullmatch(span.account)
        if found is None:
            raise StatementError(
                f"{self.host}: --account {shown(span.account)} names no organization: write --account ORG or enterprises/NAME"
            )
        faults, run = Faults(self.host), _Run(found["name"], found["enterprise"] is not None)
        yield from run.seats(faults)
        for day_ms in days_of(span.from_ms, span.until_ms):
            yield from run.day(day_ms, faults)
        faults.raise_any()
        notes = (_COST_CENTERS,) if run.enterprise else ()
        return Statement(
            self.name, PROVIDER, span.account, span.from_ms, span.until_ms, run.hashed.hexdigest(), self.host, None,
            tuple(run.lines), notes,
        )  # fmt: skip


class _Key(Struct, frozen=True, order=True):
    """What items of a day are told apart by, besides the person."""

    product: str
    sku: str
    model: str
    unit: str
    price: str


class _Item(Struct, frozen=True):
    """Of one key."""

    amounts: Amounts
    quantity: Any
    amount: str


class _Run:
    """One run through an account's days."""

    def __init__(self, name: str, enterprise: bool) -> None:
        self.lines: list[Line] = []
        self.hashed = sha256()
        self.enterprise = enterprise
        self._name = name
        self._people: list[str] = []

    def seats(self, faults: Faults) -> Generator[Request, Page]:
        """Who there is to ask for."""
        seen, total, number = 0, 1, 0
        while seen < total:
            number += 1
            where = f"{'enterprises' if self.enterprise else 'orgs'}/{self._name}"
            page = yield Request(f"/{where}/copilot/billing/seats?per_page={_SEATS}&page={number}")
            self.hashed.update(page.body)
            total = 0  # a page that cannot be read is the last
            with faults.at(f"page {page.number}"):
                found = obj(page.body, "seats")
                people = [
                    told(fields(fields(seat)["assignee"])["login"]) for seat in found["seats"] if seat["assignee"]
                ]
                seen += len(found["seats"])
                if not found["seats"] and seen < count(found["total_seats"]):
                    raise ValueError(f"{seen} seats came of {count(found['total_seats'])} that there are")
                total = count(found["total_seats"])
                self._people += [each for each in people if each is not None and each not in self._people]

    def day(self, day_ms: int, faults: Faults) -> Generator[Request, Page]:
        """One day: all of it, then each person's part until nothing is left."""
        page = yield self._request(day_ms, None)
        left = self._read(page, day_ms, faults)
        for person in self._people:
            if not any(each.amounts.gross for each in left.values()):
                break
            page = yield self._request(day_ms, person)
            with faults.at(f"page {page.number}"):
                part = self._read(page, day_ms, faults)
                for key, item in part.items():
                    self._add(day_ms, key, item, person)
                    left[key] = _less(left.get(key), item)
        for key, item in left.items():
            if item.amounts.gross or item.amounts.net:
                self._add(day_ms, key, item, None)

    def _request(self, day_ms: int, person: str | None) -> Request:
        day = datetime.fromtimestamp(day_ms / 1000, UTC)
        words = [("year", str(day.year)), ("month", str(day.month)), ("day", str(day.day))]
        words += [] if person is None else [("user", person)]
        where = f"{'enterprises' if self.enterprise else 'organizations'}/{self._name}"
        return Request(f"/{where}/settings/billing/ai_credit/usage?{urlencode(words)}")

    def _read(self, page: Page, day_ms: int, faults: Faults) -> dict[_Key, _Item]:
        """A page's items; {} where it cannot be read."""
        self.hashed.update(page.body)
        found: dict[_Key, _Item] = {}
        with faults.at(f"page {page.number}"):
            said = obj(page.body, "usageItems")
            _same_day(fields(said["timePeriod"]), day_ms)
            for number, item in enumerate(said["usageItems"]):
                with faults.at(f"page {page.number} usageItems[{number}]"):
                    key, one = _item(fields(item))
                    if key in found:
                        raise ValueError("this product, SKU, model and price came before: items have come twice")
                    found[key] = one
        return found

    def _add(self, day_ms: int, key: _Key, item: _Item, person: str | None) -> None:
        who = Who(self._name, user=person)
        row = Row(
            day_ms, day_ms + DAY_MS, who, key.sku, key.model or None, key.unit, item.amounts, item.quantity, item.amount
        )
        self.lines.extend(lines_of(row))


def _same_day(said: dict[str, Any], day_ms: int) -> None:
    day = datetime.fromtimestamp(day_ms / 1000, UTC)
    if [count(said[each]) for each in ("year", "month", "day")] != [day.year, day.month, day.day]:
        raise ValueError("it is about another day than was asked for")


def _item(item: dict[str, Any]) -> tuple[_Key, _Item]:
    product, sku, model, unit = (text(item[each]) or "" for each in ("product", "sku", "model", "unitType"))
    amounts = Amounts.read(item["grossAmount"], item["discountAmount"], item["netAmount"])
    key = _Key(product, sku, model, unit, str(item.get("pricePerUnit")))
    return key, _Item(amounts, decimal(item["grossQuantity"]), str(item["grossAmount"]))


def _less(whole: _Item | None, part: _Item) -> _Item:
    """What is left. Raises ValueError where a part is more than its whole by a cent and more."""
    if whole is None:
        raise ValueError("a person has what the whole does not have: it was revised meanwhile; run the command again")
    one, other = whole.amounts, part.amounts
    left = Amounts(one.gross - other.gross, one.discount - other.discount, one.net - other.net)
    if left.gross < -_CENT_NANOS:
        raise ValueError("people come to more than the whole: it was revised meanwhile; run the command again")
    return _Item(left, whole.quantity - part.quantity, plain(decimal(whole.amount) - decimal(part.amount)))
