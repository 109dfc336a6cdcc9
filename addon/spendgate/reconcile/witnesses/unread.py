"""Calls without the provider's counts, as candidates for requests that come by time: each is looked at once, not each time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from heapq import heappop, heappush

from spendgate.ledger.named import NamedCall
from spendgate.reconcile.witnesses.interface import Seen

_Key = tuple[str | None, str | None, bool]
"""Tool, session, and whether the provider has named the request."""
_Ranked = tuple[int, int, NamedCall]


class Unread:
    """Calls that are open, cut off, or in a form that was not read, and that no id has joined."""

    def __init__(self, calls: Iterable[NamedCall], near_ms: int, end: Callable[[NamedCall], int]) -> None:
        self._near_ms = near_ms
        self._ahead: dict[_Key, list[_Ranked]] = defaultdict(list)
        self._begun: dict[_Key, list[_Ranked]] = defaultdict(list)
        latest_first = sorted(enumerate(calls), key=lambda each: each[1].booked_ms, reverse=True)
        for number, call in latest_first:
            self._ahead[call.tool, call.session, call.request_id is not None].append((end(call), number, call))

    def earliest(self, seen: Seen, taken: set[str]) -> NamedCall | None:
        """The call that was under way at the time of a request and ended first. Requests must come by time."""
        if seen.session is None:
            return None
        # Two that are named and the same were joined before this; two that are named otherwise are not the same.
        named = (False,) if seen.request_id is not None else (False, True)
        firsts = (self._first((seen.tool, seen.session, each), seen.at_ms, taken) for each in named)
        best = min((each for each in firsts if each is not None), default=None, key=lambda each: each[:2])
        return None if best is None else best[2]

    def _first(self, key: _Key, at_ms: int, taken: set[str]) -> _Ranked | None:
        ahead, begun = self._ahead.get(key, []), self._begun[key]
        while ahead and ahead[-1][2].booked_ms - self._near_ms <= at_ms:
            heappush(begun, ahead.pop())
        while begun and (begun[0][2].id in taken or self._over(begun[0][2], at_ms)):
            heappop(begun)
        return begun[0] if begun else None

    def _over(self, call: NamedCall, at_ms: int) -> bool:
        return call.ended_ms is not None and call.ended_ms + self._near_ms < at_ms
