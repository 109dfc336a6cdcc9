"""What of a group's quantity each cause can claim, strongest evidence first; what none can claim stays.

Claims by id or by counts that fit the rest token for token are taken whole (`evidenced`). What is left between calls that were
captured without counts and requests that were not captured at all is shared by what each would usually cost (`shared_out`).
"""

from __future__ import annotations

from fractions import Fraction

from spendgate.plural import counted
from spendgate.reconcile.decompose import Split
from spendgate.reconcile.evidenced import (
    at_their_price,
    by_moment,
    notional_use,
    searches,
    subcalls_seen,
    through_gateway,
    witnessed,
    written_longer,
)
from spendgate.reconcile.folding import Part
from spendgate.reconcile.groups import Group
from spendgate.reconcile.kinds import Kind
from spendgate.reconcile.moments import pairs
from spendgate.reconcile.rest import Around, Claim, Rest
from spendgate.reconcile.result import Cause, Confidence
from spendgate.reconcile.shared_out import by_kind
from spendgate.reconcile.vectors import whole


def claims(group: Group, split: Split, around: Around) -> list[Claim]:
    """Who claims what of the group's quantity, with what its kinds without counts cost taken into account."""
    parts = {kind: group.kind(kind) for kind in Kind}
    own = sum(parts[kind].cost for kind in (Kind.UNREAD, Kind.ESTIMATED))
    rest = Rest(split, own)
    strong = Confidence.EXACT if group.key.match else Confidence.RESIDUAL
    for nanos, counts, number, call in around.moved:
        told = "a call within minutes of midnight: captured on one day, billed on the other"
        rest.take(Cause.CUTOFF, nanos, Confidence.RESIDUAL, told, counts=counts, requests=number, calls=(call,))
    paired = pairs(group)
    if paired is not None:
        by_moment(paired, rest, around)
        return rest.claims
    notional_use(group, rest)
    subcalls_seen(rest, around)
    witnessed(rest, around)
    through_gateway(rest, around)
    written_longer(rest, sum(part.assumed for part in parts.values()))
    at_their_price(rest)
    searches(rest)
    by_kind(group, rest, parts, around, strong)
    _over(rest, parts, around, strong, group.key.match)
    return rest.claims


def _over(rest: Rest, parts: dict[Kind, Part], around: Around, strong: Confidence, group_match: str) -> None:
    """Captured, and not on the bill."""
    if rest.nanos >= 0:
        return
    errored = parts[Kind.ERRORED]
    cost = errored.cost
    if cost and (whole(-rest.nanos) >= cost or (rest.requests is not None and -rest.requests == errored.calls)):
        told = f"charged, and ended with an error after that: {counted(errored.calls, 'call')}; the bill has none"
        rest.take(
            Cause.CAPTURED_NOT_BILLED, Fraction(max(-cost, whole(rest.nanos))), strong, told,
            calls=tuple(errored.ids), requests=-errored.calls,
        )  # fmt: skip
    if rest.nanos < 0 and around.enumerated and not around.young and not group_match:
        told = "the bill names each request of the day by its id, and these are not among them"
        ids = tuple(each for part in parts.values() for each in part.ids)
        rest.take(Cause.CAPTURED_NOT_BILLED, rest.nanos, Confidence.EXACT, told, requests=rest.requests, calls=ids)
    if rest.nanos < 0 and not around.young and rest.requests is not None and rest.requests < 0:
        told = f"not on the bill, though the provider's delay for this day is over: {counted(-rest.requests, 'call')}"
        rest.take(Cause.CAPTURED_NOT_BILLED, rest.nanos, Confidence.RESIDUAL, told, requests=rest.requests)
    if rest.nanos < 0 and around.young:
        told = "captured, and the provider's data for this day were younger than its own delay when they were read"
        rest.take(Cause.LATE_DATA, rest.nanos, Confidence.RESIDUAL, told, requests=rest.requests)
