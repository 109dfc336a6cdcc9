"""Reads what the company has agreed with providers: `pricing.adjust` and `billing`."""

from __future__ import annotations

import re
from datetime import date
from typing import Literal

from spendgate.config import forms, words
from spendgate.config.faults import one_of, shown
from spendgate.config.people import Declared, Known
from spendgate.config.rules import read_selector
from spendgate.config.sections import Section, known_word
from spendgate.contracts import Account, Adjustment, Billing, Seat
from spendgate.money import NANOS_PER_DOLLAR, Money
from spendgate.price_change import MILLION, RATES, decimal
from spendgate.selector import PLAN
from spendgate.window import Unit, Window

FACTOR_MAX = 100
RATE_NANOS_MAX = 100_000 * NANOS_PER_DOLLAR
"""For a million tokens: a hundred times what any model costs."""
ACCOUNT_LENGTH_MAX = 128
ENTRIES_MAX = 1_000
_YEARS = range(2020, 3000)
_FACTOR = re.compile(r"(0|[1-9]\d{0,2})(?:\.(\d{1,6}))?", re.ASCII)
_AMOUNT = re.compile(r"(\S+)\s+per\s+(\w+)")
_SEAT_WINDOWS = (Unit.WEEK, Unit.MONTH, Unit.QUARTER, Unit.YEAR)


def read_adjustments(pricing: Section | None, declared: Declared) -> tuple[Adjustment, ...]:
    """The list under `adjust`, in its order."""
    if pricing is None:
        return ()
    found = tuple(_adjustment(section, declared) for section in pricing.sections("adjust"))
    if len(found) > ENTRIES_MAX:
        pricing.fault("adjust", f"{len(found)} entries; at most {ENTRIES_MAX} are allowed")
    return found


def _adjustment(section: Section, declared: Declared) -> Adjustment:
    if not section.has("match"):
        section.fault("match", "is missing; name whose price it is: {provider: anthropic}, {model: gpt-5*}, …")
    match = read_selector(section, "match", declared)
    factor, rates = section.parsed("multiply", _factor), _rates(section.section("set"))
    if section.has("multiply") == section.has("set"):
        section.fault(
            "multiply" if section.has("multiply") else "",
            "exactly one of multiply and set is needed: a factor of the list price, or prices of your own",
        )
    starts, ends = section.parsed("from", _day), section.parsed("until", _day)
    if starts and ends and ends < starts:
        section.fault("until", f"{ends} is before {starts}, where it starts; it is the last day")
    section.done()
    return Adjustment(match=match, factor_millionths=factor, rates=rates, starts=starts, ends=ends)


@forms.number(
    r"(?!0(?:\.0{1,6})?\s*$)(?:0|[1-9][0-9]?)(?:\.[0-9]{1,6})?|100(?:\.0{1,6})?", "number", FACTOR_MAX, more_than=0
)
def _factor(text: str) -> int:
    """`0.85` in millionths."""
    found = _FACTOR.fullmatch(text)
    if found is None:
        percent = re.fullmatch(r"(\d{1,3}(?:\.\d{1,4})?)\s*%", text)
        near = f"; {text} of the list price is {_of_percent(percent[1])}" if percent else ""
        raise ValueError(
            f"{shown(text)} is not a factor; allowed: 0.85 (15% off), 1.1 (a tenth more), … with at most 6 decimals{near}"
        )
    factor = int(found[1]) * MILLION + int((found[2] or "").ljust(6, "0"))
    if not 0 < factor <= FACTOR_MAX * MILLION:
        raise ValueError(
            f"{shown(text)} would make calls free; a factor is more than 0"
            if factor == 0
            else f"{shown(text)} is more than {FACTOR_MAX}, the largest factor"
        )
    return factor


def _of_percent(percent: str) -> str:
    """`85` -> `0.85`."""
    whole, _, part = percent.partition(".")
    return decimal(int(whole + part.ljust(4, "0")))


def _rates(section: Section | None) -> tuple[tuple[str, int], ...]:
    if section is None:
        return ()
    found = [(name, section.parsed(name, _rate)) for name in RATES]
    section.done()
    rates = tuple((name, nanos) for name, nanos in found if nanos is not None)
    if section.empty:
        section.fault("", f"is empty; name a price per million tokens; {one_of(RATES)}")
    if rates and not any(nanos for _, nanos in rates) and {"input", "output"} <= {name for name, _ in rates}:
        section.fault("output", "input and output of $0 would make calls free; leave them out of budgets by `except`")
    return rates


