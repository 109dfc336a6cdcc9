"""Seats in `status` and `spend`: how much of what a plan includes each person has used, as far as it was seen here."""

from __future__ import annotations

from typing import Final

from spendgate.cli.output import Column
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.ledger.spending import Spend
from spendgate.money import short_dollars
from spendgate.policy import Policy
from spendgate.seats import InUse, Traffic, Used, in_use, running, used
from spendgate.selector import PLAN, Facts
from spendgate.window import zone_of

_BY: Final = ("person", "team", "machine", "tool", "provider", "model", "session", "api_key", "account", "project")
"""What a seat's `match` may go by, but for groups, which the policy tells."""

COLUMNS: Final = (
    Column("seat", "seat", weight=0),
    Column("person", "for", weight=0),
    Column("used", "used, at list price", right=True, weight=0),
    Column("included", "included", right=True, weight=1),
    Column("share", "share", right=True, weight=2),
    Column("calls", "calls", right=True, weight=3),
    Column("window", "in", weight=2),
)


def of_everybody(
    policy: Policy, reader: Reader, now_ms: int, where: tuple[tuple[str, str], ...] = ()
) -> tuple[tuple[InUse, tuple[Used, ...]], ...]:
    """Each seat of the policy, and who has used it in the window that runs, by the calls with these attributes."""
    found = []
    for seat in policy.billing.seats:
        span = Span(since_ms=running(policy, seat, now_ms).starts_ms, where=(("billing", PLAN), *where))
        kinds = reader.spend(_BY, span, zone_of(policy.timezone))
        people = used(policy, seat, now_ms, [_traffic(policy, kind) for kind in kinds if kind.calls])
        found.append((in_use(policy, seat, now_ms, people), people))
    return tuple(found)


def _traffic(policy: Policy, kind: Spend) -> Traffic:
    values = dict(zip(_BY, kind.key, strict=True))
    person, team = values["person"] or "", policy.roster.team_by_name.get(values["team"] or "")
    listed = next((each for each in policy.roster.people if each.name == person), None)
    machines = tuple(group.name for group in policy.roster.machine_groups(values["machine"] or ""))
    named = {name: value for name, value in values.items() if name not in ("team", "model")}
    facts = Facts.of(
        **named,
        model=values["model"],
        team=team.lineage if team else values["team"],
        group=listed.groups if listed else (),
        machine_group=machines,
        billing=PLAN,
    )
    return Traffic(person, facts, kind.calls, kind.value_nanos)


def row(each: Used) -> dict[str, object]:
    """One person's use for programs. `share` is in whole percent, rounded down."""
    included = each.seat.included_nanos
    return {
        "seat": each.seat.name,
        "person": each.person,
        "window": each.window,
        "calls": each.calls,
        "value_nanos": each.value_nanos,
        "included_nanos": included,
        "share": f"{100 * each.value_nanos // included}%" if included else None,
        "resets_ms": each.ends_ms,
    }


def shown(each: Used) -> dict[str, object]:
    """The same for people."""
    included = each.seat.included_nanos
    return {
        **row(each),
        "used": short_dollars(each.value_nanos),
        "included": None if included is None else f"{short_dollars(included)} per {each.seat.window.name}",
    }


def summary(each: InUse) -> dict[str, object]:
    """A seat over everybody, for programs."""
    return {
        "seat": each.seat.name,
        "window": each.window,
        "in_use": each.people,
        "price_nanos": each.seat.price_nanos,
        "price_in_use_nanos": each.price_nanos,
        "included_nanos": each.seat.included_nanos,
        "calls": each.calls,
        "value_nanos": each.value_nanos,
    }


def line(each: InUse) -> str:
    """`max: 3 in use in 2026-11, $600.00 per month; $412.10 of calls at list price went through them here`."""
    if not each.people:
        return f"{each.seat.name}: nobody was seen to use it in {each.window}"
    return (
        f"{each.seat.name}: {each.people} in use in {each.window}, {short_dollars(each.price_nanos)} per "
        f"{each.seat.window.name}; {short_dollars(each.value_nanos)} of calls at list price went through here"
    )
