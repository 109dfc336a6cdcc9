"""What of a group's quantity nothing has claimed yet, a claim on it, and what is known around the group.

A claim takes nano-dollars and, where it knows them, tokens and requests out of the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

from msgspec import Struct

from spendgate.reconcile.absence import Times
from spendgate.reconcile.captured import Call
from spendgate.reconcile.decompose import Split
from spendgate.reconcile.facts import Witnessed
from spendgate.reconcile.result import Cause, Confidence
from spendgate.reconcile.vectors import whole

NO_TIMES: Final = Times()


class Claim(Struct, frozen=True):
    """A cause in one group."""

    cause: Cause
    nanos: int
    confidence: Confidence
    evidence: str
    calls: tuple[str, ...] = ()
    requests: int | None = None


class GatewayRows:
    """Tokens and requests of rows of a gateway that no call of the ledger is, until a group has claimed them."""

    def __init__(self, rows: Sequence[tuple[tuple[int, ...], int]] = ()) -> None:
        self._rows = list(rows)

    def __iter__(self) -> Iterator[tuple[tuple[int, ...], int]]:
        return iter(tuple(self._rows))

    def claim(self, row: tuple[tuple[int, ...], int]) -> None:
        """A row is of one group alone."""
        self._rows.remove(row)

    @property
    def counts(self) -> list[int]:
        """Tokens of all of them, by class."""
        return [sum(each) for each in zip(*(counts for counts, _ in self._rows), strict=True)]


NO_ROWS: Final = GatewayRows()


class Around(Struct, frozen=True):
    """What is known around a group beside its two sides."""

    missing: tuple[Witnessed, ...] = ()
    """Requests of this day, model and person that a witness saw and the ledger has not."""
    subcalls: tuple[tuple[Witnessed, Call], ...] = ()
    """Sub-calls of calls that the ledger has, which its counts leave out."""
    times: Times = NO_TIMES
    gateway: GatewayRows = NO_ROWS
    """Of its day and model, shared with other accounts: no row says which of the provider's keys it was billed to."""
    enumerated: bool = False
    """The bill names every request of this day by id."""
    young: bool = False
    """The provider may still be adding to this day."""
    unseen: int = 0
    """Requests of this account and day at paths that are not known."""
    moved: tuple[tuple[Fraction, tuple[int, ...], int, str], ...] = ()
    """Calls near midnight that the bill has on the other day: nano-dollars, tokens, requests (below zero: billed elsewhere)."""


class Rest:
    """What of a group's quantity nothing has claimed yet."""

    def __init__(self, split: Split, also: int) -> None:
        self.nanos = split.quantity - also
        """Less what kinds without counts cost."""
        self.vector = None if split.vector is None else list(split.vector)
        self.requests = split.requests
        self.units, self.mean = split.units, split.mean
        self._charged = split.charged
        self.claims: list[Claim] = []

    def worth(self, counts: Sequence[int], prices: str = "") -> Fraction | None:
        """What these tokens are taken at: those of a call at what it was charged by (`prices`), where that is known."""
        total = Fraction(0)
        own = self._charged.get(prices) or (None,) * len(self.units)
        for place, count in enumerate(counts):
            unit = self.units[place] if own[place] is None else own[place]
            if count and unit is None:
                return None
            total += count * (unit or 0)
        return total

    def holds(self, counts: Sequence[int]) -> bool:
        """Whether the rest has at least these tokens."""
        return self.vector is not None and all(mine >= its for mine, its in zip(self.vector, counts, strict=True))

    def take(
        self, cause: Cause, nanos: Fraction, confidence: Confidence, evidence: str, *, counts: Sequence[int] = (),
        requests: int | None = None, calls: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """Claim."""
        self.nanos -= nanos
        for place, count in enumerate(counts):
            if self.vector is not None:
                self.vector[place] -= count
        if requests is not None and self.requests is not None:
            self.requests -= requests
        self.claims.append(Claim(cause, whole(nanos), confidence, evidence, calls[:100], requests))
