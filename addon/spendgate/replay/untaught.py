"""What calls have shown then that the candidate refuses: nobody would have learned it.

How many calls of its kind a size rests on decides how much is held beside others that run. Of those that the row counts, the
ones that the candidate has refused until then are taken off; what they showed (their mean, their spread) no row can say.
"""

from __future__ import annotations

from heapq import heappop, heappush

from msgspec.structs import replace

from spendgate.ledger.history import Step
from spendgate.standing import Size


class Untaught:
    """Of one replay. In the order in which calls ask."""

    def __init__(self) -> None:
        self._ends: list[tuple[int, str]] = []
        self._missing: dict[str, int] = {}

    def refused(self, step: Step) -> None:
        """The candidate refuses a call; where it settled then, it showed what it costs when it ended."""
        if step.state == "settled" and step.ended_ms is not None and (step.value_nanos or 0) > 0:
            heappush(self._ends, (step.ended_ms, step.kind))

    def without(self, size: Size, kind: str, now_ms: int) -> Size:
        """The size of a call that asks now, by the calls that would have settled."""
        while self._ends and self._ends[0][0] <= now_ms:
            _, ended = heappop(self._ends)
            self._missing[ended] = self._missing.get(ended, 0) + 1
        missing = self._missing.get(kind)
        if missing is None or not size.own_seen:
            return size
        seen = max(1, size.own_seen - missing)
        return replace(size, seen=seen, own_seen=seen)