@forms.written(forms.PRICE, "$15", "$0.125")
def _rate(text: str) -> int:
    nanos = Money.parse(text).nanos
    if nanos > RATE_NANOS_MAX:
        raise ValueError(f"{shown(text)} is more than $100,000 per million tokens; a price is for a million tokens")
    return nanos


@forms.written(forms.DAY_TO_COME, "2027-03-31")
def _day(text: str) -> date:
    found = words.day(text)
    if found.year not in _YEARS:
        raise ValueError(f"{shown(text)} is no day of a price; allowed: years {_YEARS[0]} to {_YEARS[-1]}")
    return found


def read_billing(section: Section | None, declared: Declared, known: Known) -> Billing:
    """`billing`: accounts, what becomes of others', and seats."""
    if section is None:
        return Billing()
    accounts = _accounts(section, known)
    word = section.word("personal", ("ignore", "count", "refuse"))
    if section.has("personal") and not section.has("accounts"):
        section.fault("personal", "changes nothing without accounts: with none listed, none is personal")
    seats = _seats(section, declared)
    section.done()
    personal: Literal["ignore", "count", "refuse"] = (
        "count" if word == "count" else "refuse" if word == "refuse" else "ignore"
    )
    return Billing(accounts=accounts, personal=personal, seats=seats)


def _accounts(section: Section, known: Known) -> tuple[Account, ...]:
    found: list[Account] = []
    seen: set[tuple[str, str]] = set()
    for inner in section.sections("accounts"):
        provider = inner.parsed("provider", lambda text: known_word(text, known.providers or (text,)), required=True)
        account = inner.parsed("account", _account, required=True)
        inner.done()
        if not provider or not account:
            continue
        if (provider, account.casefold()) in seen:
            inner.fault("account", f"{shown(account)} of {provider} is listed twice; accounts compare without case")
        seen.add((provider, account.casefold()))
        found.append(Account(provider=provider, account=account))
    return tuple(found)


@forms.written(
    r"(?:[A-Za-z0-9_.:@/+-]|[^\x00-\x7f])+", type=["string", "number", "boolean"], maxLength=ACCOUNT_LENGTH_MAX
)
def _account(text: str) -> str:
    if len(text) > ACCOUNT_LENGTH_MAX or re.fullmatch(r"[\w.:@/+-]+", text) is None:
        raise ValueError(
            f"{shown(text)} is not an account; write it as `spendgate calls show` has it, an organization's id or name, "
            f"without spaces and globs, at most {ACCOUNT_LENGTH_MAX} characters"
        )
    return text


def _seats(section: Section, declared: Declared) -> tuple[Seat, ...]:
    found: list[Seat] = []
    names: set[str] = set()
    for inner in section.sections("seats"):
        name = inner.parsed("name", words.name, required=True) or ""
        if name.casefold() in names:
            inner.fault("name", f"{shown(name)} is the name of two seats")
        names.add(name.casefold())
        match = read_selector(inner, "match", declared)
        if other := [word for word in match.texts("billing") if word.casefold() != PLAN]:
            inner.fault("match", f"billing {other[0]}: a seat pays for subscription traffic alone; leave billing out")
        price, included = inner.parsed("price", _amount, required=True), inner.parsed("included", _amount)
        if price and included and price[1] != included[1]:
            inner.fault("included", f"is per {included[1].name}, the price per {price[1].name}; a seat has one window")
        inner.done()
        nanos, window = price or (0, Window(Unit.MONTH))
        found.append(
            Seat(
                name=name,
                match=match,
                price_nanos=nanos,
                included_nanos=included[0] if included else None,
                window=window,
            )
        )
    return tuple(found)


@forms.written(rf"{forms.POSITIVE}\s+per\s+(?:week|month|quarter|year)", "$200 per month")
def _amount(text: str) -> tuple[int, Window]:
    """`$200 per month`."""
    found = _AMOUNT.fullmatch(text)
    window = next((unit for unit in _SEAT_WINDOWS if found and unit.value == found[2]), None)
    if found is None or window is None:
        raise ValueError(f"{shown(text)} is not what a seat costs; allowed: $200 per month, or per week, quarter, year")
    nanos = words.amount(found[1]).nanos
    if not nanos:
        raise ValueError(f"{shown(text)}: more than $0 is needed")
    return nanos, Window(window)
