"""How a call ended: all that its settlement rests on."""

from __future__ import annotations

from msgspec import Struct

from spendgate.gate.asked import Asked
from spendgate.gate.interface import End
from spendgate.gate.terms import Terms
from spendgate.providers.reading import Reading
from spendgate.standing import Hold, Scope, Size


class Ending(Struct, frozen=True):
    """How a call ended, with all that its settlement rests on."""

    asked: Asked
    size: Size
    holds: tuple[tuple[Scope, int], ...]
    booked_ms: int
    reading: Reading
    end: End
    since: Terms | None = None
    """The same call under the policy that took force while it ran: its budgets, too, are charged by the model that answered."""

    @property
    def state(self) -> str:
        """The ledger's word for it."""
        return "settled" if self.end.complete else "interrupted"

    @property
    def held_nanos(self) -> int:
        """The largest hold that was sized by expectation."""
        return max((nanos for scope, nanos in self.holds if scope.hold is Hold.EXPECTED), default=0)

    def bounded(self, held_nanos: int) -> int:
        """So much of a hold as the call can cost, as far as that is known."""
        bound = self.size.bound_nanos
        return held_nanos if bound is None else min(held_nanos, bound)
