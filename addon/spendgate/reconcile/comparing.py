"""The comparison itself: both sides folded into groups, and what explains the gap of each."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from spendgate.reconcile.assembling import Assembled, assemble
from spendgate.reconcile.bills import Bill
from spendgate.reconcile.captured import Call
from spendgate.reconcile.explaining import Explaining
from spendgate.reconcile.facts import Facts, Role
from spendgate.reconcile.folding import Captured
from spendgate.reconcile.gateway_logs import lower_than_billed, no_key_is_its_own
from spendgate.reconcile.groups import GroupKey
from spendgate.reconcile.no_counts import not_told_apart, witnesses_unheard
from spendgate.reconcile.result import Finding


class Compared(Struct, frozen=True):
    """All that a result is made of."""

    bill: Bill
    captured: Captured
    assembled: Assembled
    findings: tuple[Finding, ...]
    scoped: frozenset[GroupKey]
    """Groups that are out of scope as a whole."""
    notes: tuple[str, ...] = ()
    """What is to be said of bills beside logs."""
    about: frozenset[tuple[str, str]] | None = None
    """Only these accounts of providers; None: all."""


def compare(calls: Iterable[Call], bill: Bill, facts: Facts, now_ms: int, boundary_ms: int) -> Compared:
    """Compare. `calls` are read once."""
    captured = Captured(
        frozenset((day.provider, day.day_ms) for day in bill.days if day.tells_use),
        frozenset(name for day in bill.days for line in day.lines for name in (line.response_id, line.request_id) if name),
        frozenset(name for seen in facts.witnessed for name in (seen.response_id, seen.request_id) if name)
        | frozenset(name for line in bill.gateway for name in (line.response_id, line.request_id) if name),
        frozenset(facts.gateway_hosts), boundary_ms=boundary_ms, bucket_ms=bill.bucket_ms,
        by_gateways=_by_gateways(bill, facts),
        begins={at: one.period.from_ms for one in bill.sums for at in one.period.days},
    )  # fmt: skip
    captured.take_all(calls)
    assembled = assemble(bill, captured, facts)
    explaining = Explaining(bill, captured, assembled, facts, now_ms)
    found, scoped = explaining.all()
    notes = (
        *lower_than_billed(bill, assembled), *no_key_is_its_own(captured, assembled, facts, found),
        *witnesses_unheard(bill, captured, facts), *not_told_apart(explaining.not_told_apart, bill),
    )  # fmt: skip
    return Compared(bill, captured, assembled, tuple(found), frozenset(scoped), notes)


def _by_gateways(bill: Bill, facts: Facts) -> dict[str, frozenset[str]]:
    """By provider that bills a gateway by a key of its own: the requests that gateways say they asked for."""
    asked = frozenset(name for line in bill.gateway for name in (line.response_id, line.request_id) if name)
    return {each.provider: asked for each in facts.keys if each.role is Role.GATEWAY}
