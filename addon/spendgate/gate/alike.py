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
from spendgate.ledger.interface import CallRow, Settlement
from spendgate.pricing import Charge, PriceBook, Quote, utc
from spendgate.providers.interface import Part, Reading
from spendgate.standing import Scope
from spendgate.written import written_once

Sign = tuple[object, ...]
"""All of a plain result that its price depends on, but the counts."""


class Alike(Struct, frozen=True):
    """What plain results of one sign have in common."""

    row: CallRow
    """Of each, but for the id."""
    first: Settlement
    scopes: tuple[Scope, ...]
    quote: Quote
    tokens_most: int

    def settled(self, part: Part, reading: Reading) -> Settlement | None:
        """What `charging.settled` gives for another one; None: that must say."""
        usage = part.usage
        if not can_be(usage, self.tokens_most):
            return None
        charge = self.quote.of(usage)
        nanos = charge.nanos
        if not nanos:
            return None
        return replace(
            self.first,
            usage=usage,
            cost_nanos=nanos,
            value_nanos=nanos,
            charges=tuple([(scope, nanos) for scope in self.scopes]),
            response_id=written_once(reading.response_id),
            prices=charge.source,
        )


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
