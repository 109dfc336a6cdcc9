"""A bill that a person types: seats of a plan, an invoice's lines, tax, credits and total. YAML, read as strictly as a policy.

    statement: 1
    provider: anthropic
    account: acme            # where one provider bills several
    invoice: INV-0042
    from: 2026-11-01
    through: 2026-11-30      # the last day, included
    seats:
      - plan: Claude Team Premium
        count: 12            # or people, one seat each
        price: $150          # of one seat, for the whole period
    charges:
      - for: tokens
        amount: $310.25
        model: claude-opus-5-5
        day: 2026-11-20      # left out: of the whole period
    credits:
      - name: commitment
        amount: $100         # taken off
    tax: $58.94
    total: $2,069.19         # must be what the parts add up to

Amounts are dollars. Of one provider and account the newest import is in force: seats and invoice of the same days go into one
file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from hashlib import sha256
from typing import Final

from msgspec import Struct

from spendgate.config import words, yaml_nodes
from spendgate.config.faults import Faults, Place, shown
from spendgate.config.sections import Section, known_word
from spendgate.errors import StatementError
from spendgate.money import NANOS_MAX, dollars
from spendgate.statement import DAY_MS, Charge, Line, Statement, Who

SEATS_MAX: Final = 1_000_000
PERIOD_DAYS_MAX: Final = 366
_FORMAT: Final = "1"
_BEGINS: Final = re.compile(rb"^(?:\xef\xbb\xbf)?(?:[ \t]*(?:#[^\n]*)?\r?\n)*statement[ \t]*:")
_KEYED: Final = (Charge.SEAT, Charge.TAX, Charge.CREDIT)
"""What has keys of its own."""
_FOR: Final = tuple(each.value for each in Charge if each not in _KEYED)
_PROVIDER: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_NAME_MAX: Final = 200


class _Period(Struct, frozen=True):
    """Epoch milliseconds, and who bills."""

    starts: int
    ends: int
    provider: str

    def line(self, nanos: int, charge: Charge, **more: object) -> Line:
        """A line of the whole period."""
        given: dict[str, object] = {
            "starts_ms": self.starts,
            "ends_ms": self.ends,
            "amount": f"{dollars(nanos)[:60]} USD",
        }
        return Line(**{**given, **more}, provider=self.provider, charge=charge, billed_nanos=nanos)  # type: ignore[arg-type] # by name


class StatementFile:
    """`invoice`: the `FileSource` (reconcile/sources/interface) that needs YAML, which is known here alone."""

    name = "invoice"
    title = "a seat plan or an invoice typed by hand, YAML that begins with `statement: 1`"

    def recognises(self, head: bytes) -> bool:
        """Whether its first key is `statement`. Never raises."""
        return _BEGINS.match(head) is not None

    def read(self, data: bytes, origin: str) -> Statement:
        """All of it. Raises StatementError with every fault, `file:line:column: key: …`."""
        faults = Faults(origin)
        statement = _read(data, origin, faults)
        if faults or statement is None:
            raise StatementError(*faults.lines())
        return statement


def _read(data: bytes, origin: str, faults: Faults) -> Statement | None:
    if not data.strip():
        faults.add(Place(1, 1), "", "the file is empty; a statement has at least statement, provider, from and through")
        return None
    node = yaml_nodes.read(data, faults)
    root = Section.of(node, "", faults) if node is not None else None
    if root is None:
        return None
    root.parsed("statement", lambda text: known_word(text, (_FORMAT,)), required=True)
    provider = root.parsed("provider", _provider, required=True) or ""
    account, number = root.parsed("account", _text), root.parsed("invoice", _text)
    root.parsed("currency", lambda text: known_word(text, ("USD",)))
    first, last = root.parsed("from", words.day, required=True), root.parsed("through", words.day, required=True)
    period = _period(root, first, last, provider)
    lines = [*_seats(root, period), *_charges(root, period), *_credits(root, period), *_tax(root, period)]
    _total(root, lines)
    root.done()
    if faults:
        return None
    if not lines:
        root.fault("", "bills nothing; write seats, charges, credits or tax")
        return None
    subject = "/".join(filter(None, (provider, account)))
    notes = (f"typed by hand{f' from invoice {number}' if number else ''}",)
    return Statement(
        StatementFile.name, provider, subject, period.starts, period.ends, sha256(data).hexdigest(), origin, None,
        tuple(lines), notes,
    )  # fmt: skip


def _period(root: Section, first: date | None, last: date | None, provider: str) -> _Period:
    """The period; of no use, and not used, where a fault was named."""
    if first is None or last is None:
        return _Period(0, DAY_MS, provider)
    if last < first:
        root.fault("through", f"{last} is before from {first}")
    elif (last - first).days >= PERIOD_DAYS_MAX:
        root.fault("through", f"{first} through {last} is more than {PERIOD_DAYS_MAX} days; write a file for each bill")
    return _Period(_ms(first), _ms(last + timedelta(days=1)) if last < date.max else _ms(last), provider)


def _seats(root: Section, period: _Period) -> Iterator[Line]:
    for seat in root.sections("seats"):
        plan = seat.parsed("plan", _text, required=True)
        people = seat.names("people", _text)
        count = seat.parsed("count", _count, required=not people)
        price = seat.parsed("price", words.amount, required=True)
        seat.done()
        if people and count is not None and count != len(people):
            seat.fault("count", f"{count} seats, and {len(people)} people; leave count out, or name everybody")
        if price is None:
            continue
        if not people and (count or 0) * price.nanos > NANOS_MAX:
            seat.fault("count", f"{count} seats of {price} is more than a ledger row holds")
        elif people:
            for each in people:
                who = Who(email=each) if "@" in each else Who(user=each)
                yield period.line(price.nanos, Charge.SEAT, product=plan, who=who, quantity="1", unit="seat")
        elif count:
            yield period.line(price.nanos * count, Charge.SEAT, product=plan, quantity=str(count), unit="seat")


def _charges(root: Section, period: _Period) -> Iterator[Line]:
    for each in root.sections("charges"):
        kind = each.parsed("for", lambda text: known_word(text, _FOR), required=True)
        amount = each.parsed("amount", words.amount, required=True)
        day = each.parsed("day", words.day)
        model, product = each.parsed("model", _text), each.parsed("product", _text)
        who = Who(
            workspace=each.parsed("workspace", _text), key=each.parsed("key", _text), email=each.parsed("person", _text)
        )
        each.done()
        starts = period.starts if day is None else _ms(day)
        if not period.starts <= starts < period.ends:
            each.fault("day", f"{day} is not in the period of the statement")
        if kind is None or amount is None:
            continue
        span = {} if day is None else {"starts_ms": starts, "ends_ms": starts + DAY_MS}
        yield period.line(amount.nanos, Charge(kind), model=model, product=product, who=who, **span)


def _credits(root: Section, period: _Period) -> Iterator[Line]:
    for each in root.sections("credits"):
        name, amount = each.parsed("name", _text, required=True), each.parsed("amount", words.amount, required=True)
        each.done()
        if amount is not None:
            yield period.line(-amount.nanos, Charge.CREDIT, product=name)


def _tax(root: Section, period: _Period) -> Iterator[Line]:
    amount = root.parsed("tax", words.amount)
    if amount is not None:
        yield period.line(amount.nanos, Charge.TAX)


def _total(root: Section, lines: list[Line]) -> None:
    """An invoice's own sum catches a line that was left out or mistyped."""
    total, sum_nanos = root.parsed("total", words.amount), sum(each.billed_nanos or 0 for each in lines)
    if total is not None and total.nanos != sum_nanos:
        root.fault("total", f"{total} is not what the parts add up to: {dollars(sum_nanos)}")


def _provider(text: str) -> str:
    if _PROVIDER.fullmatch(text) is None:
        raise ValueError(
            f"{shown(text)} is no provider; write its name as `spendgate calls` has it: anthropic, openai, github-copilot, …"
        )
    return text


def _text(text: str) -> str:
    if len(text) > _NAME_MAX:
        raise ValueError(f"{shown(text)} has {len(text)} characters; at most {_NAME_MAX}")
    return text


def _count(text: str) -> int:
    if re.fullmatch(r"[1-9]\d{0,6}", text, re.ASCII) is None or int(text) > SEATS_MAX:
        raise ValueError(f"{shown(text)} is no number of seats; allowed: 1 to {SEATS_MAX:,}, without separators")
    return int(text)


def _ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS
