"""One thing of a ledger that is not as it was written: where, since when, and what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

CALLS, AUDIT, HEADS, FILE, SUMS = "calls", "audit", "heads", "file", "sums"
DAYS = "day sums"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it was written."""

    where: str
    """`calls`, `audit`, `heads`, `file`, `sums` or `day sums`."""
    fault: str
    number: int | None = None
    """Of the link or line."""
    at_ms: int | None = None
    """When it, or for missing ones the one before them, was written or booked; None: nothing says."""
    what: str = ""
    """The call's id, or the audit line's word."""

    def __str__(self) -> str:
        name = {CALLS: "link", AUDIT: "audit line"}.get(self.where, self.where)
        number = "" if self.number is None else f" {self.number}"
        about = ", ".join(part for part in (_iso(self.at_ms), self.what) if part)
        return f"{name}{number}{f' ({about})' if about else ''}: {self.fault}"


def missing(where: str, first: int, last: int, after_ms: int | None) -> Fault:
    """Links or lines that are not there, from the first to the last."""
    number = f"number {first} is" if first == last else f"numbers {first} to {last} are"
    return Fault(where, f"{number} missing", first, after_ms, "" if after_ms is None else "the one before it")


def _iso(at_ms: int | None) -> str:
    if at_ms is None:
        return ""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"
