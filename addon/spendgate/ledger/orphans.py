"""The calls of a gate that has died: each is ended once, by whichever gate takes the dead one's lock.

A call whose head never went upstream is released as `failed`. One that was sent is `interrupted` and charged: under
`ceiling` what was held; under `expected` what had been streamed (the last correction of its hold), else the median that
calls of its kind are known to need, also where its hold was cut down to what was left, else its bound, but no more than
was held. It is never free.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from spendgate.ledger import endings, waiters
from spendgate.ledger.interface import Settlement
from spendgate.ledger.known import Known
from spendgate.selector import PLAN
from spendgate.standing import Hold
from spendgate.usage import Usage


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of dead gates' calls."""

    gates: int = 0
    released: int = 0
    interrupted: int = 0

    def __add__(self, other: Resolved) -> Resolved:
        return Resolved(self.gates + other.gates, self.released + other.released, self.interrupted + other.interrupted)


@dataclass(frozen=True, slots=True)
class _Orphan:
    id: str
    sent_ms: int | None
    estimate_nanos: int | None
    ceiling_nanos: int | None
    typical_nanos: int | None
    resized: int | None
    billing: str

    def charge(self, hold_nanos: int, mode: str) -> int:
        """What one balance is charged; nothing where nothing was held (subscription traffic)."""
        if self.sent_ms is None:
            return 0
        if mode == Hold.CEILING or self.resized or hold_nanos == 0:
            return hold_nanos
        if self.typical_nanos is not None:
            return self.typical_nanos
        likely = self._likely()
        return hold_nanos if likely is None else min(likely, hold_nanos)

    def value(self) -> int:
        """What such a call is likely to cost at list price."""
        return 0 if self.sent_ms is None else self._likely() or 0

    def _likely(self) -> int | None:
        """A hold is no measure where anything is known: of a cold call it may be a share of the budget."""
        guesses = (self.typical_nanos, self.ceiling_nanos, self.estimate_nanos)
        return next((guess for guess in guesses if guess is not None), None)


_COLUMNS = tuple(field.name for field in fields(_Orphan))
_OPEN = f"""SELECT {", ".join(_COLUMNS)} FROM call_rows WHERE state = 'open' AND gate = ?
    AND seq > (SELECT from_seq FROM gates WHERE gates.id = ?)"""  # noqa: S608 - our own words


def resolve(known: Known, gate: int, now_ms: int) -> Resolved:
    """End all open calls of a dead gate, drop its waiters, close its row. The caller holds its lock."""
    orphans = [_Orphan(*values) for values in known.conn.execute(_OPEN, (gate, gate))]
    for orphan in orphans:
        _end(known, orphan, now_ms)
    waiters.vanish(known.conn, gate)
    known.conn.execute("UPDATE gates SET ended = 1 WHERE id = ?", (gate,))
    released = sum(orphan.sent_ms is None for orphan in orphans)
    return Resolved(1, released, len(orphans) - released)


def _end(known: Known, orphan: _Orphan, now_ms: int) -> None:
    call = known.call(orphan.id)
    if call is None:
        return
    charges = [orphan.charge(hold.nanos, hold.mode) for hold in call.holds]
    # A personal account's call has been sized as nothing where it is ignored.
    cost = 0 if orphan.billing == PLAN else max(charges, default=orphan.value())
    end = _settlement(orphan, cost, now_ms)
    endings.finish(known, call, end, costs=charges, unheld=endings.NOTHING_UNHELD)


def _settlement(orphan: _Orphan, cost_nanos: int, now_ms: int) -> Settlement:
    sent = orphan.sent_ms is not None
    basis = "ceiling" if cost_nanos == orphan.ceiling_nanos else "estimated"
    return Settlement(
        state="interrupted" if sent else "failed",
        basis=basis if sent else None,
        usage=Usage(),
        cost_nanos=cost_nanos,
        value_nanos=max(cost_nanos, orphan.value()),
        charges=(),
        ended_ms=now_ms,
        flags=("orphan",),
    )
