"""The responses of one WebSocket connection that are over, and what may still be said of them."""

from __future__ import annotations

from collections import OrderedDict, deque

from spendgate.capture.call import Call
from spendgate.providers.reading import Reading, Result
from spendgate.providers.results import response_key

ENDED_IDS_MAX = 256
"""The latest ids that are over, of which a message changes nothing. Each is at most 512 characters long."""


class Past:
    """What is over on one connection."""

    def __init__(self) -> None:
        self._ids: deque[str] = deque(maxlen=ENDED_IDS_MAX)
        self._counted_later: OrderedDict[str, tuple[Call, bool]] = OrderedDict()

    def __contains__(self, response_id: str) -> bool:
        return response_id in self._ids

    @property
    def kept(self) -> tuple[int, int]:
        """How many ids, and of how many of them counts are still taken."""
        return len(self._ids), len(self._counted_later)

    def add(self, response_id: str) -> None:
        """It is over, or answers no call that runs."""
        self._ids.append(response_id)

    def counted_later(self, response_id: str, call: Call, *, awaited: bool) -> None:
        """Counts that still come of it are told through this call. `awaited`: they correct what it was charged."""
        self._counted_later[response_id] = call, awaited
        if len(self._counted_later) > ENDED_IDS_MAX:
            self._counted_later.popitem(last=False)

    def late(self, response_id: str, reading: Reading) -> None:
        """Words about a response that is over change nothing, but for counts that were still to come."""
        if not reading.final or reading.free or response_id not in self._counted_later:
            return
        call, awaited = self._counted_later.pop(response_id)
        call.collect((Result(response_key(response_id), reading, awaited=awaited),))
