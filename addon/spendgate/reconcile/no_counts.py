"""Bills of money alone: what cannot be said beside one, and which other download of the same place tells it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from spendgate.money import dollars
from spendgate.plural import counted
from spendgate.reconcile.bills import Bill, BilledDay
from spendgate.reconcile.facts import Facts
from spendgate.reconcile.folding import Captured
from spendgate.reconcile.naming import day_of
from spendgate.statement import Billed
from spendgate.usage import NO_USAGE

_BESIDE: Final = {"anthropic-cost-csv": "anthropic-usage-csv", "openai-cost-csv": "openai-usage-csv"}
"""By a source without counts the one that a person can download beside it."""


def nothing_missing(days: Iterable[BilledDay]) -> str:
    """What may be said of days on which nothing is known to be missing: that it is proven of none, if anything could be."""
    judged, untold = False, 0
    for day in days:
        with_money = [line for line in day.lines if line.billed_nanos is not None]
        counts = [line for line in day.lines if line.usage != NO_USAGE or line.requests is not None]
        judged |= bool(with_money) and bool(counts)
        if any(line.billed_nanos is not None for line in counts):  # else money and counts stand apart
            untold += sum(line.billed_nanos is None and line.billed is Billed.METERED for line in counts)
        elif not with_money:
            untold += len(counts)
    lacking = f"; {counted(untold, 'line')} of these days tell{'s' if untold == 1 else ''} no amount" if untold else ""
    if not judged:
        return f"its closed days do not tell both amounts and counts: whether usage is missing here cannot be told{lacking}"
    return f"nothing that is billed on its closed days is proven to be missing in the calls here{lacking}"


def not_told_apart(off: Mapping[str, int], bill: Bill) -> Iterator[str]:
    """A note on each provider of what is off beside money alone, in nano-dollars: requests or prices, which nobody can tell."""
    for provider, nanos in sorted(off.items()):
        sources, what = _sources(bill, provider)
        yield (
            f"{provider}: {dollars(nanos)} is off where the bill ({sources}) tells money, and no counts: requests may be missing"
            " from one side, or prices are others. It is unexplained, and no budget counts it;"
            f" counts decide: import {what}"
        )


def _sources(bill: Bill, provider: str) -> tuple[str, str]:
    """What its bill was read from, and what to import beside it."""
    sources = sorted({each.source for each in bill.inputs if provider in each.providers})
    which = [_BESIDE[each] for each in sources if each in _BESIDE]
    what = f"the usage file of the same days, too (`{which[0]}`)" if which else "a statement with counts, too"
    return ", ".join(sources), what


def witnesses_unheard(bill: Bill, captured: Captured, facts: Facts) -> Iterator[str]:
    """A note on each provider of which logs have requests that the ledger has not, on days whose bill counts nothing."""
    silent = {
        (day.provider, day.day_ms)
        for day in bill.days
        if day.tells_use and all(line.usage == NO_USAGE and line.requests is None for line in day.lines)
    }
    missing: dict[str, int] = defaultdict(int)
    for seen in facts.witnessed:
        here = any(each in captured.named for each in (seen.response_id, seen.request_id) if each)
        if not here and (seen.provider, day_of(seen.at_ms)) in silent:
            missing[seen.provider] += 1
    for provider, number in sorted(missing.items()):
        sources, what = _sources(bill, provider)
        yield (
            f"{provider}: {counted(number, 'request')} that session logs have and the ledger has not"
            f" {'is' if number == 1 else 'are'} in no cause: the bill ({sources}) tells money, and no counts to find"
            f" them by. Import {what}"
        )
