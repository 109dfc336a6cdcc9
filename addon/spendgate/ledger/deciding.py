"""The hold: standings read, decision taken and its outcome written in one transaction, so that no money falls between."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from msgspec import Struct

from spendgate.admission import Admit, Decision, Wait
from spendgate.flow import Tokens
from spendgate.ledger import holds, moving, uncaptured, waiters
from spendgate.ledger.balances import Balance
from spendgate.ledger.holds import Booking
from spendgate.ledger.interface import CallRow, Decide, Flowing
from spendgate.ledger.known import Known
from spendgate.standing import NO_FLOW, Hold, KindStanding, Scope, Standing


class Asking(Struct, frozen=True):
    """One call that wants to leave, and who decides it."""

    row: CallRow
    scopes: tuple[Scope, ...]
    decide: Decide
    booking: Booking
    known: Known
    is_dead: Callable[[sqlite3.Connection, int], bool]
    """Whether another gate has died, asked only when its waiters stand in line."""
    flowing: Flowing | None = None
    """How rates among the scopes count it; None: no rate does."""


def hold(asking: Asking) -> Decision:
    """Decide the call and write the outcome: an open call, a place in line, or neither."""
    booking, known, call_id, scopes = asking.booking, asking.known, asking.row.id, asking.scopes
    conn = known.conn
    located = known.balances.locate_at(conn, scopes, booking.now_ms)
    kind = known.balances.kind(conn, asking.row.kind)
    place = waiters.NOBODY_WAITS if known.nobody_waits else waiters.place_of(known, call_id)
    standings = _standings(asking, located, place)
    flowing, flows_ms = asking.flowing, 0
    if flowing is not None:
        flows_ms = known.flows.now(conn, flowing, booking.now_ms)
        standings = _with_flow(asking, standings, located, flowing.need, flows_ms)
    decision = asking.decide(standings, KindStanding(kind.value, kind.settled_calls, kind.open_calls))
    if isinstance(decision, Wait):
        _stand(asking, decision, place, located)
        return decision
    if place is not None and place != waiters.NOBODY_WAITS:
        waiters.leave(conn, call_id)
    if isinstance(decision, Admit):
        if tuple([scope for scope, _ in decision.holds]) != scopes:
            raise ValueError("an Admit must hold in each scope that was asked for, in their order")
        holds.open_call(known, asking.row, decision, (scopes, located, kind), booking)
        if flowing is not None and flowing.rates:
            rated = tuple(
                [
                    at.id
                    for at, scope in zip(located, asking.scopes, strict=True)
                    if scope.rate and scope.rate.longest_ms
                ]
            )
            known.flows.admitted(conn, rated, flowing, flows_ms, booking.now_ms)
        for standing in standings:
            if standing.limit is not None and standing.limit.unclaimed:
                _claim(asking, standings, decision)
                break
    return decision


def _standings(asking: Asking, located: list[Balance], place: int | None) -> tuple[Standing, ...]:
    """The balances as they stand now, each with the waiters ahead of this call."""
    known, now_ms = asking.known, asking.booking.now_ms
    ahead = [0] * len(located) if place == waiters.NOBODY_WAITS else _ahead(asking, located, place)
    return tuple([
        Standing(
            scope, at.settled, at.held, at.ceiling, at.open_calls, before, NO_FLOW,
            moving.limit(known, scope, now_ms) if scope.mean is not None or scope.credits else None,
            uncaptured.part(known.conn, at.id, at.edge_ms) if scope.by_bill else 0,
        )
        for at, scope, before in zip(located, asking.scopes, ahead, strict=True)
    ])  # fmt: skip


def _ahead(asking: Asking, located: list[Balance], place: int | None) -> list[int]:
    """Of each balance how many waiters are before this call; dead gates' waiters are dropped."""
    known, now_ms = asking.known, asking.booking.now_ms
    conn = known.conn
    waiters.drop_dead(conn, asking.booking.gate, lambda gate: asking.is_dead(conn, gate))
    return [
        0 if _waits_for_none(known, scope, now_ms) else waiters.ahead(conn, at.id, place, now_ms)
        for at, scope in zip(located, asking.scopes, strict=True)
    ]


def _waits_for_none(known: Known, scope: Scope, now_ms: int) -> bool:
    return scope.tally or moving.has_own(known, scope, now_ms)


def _claim(asking: Asking, standings: tuple[Standing, ...], admit: Admit) -> None:
    """Exceptions that hold for one window have it, where this admission needed them."""
    for standing, (_, hold_nanos) in zip(standings, admit.holds, strict=True):
        if standing.limit is not None and standing.limit.unclaimed:
            by_ceiling = standing.scope.hold is Hold.CEILING
            others = max(standing.held_nanos, standing.ceiling_nanos) if by_ceiling else standing.held_nanos
            taken = standing.settled_nanos + others + hold_nanos
            moving.claim(asking.known, standing.limit, taken, asking.booking.now_ms)


def _with_flow(
    asking: Asking, standings: tuple[Standing, ...], located: list[Balance], need: Tokens, flows_ms: int
) -> tuple[Standing, ...]:
    """The same standings, those of rates with what they have counted."""
    flows = asking.known.flows
    return tuple(
        [
            each
            if each.scope.rate is None
            else at.standing(each.scope, each.ahead, flows.of(each.scope, at.id, need, flows_ms))
            for each, at in zip(standings, located, strict=True)
        ]
    )


def _stand(asking: Asking, wait: Wait, place: int | None, located: list[Balance]) -> None:
    if place is None or place == waiters.NOBODY_WAITS:
        until_ms = asking.booking.now_ms + wait.wait_ms + waiters.GRACE_MS
        place = waiters.take_place(asking.known, asking.row.id, asking.booking.gate, until_ms)
    blocking = (wait.scope, *wait.also)
    lines = [balance.id for balance, scope in zip(located, asking.scopes, strict=True) if scope in blocking]
    waiters.stand(asking.known.conn, place, lines)
