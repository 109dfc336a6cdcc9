"""What reading commands say where they reach back to calls that are sums by now."""

from __future__ import annotations

from spendgate.cli.moments import iso
from spendgate.cli.output import note
from spendgate.ledger.day_sums import SUMMED
from spendgate.ledger.periods import PERIODS
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span

_TOLD = frozenset({*SUMMED, *PERIODS}) - {"hour"}


def said(reader: Reader, since_ms: int | None, says: str) -> str:
    """`before 2025-10-24 …`, where the span begins before the last purged day ends; else nothing."""
    until_ms = reader.purged_until_ms()
    if until_ms is None or (since_ms is not None and since_ms >= until_ms):
        return ""
    return f"before {iso(until_ms)[:10]} {says}"


def tell(reader: Reader, since_ms: int | None, says: str) -> None:
    """The same, as a line on stderr."""
    if line := said(reader, since_ms, says):
        note(line)


def said_of_sums(reader: Reader, by: tuple[str, ...], span: Span) -> str:
    """Where totals go by what a sum of a day does not tell; else nothing."""
    untold = dict.fromkeys(name for name in (*by, *[name for name, _ in span.where]) if name not in _TOLD)
    if not untold:
        return ""
    return said(reader, span.since_ms, f"there are sums by day alone (privacy.keep), which have no {', '.join(untold)}")
