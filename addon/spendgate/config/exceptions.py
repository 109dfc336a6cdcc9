"""Reads `exceptions`: budgets that allow more for a while. Each says why, until when and by whose leave."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from spendgate.budget import Budget, whole_name
from spendgate.config import forms, words
from spendgate.config.faults import NotAmong, cut, one_of, shown
from spendgate.config.people import Declared
from spendgate.config.rules import read_selector
from spendgate.config.sections import Section
from spendgate.exceptions import BudgetException
from spendgate.money import Money
from spendgate.window import day_starts_ms

_SHOWN_MAX = 12
_PROSE_MAX = 120
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})", re.ASCII)


def read_exceptions(
    top: Section, budgets: Sequence[Budget], unlimited: Sequence[str], declared: Declared, zone: str
) -> tuple[BudgetException, ...]:
    """The exceptions in file order, as far as they could be read. Days begin and end in `zone`, the file's own."""
    by_name = {budget.name: budget for budget in budgets}
    found: list[BudgetException] = []
    for section in top.sections("exceptions"):
        each = _exception(section, by_name, tuple(unlimited), declared, zone)
        if each is None:
            continue
        same = (each.budget, each.reason, each.match.as_data())
        if same in [(other.budget, other.reason, other.match.as_data()) for other in found]:
            section.fault(
                "reason", "another exception has this budget, match and reason; give each a reason of its own"
            )
        found.append(each)
    return tuple(found)


def _exception(
    section: Section, by_name: dict[str, Budget], unlimited: tuple[str, ...], declared: Declared, zone: str
) -> BudgetException | None:
    name = section.parsed("budget", lambda text: _budget_named(text, by_name, unlimited), required=True)
    budget = by_name.get(name or "")
    match = read_selector(section, "match", declared)
    if budget is not None and budget.per and not section.has("match"):
        section.fault(
            "match", f"is missing; {budget.name} is kept per {', '.join(budget.per)}: say whose limit is raised"
        )
    add, limit = section.parsed("add", _more), section.parsed("limit", _more)
    if section.has("add") == section.has("limit"):
        section.fault("limit" if section.has("limit") else "", "exactly one of add and limit is needed; limit replaces")
    elif limit and budget is not None and budget.mean is None and limit <= budget.limit_nanos:
        section.fault("limit", f"{Money(limit)} is not more than {budget.name} allows, {Money(budget.limit_nanos)}")
    once = section.flag("once")
    if once and budget is not None and budget.window is None:
        section.fault("once", f"changes nothing: {budget.name} has a single window, the life of its value")
    from_ms = section.parsed("from", partial(_instant, zone=zone, ends=False))
    until_ms = section.parsed("until", partial(_instant, zone=zone, ends=True), required=True)
    if from_ms is not None and until_ms is not None and from_ms >= until_ms:
        section.fault("until", "is not after from: the exception would never hold")
    reason, approved_by = (section.parsed(key, _prose, required=True) for key in ("reason", "approved_by"))
    section.done()
    if budget is None or until_ms is None or reason is None or approved_by is None:
        return None
    return BudgetException(
        budget=budget.name, match=match, add_nanos=add, limit_nanos=limit, once=bool(once), from_ms=from_ms or 0,
        until_ms=until_ms, reason=reason, approved_by=approved_by,
    )  # fmt: skip


def _budget_named(text: str, by_name: dict[str, Budget], unlimited: tuple[str, ...]) -> str:
    if (name := whole_name(text)) in by_name:
        return name
    if text in unlimited:
        raise ValueError(f"{shown(text)} has no limit that could be raised")
    parts = [budget.name for budget in by_name.values() if budget.base_name == text]
    if parts:
        raise ValueError(f"{shown(text)} has several limits; {one_of(parts)}")
    allowed = one_of(cut(tuple(by_name), _SHOWN_MAX)) if by_name else "the file declares none"
    raise NotAmong(f"{shown(text)} is no budget that is declared; {allowed}", text, tuple(by_name))


@forms.written(forms.POSITIVE, "$20", "$1,000", "$0.25")
def _more(text: str) -> int:
    nanos = words.amount(text).nanos
    if not nanos:
        raise ValueError(f"{shown(text)} raises nothing; leave the exception out")
    return nanos


@forms.written(r".+", type=["string", "number", "boolean"], maxLength=_PROSE_MAX)
def _prose(text: str) -> str:
    """Text that stands in refusals and in the ledger: one line, not too long."""
    if len(text) > _PROSE_MAX or not text.isprintable():
        raise ValueError(
            f"{shown(text)} is too long or has control characters; at most {_PROSE_MAX} characters on one line"
        )
    return text


@forms.written(forms.INSTANT, "2027-03-31", "2027-03-31T17:00:00+02:00")
def _instant(text: str, zone: str, *, ends: bool) -> int:
    """The start of a day (as an end: of the day after), or an instant with its zone; epoch milliseconds."""
    if (found := _INSTANT.fullmatch(text)) and not _is_offset(found[3]):
        raise ValueError(f"{shown(text)}: no time zone is {found[3]} from UTC; allowed: Z, -12:00 to +14:00")
    try:
        if found:
            return (datetime.fromisoformat(text) - _EPOCH) // _MS
        day = words.day(text)
        return day_starts_ms(zone, day + timedelta(days=1) if ends else day)
    except OverflowError as fault:
        raise ValueError(f"{shown(text)} is too far away") from fault
    except ValueError as fault:
        raise ValueError(
            f"{shown(text)} is neither a day nor an instant with its zone; write it as 2027-03-31 or 2027-03-31T17:00:00+02:00"
        ) from fault


def _is_offset(text: str) -> bool:
    """Whether a zone is so far from UTC: Baker Island's is 12 hours behind, Kiritimati's 14 ahead."""
    if text == "Z":
        return True
    hours, minutes = int(text[1:3]), int(text[4:])
    return minutes < 60 and hours * 60 + minutes <= (14 if text[0] == "+" else 12) * 60
