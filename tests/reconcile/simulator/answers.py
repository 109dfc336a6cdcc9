"""What a month's books differ by, and why: exactly, by cause, provider and day. What an explainer is measured against.

The convention is that of the decomposition in the facts: counts at the ledger's prices, prices at the billed counts, a discount
last and on all that is in scope (what is not, is told as it is billed), and what a provider's rounding of lines adds by itself.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from msgspec import Struct

from reconcile.simulator.bill import Bill, bills
from reconcile.simulator.books import Entry, Request, Row
from reconcile.simulator.month import Month
from reconcile.simulator.prices import PARTS, PLAIN, Factor, Price, parts_of, times
from spendgate.reconcile.result import Cause
from spendgate.statement import DAY_MS, TokenClass

Place = tuple[Cause, str, int]
"""Cause, provider and UTC day."""
Cell = tuple[int, str, str, str, str, str]
"""Day, provider, key, model, tier and speed, as the bill has them."""
GATEWAY: Final = "gateway"
OUT_OF_SCOPE: Final = frozenset({Cause.SCOPE_KEY, Cause.SCOPE_PRODUCT, Cause.SCOPE_KEYLESS, Cause.GATEWAY_LEG})
"""Told whole, at whatever prices."""
NET: Final = OUT_OF_SCOPE | {Cause.REVISION}
"""Told after discounts, of which none is then told for it: what is out of scope, and how much a newer bill has more."""


class Answer(Struct, frozen=True):
    """Both totals and all that lies between them, in parts of a nano-dollar where not said otherwise."""

    billed_nanos: int
    captured_nanos: int
    gateway_nanos: int
    """The part of `captured_nanos` that went through a gateway."""
    places: dict[Place, int]

    @property
    def causes(self) -> dict[Cause, int]:
        """By cause alone; those that come to nothing too, since each of their places may be something."""
        found: dict[Cause, int] = defaultdict(int)
        for (cause, _, _), parts in self.places.items():
            found[cause] += parts
        return dict(found)

    @property
    def off_parts(self) -> int:
        """The gap less its causes: zero, or the simulator is wrong."""
        return (self.billed_nanos - self.captured_nanos) * PARTS - sum(self.places.values())


def answer(month: Month) -> Answer:
    """The books compared by whoever wrote both."""
    places: dict[Place, int] = defaultdict(int)
    captured = gateway = 0
    rates = _rates(month)
    for each in month.requests:
        row = each.row if each.row is not None and _inside(month, each.row.started_ms) else None
        entry = each.entry if each.entry is not None and _inside(month, each.entry.at_ms) else None
        if row is not None:
            captured += row.cost_nanos
            gateway += row.cost_nanos if row.billing == GATEWAY else 0
            places[Cause.FX_ROUNDING, row.provider, row.day_ms] += row.parts - row.cost_nanos * PARTS
        _compare(places, rates, each, row, entry)
        if each.why in NET and entry is not None:
            _net(places, each, entry, month.discounts.get(entry.provider, PLAIN))
    made = bills(month)
    for line, cause in month.lines:
        places[cause, line.provider, line.starts_ms // DAY_MS * DAY_MS] += (line.billed_nanos or 0) * PARTS
    for bill in made:
        _lines(places, bill)
    billed = sum(each.line.billed_nanos or 0 for bill in made for each in bill.written if each.line.billed == "metered")
    kept = {place: parts for place, parts in places.items() if parts}
    return Answer(billed, captured, gateway, kept)


def _inside(month: Month, ms: int) -> bool:
    return month.from_ms <= ms < month.until_ms


def _rates(month: Month) -> dict[Cell, dict[TokenClass, tuple[Price, Factor]]]:
    """By cell the ledger's price of each class that it has counts of there."""
    found: dict[Cell, dict[TokenClass, tuple[Price, Factor]]] = defaultdict(dict)
    for each in month.requests:
        row, entry = each.row, each.entry
        if row is not None and row.price is not None and entry is not None and row.day_ms == entry.day_ms:
            for name in parts_of(row.usage, row.price, row.factor):
                found[_cell(entry)][name] = row.price, row.factor
    return found


def _cell(entry: Entry) -> Cell:
    return entry.day_ms, entry.provider, entry.key or (entry.person or ""), entry.model, entry.tier, entry.speed


def _at_ledgers_price(entry: Entry, rates: dict[TokenClass, tuple[Price, Factor]]) -> int:
    """What the ledger would have charged, class by class, as far as it shows a price; else what is billed."""
    parts = entry.search_parts
    for name, listed in entry.classes.items():
        rate = rates.get(name)
        parts += listed if rate is None else parts_of(entry.usage, *rate)[name]
    return parts


def _compare(
    places: dict[Place, int],
    rates: dict[Cell, dict[TokenClass, tuple[Price, Factor]]],
    each: Request,
    row: Row | None,
    entry: Entry | None,
) -> None:
    why = each.why
    if each.earlier is not None and entry is not None and why is not None:
        places[why, entry.provider, entry.day_ms] += entry.parts - each.earlier.parts
        why, entry = None, each.earlier
    listed, cost = (0 if entry is None else entry.parts), (0 if row is None else row.parts)
    if each.price_why is not None and entry is not None and entry.parts and each.why not in OUT_OF_SCOPE:
        middle = entry.at_price_of(row) if row is not None else None
        if middle is None:
            middle = _at_ledgers_price(entry, rates.get(_cell(entry), {}))
        places[each.price_why, entry.provider, entry.day_ms] += listed - middle
        listed = middle
    if why is None:
        if listed != cost:
            raise ValueError(f"nothing says why {row} and {entry} differ")
        return
    if entry is not None:
        places[why, entry.provider, entry.day_ms] += listed
    if row is not None:
        places[why, row.provider, row.day_ms] -= cost


def _net(places: dict[Place, int], each: Request, entry: Entry, discount: Factor) -> None:
    """Of a revision, what it has changed; else all of it."""
    listed = sum(entry.classes.values()) - (0 if each.earlier is None else sum(each.earlier.classes.values()))
    less = times(listed, discount) - listed
    if each.why is not None and entry.parts:
        places[each.why, entry.provider, entry.day_ms] += less
        places[Cause.DISCOUNT, entry.provider, entry.day_ms] -= less


def _lines(places: dict[Place, int], bill: Bill) -> None:
    for each in bill.written:
        day_ms = each.line.starts_ms // DAY_MS * DAY_MS
        places[Cause.DISCOUNT, bill.provider, day_ms] += each.billed_parts - each.list_parts
        places[Cause.FX_ROUNDING, bill.provider, day_ms] += each.rounding_parts
