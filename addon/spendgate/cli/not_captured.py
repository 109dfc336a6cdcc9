"""What an import's days have and no call of the ledger: counted when it is taken in, and brought to the budgets that want it."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import fields, replace
from typing import Final

from msgspec import structs

from spendgate.cli import granted, in_force
from spendgate.cli.account import own_account
from spendgate.cli.output import note
from spendgate.config import paths
from spendgate.errors import StateError
from spendgate.gate import billed
from spendgate.ledger.periods import PERIODS, period_of
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.ledger.spending import Spend
from spendgate.ledger.statements import StatementBook
from spendgate.ledger.uncaptured import Uncaptured
from spendgate.money import dollars, short_dollars
from spendgate.policy import Policy
from spendgate.reconcile.bills import BilledDay
from spendgate.reconcile.facts import Facts, Person
from spendgate.reconcile.no_counts import nothing_missing
from spendgate.reconcile.run import Options
from spendgate.reconcile.uncaptured import uncaptured
from spendgate.statement import DAY_MS
from spendgate.window import zone_of

_ALWAYS_MS: Final = 2**62
_TRIES: Final = 8
"""Comparisons before it is told that others import all the time."""
_FIGURES: Final = len([each for each in fields(Spend) if each.name != "key"])


def counted(found: paths.State, facts: Facts, span: tuple[int, int]) -> str:
    """Compare the closed days of `span` with the calls, and say what is billed and in no call. Raises StateError.

    A running gate counts it in its budgets by itself, as soon as it looks; it is brought to them here all the same, so that
    `status` is right at once, and where no gate runs.
    """
    for _ in range(_TRIES):
        told = _counted_once(found, facts, span)
        if told is not None:
            return told
    raise StateError(
        f"other imports came in during each of {_TRIES} comparisons: what this one has beside the calls is not counted yet. "
        "It is taken in; import it again, once the others are done, to count it"
    )


def _counted_once(found: paths.State, facts: Facts, span: tuple[int, int]) -> str | None:
    """None, and nothing is counted: another import or count came in between, which this comparison has not seen."""
    now_ms = time.time_ns() // 1_000_000
    with StatementBook(found.ledger) as book:
        upto = book.upto()
    with closing(Reader(found.ledger)) as reader:
        # Of days whose calls are sums by now no call could be found: what was said of them stays.
        since_ms = max(span[0], reader.purged_until_ms() or 0)
        span = -(-since_ms // DAY_MS) * DAY_MS, span[1] // DAY_MS * DAY_MS
        if span[0] >= span[1]:
            return "the calls of all its days are sums by now (privacy.keep): what it has beside them is not known"
        policy = granted.shown(found, in_force.policy(found), reader, now_ms)
        many = bool(reader.sources())
        cells, days = uncaptured(reader, Options(*span, now_ms), people_of(policy, facts))
    with StatementBook(found.ledger) as book:
        if not book.count(span, cells, own_account(), now_ms, upto):
            return None
        if policy.by_bill and not many:
            book.charge(billed.counted(policy, now_ms), billed.scopes_of(policy))
    if not days:
        return "none of its days is closed, or it is no bill of single days: what it has and no call is not known"
    told = "no budget of many ledgers counts it" if many else _budgets(policy)
    nanos = sum(each.nanos for each in cells)
    return _told(told, nanos, sum(1 for each in cells if not each.person)) if nanos else _nothing(days)


def tell_uncounted(reader: Reader) -> None:
    """Name imports that no comparison has seen, on stderr: the command was killed before it, or gave up."""
    for each in reader.uncounted():
        note(
            f"import {each.name} ({each.origin}) was taken in and never compared with the calls, as where the command was killed:"
            " what it has beside them is in no budget and not in `spend`. Import the same again to count it"
        )


def of_span(reader: Reader, asked: Span, policy: Policy) -> tuple[Uncaptured, ...]:
    """What counts in this span and has these attributes: what is not known of it fits the empty one alone."""
    since_ms, until_ms = asked.since_ms or 0, _ALWAYS_MS if asked.until_ms is None else asked.until_ms
    found = []
    for cell in reader.uncaptured():
        if since_ms <= cell.booked_ms < until_ms:
            known = _attributes(cell, policy)
            if all((known.get(name) or "") == value for name, value in asked.where):
                found.append(cell)
    return tuple(found)


def beside(
    totals: tuple[Spend, ...], by: tuple[str, ...], cells: tuple[Uncaptured, ...], policy: Policy
) -> tuple[tuple[Spend, ...], str]:
    """The totals with what bills have of each group and no call, groups without any call at their end; and what is said of it."""
    zone, groups = zone_of(policy.timezone), {total.key: total for total in totals}
    for cell in cells:
        known = _attributes(cell, policy)
        key = tuple(
            known.get(name)
            if name not in PERIODS
            else None if name == "hour" else period_of(name, cell.booked_ms, zone, policy.week_starts)
            for name in by
        )  # fmt: skip
        one = groups.get(key) or Spend(key, *[0] * _FIGURES)
        groups[key] = replace(one, not_captured_nanos=one.not_captured_nanos + cell.nanos)
    if not cells:
        return totals, ""
    days = len({cell.day_ms for cell in cells})
    imports = ", ".join(sorted({name for cell in cells for name in cell.imports}))
    nanos = sum(cell.nanos for cell in cells)
    told = (
        f"billed, not captured here: {short_dollars(nanos)} of {days} day{'s' if days > 1 else ''} (import {imports})"
    )
    return tuple(groups.values()), f"{told}; it is in no other figure"


def _attributes(cell: Uncaptured, policy: Policy) -> dict[str, str | None]:
    """By the words that calls are grouped by; None: not known."""
    person = next((each for each in policy.roster.people if each.name == cell.person), None)
    known = {
        "person": cell.person,
        "provider": cell.provider,
        "model": cell.model,
        "tool": cell.tool,
        "api_key": cell.api_key,
    }
    return {
        **{name: value or None for name, value in known.items()},
        "team": person.team if person is not None else None,
    }


def people_of(policy: Policy, facts: Facts) -> Facts:
    """What a map says, and the e-mail addresses of the people whom the policy lists."""
    listed = tuple(Person(each.name, (each.email,)) for each in policy.roster.people if each.email)
    return structs.replace(facts, people=(*listed, *facts.people))


def _budgets(policy: Policy) -> str:
    return "budgets with `counts: billed` have it" if policy.by_bill else "no budget counts it (`counts: billed`)"


def _nothing(days: tuple[BilledDay, ...]) -> str:
    return f"{nothing_missing(days)}; whether the amounts agree, `spendgate reconcile report` says"


def _told(where: str, nanos: int, unknown: int) -> str:
    of_nobody = f"; {unknown} of these amounts name nobody whom this ledger knows (--map)" if unknown else ""
    beside = "with every other import of these days"
    return f"{beside}, billed on its closed days, not captured here: {dollars(nanos)}; {where}{of_nobody}"
