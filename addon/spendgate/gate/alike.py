"""Results of one reader, model and price that differ in their counts alone, as nearly all of a batch do: what they have in common
is found once.

The first is priced in full (`charging`). Where that came out as the plain list price, charged whole to each of its budgets, so
it does for every other one like it, by its own counts. What is different in any way is priced in full. Pure.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from spendgate.gate.ending import Ending
from spendgate.gate.plausible import can_be, most_tokens
from spendgate.ledger.interface import CallRow, Counted, Settlement
from spendgate.pricing import Charge, PriceBook, Quote, utc
from spendgate.providers.reading import Part, Reading
from spendgate.standing import Scope
from spendgate.written import written_once

Sign = tuple[object, ...]
"""All of a plain result that its price depends on, but the counts."""


class Alike(Struct, frozen=True):
    """What plain results of one sign have in common."""

    row: CallRow
    """Of each, but for the id."""
    end: Settlement
    """The first one's: all but what is `Counted` is every one's."""
    scopes: tuple[Scope, ...]
    quote: Quote
    tokens_most: int

    def at(self, now_ms: int) -> Alike:
        """The same of others that are read a moment later, in the same windows and at the same prices."""
        row, end = replace(self.row, started_ms=now_ms), replace(self.end, ended_ms=now_ms)
        return replace(self, row=row, end=end)

    def counted(self, result_id: str, part: Part, reading: Reading) -> Counted | None:
        """What `charging.settled` would say of another one that is not every one's; None: that must say it."""
        usage = part.usage
        if not can_be(usage, self.tokens_most):
            return None
        charge = self.quote.of(usage)
        nanos = charge.nanos
        return Counted(result_id, usage, nanos, written_once(reading.response_id), charge.source) if nanos else None


def plain(reading: Reading) -> Part | None:
    """The only sampling of a result that says nothing but its final counts; None: it says more."""
    said = (
        reading.free or reading.flags or reading.stated_cost_nanos is not None or reading.output_bytes
        or reading.background or reading.account or reading.request_id or reading.overage
    )  # fmt: skip
    if said or not reading.final or len(reading.parts) != 1:
        return None
    part = reading.parts[0]
    return part if part.usage.known and not part.units else None


def sign_of(part: Part, reading: Reading) -> Sign:
    """Of a plain one."""
    return reading.model, part.model, part.geo, *part.context.items()


def alike(ending: Ending, part: Part, row: CallRow, end: Settlement, prices: PriceBook) -> Alike | None:
    """What others like this plain result have in common with it, which was priced in full; None: each must be so, too."""
    terms, nanos = ending.asked.terms, end.cost_nanos
    # Its flags (a tier without a price of its own) come from its sign: one that says more of itself is no plain one.
    if terms.changes or not nanos or (end.state, end.basis) != ("settled", "reported"):
        return None
    if any(charged != nanos for _, charged in (*end.charges, (None, end.value_nanos))):
        return None
    model, at = part.model or ending.reading.model, utc(ending.booked_ms)
    quote = prices.quote(terms.priced_by, model, at=at, context=part.context, geo=part.geo)
    if quote is None or quote.of(part.usage) != Charge(nanos, end.prices or ""):
        return None
    return Alike(row, end, tuple([scope for scope, _ in end.charges]), quote, most_tokens(ending.asked))
