"""Calls that are under way: what they hold, and how a stream's own counts correct it.

Before the first counts a hold is what calls of the kind need; from then on it is what was counted, plus the output still to be
expected, and twice the output once that is more. Holds by ceiling are left alone: they already cover the most.
"""

from __future__ import annotations

from dataclasses import dataclass

from spendgate.gate.asked import Asked
from spendgate.gate.billing import Bill
from spendgate.ledger.interface import Flowing
from spendgate.standing import Hold, Scope, Size, Standing

_MILLION = 1_000_000
_MARGIN_NUM, _MARGIN_DEN = 9, 10
"""A hold grows when this share of it is used."""


@dataclass(slots=True)
class Running:
    """One admitted call."""

    asked: Asked
    size: Size
    holds: tuple[tuple[Scope, int], ...]
    booked_ms: int
    flags: tuple[str, ...] = ()
    counted: bool = False
    """Whether a stream's own input counts have corrected the hold."""
    left: bool = False
    """Its row says `sent` since its hold."""
    late: bool = False
    """It left without the ledger, which hears of it later."""
    remembered_nanos: int = 0
    """What `fallback` counts for a late one."""
    flowing: Flowing | None = None
    """How its rates have counted it."""

    @property
    def cut(self) -> bool:
        """Whether some budget allows its stream to be ended."""
        return any(scope.cut and scope.enforced for scope, _ in self.holds)

    @property
    def adjustable_nanos(self) -> int:
        """The largest hold that counts can correct."""
        return max((nanos for scope, nanos in self.holds if scope.hold is Hold.EXPECTED), default=0)


def corrected(call: Running, so_far: Bill, input_known: bool) -> int | None:
    """What the call should hold now, in nano-dollars; None: its holds still fit."""
    held = call.adjustable_nanos
    output = min(so_far.nanos, (so_far.usage.output_tokens or 0) * call.asked.terms.rates.output // _MILLION)
    first = input_known and not call.counted
    if not first and so_far.nanos * _MARGIN_DEN <= held * _MARGIN_NUM:
        return None
    expected = call.size.output_nanos or 0
    wanted = so_far.nanos - output + max(2 * output, expected)
    return wanted if first else max(wanted, held)


def resized(call: Running, nanos: int) -> tuple[tuple[Scope, int], ...]:
    """The call's holds with those under `expected` set to `nanos`."""
    return tuple((scope, nanos if scope.hold is Hold.EXPECTED else held) for scope, held in call.holds)


def gone_over(call: Running, standings: tuple[Standing, ...]) -> tuple[Scope, int] | None:
    """The budget with `cut` that these holds pass, and by how much; the worst one."""
    over = [
        (standing.scope, standing.settled_nanos + standing.held_nanos - standing.limit_nanos)
        for standing in standings
        if standing.scope.cut and standing.scope.enforced
    ]
    return max((each for each in over if each[1] > 0), key=lambda each: each[1], default=None)
