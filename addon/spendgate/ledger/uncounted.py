"""Imports that were taken in and never compared with the calls: the command was killed in between. Pure.

A count is of a span of days and of every import of that moment: a later one of the same days has counted an import, too,
whichever it was made for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spendgate.ledger.statements import Imported
from spendgate.statement import DAY_MS

Run = tuple[int, int, int]
"""When a count was made, and from and until which UTC days."""


def uncounted(imports: Iterable[Imported], runs: Sequence[Run], purged_ms: int) -> tuple[Imported, ...]:
    """Those of which some whole day was not counted since. Days before `purged_ms`, whose calls are sums, nobody counts."""
    return tuple(each for each in imports if _left(each, runs, purged_ms))


def _left(one: Imported, runs: Sequence[Run], purged_ms: int) -> bool:
    first = -(-max(one.from_ms, purged_ms) // DAY_MS) * DAY_MS
    open_ = [(first, one.until_ms // DAY_MS * DAY_MS)]
    for at_ms, began, ended in runs:
        if at_ms >= one.at_ms:
            open_ = [each for a, b in open_ for each in ((a, min(b, began)), (max(a, ended), b))]
    return any(began < ended for began, ended in open_)
