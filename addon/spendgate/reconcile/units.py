"""What tokens cost the ledger: what one of each class costs, by provider, model, price and day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from spendgate.reconcile.groups import Group
from spendgate.reconcile.kinds import Kind
from spendgate.reconcile.naming import Price
from spendgate.reconcile.prices import Prices, Row, Units


def units_of(groups: Iterable[Group], prices: Prices) -> dict[tuple[str, str, str, int], Units | None]:
    """What tokens cost the ledger, by provider, model, price and day: one price for as many days as it makes the amounts of."""
    rows: dict[tuple[str, str, str], dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for group in groups:
        for (_, text), kinds in group.parts.items():
            part = kinds.get(Kind.COUNTED)
            if part is not None and any(part.counts) and part.cost:
                rows[group.key.provider, group.key.model, text][group.key.day_ms].append(
                    (tuple(part.counts), part.cost, part.rows)
                )
    found: dict[tuple[str, str, str, int], Units | None] = {}
    for (provider, model, text), days in sorted(rows.items()):
        every = [row for _, its in sorted(days.items()) for row in its]
        one = prices.units(provider, model, text, min(days), every)
        for day_ms, its in days.items():
            found[provider, model, text, day_ms] = one or prices.units(provider, model, text, day_ms, its)
    return found


def known_units(
    groups: Iterable[Group], units: dict[tuple[str, str, str, int], Units | None]
) -> dict[tuple[str, str], dict[Price, Units]]:
    """By provider and model what tokens cost at each of its prices, as the last day shows it."""
    found: dict[tuple[str, str], dict[Price, Units]] = defaultdict(dict)
    for group in groups:
        key = group.key
        for price, text in group.parts:
            its = units.get((key.provider, key.model, text, key.day_ms))
            if its is not None:
                found[key.provider, key.model][price] = its
    return found
