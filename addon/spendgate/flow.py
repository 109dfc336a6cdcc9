"""Flow: how many calls and tokens went past in the last minute, or whatever a rate is over. Pure; the instant is passed in.

A call counts from the instant in which it was admitted until so long after it: at `now` all count that were admitted after
`now - length`. What it really used replaces what it was expected to use, at that same instant, so that a correction leaves the
window with its call. Instants are milliseconds of one clock that never goes back (`ledger/flows.py` says which).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable
from operator import attrgetter
from typing import Final, NamedTuple

from msgspec import Struct

from spendgate.usage import Usage

_TRACKS_SWEPT: Final = 1_024
"""So many rates and values are kept before those are looked for in which nothing counts any more."""
_ENTRIES_SWEPT: Final = 256
_at = attrgetter("at_ms")


class Sliding(Struct, frozen=True):
    """At most so many in any stretch of `length_ms`, wherever it begins."""

    most: int
    length_ms: int


class Limits(Struct, frozen=True):
    """What one rate allows each of its values; at least one of the three is there."""

    requests: Sliding | None = None
    tokens: Sliding | None = None
    parallel: int | None = None
    """Calls that may be open at once."""
    cache_reads: bool = False
    """Whether `tokens` counts what was read from a cache."""

    @property
    def longest_ms(self) -> int:
        """How long a call counts; 0 where the rate is only about calls at once."""
        return max((each.length_ms for each in (self.requests, self.tokens) if each is not None), default=0)


class Tokens(NamedTuple):
    """What one call uses, or is expected to use."""

    counted: int = 0
    """Uncached input, cache writes and output."""
    reads: int = 0
    """Cache reads, which some rates count too."""

    @classmethod
    def of(cls, usage: Usage) -> Tokens | None:
        """What was counted; None where nothing was."""
        if usage.output_tokens is None and usage.input_tokens is None:
            return None
        return cls((usage.input_tokens or 0) + usage.writes + (usage.output_tokens or 0), usage.cache_read_tokens or 0)


class Flow(NamedTuple):
    """What a rate has counted at one moment for one value, and how long until one more call fits. 0: it fits."""

    requests: int = 0
    requests_wait_ms: int = 0
    tokens: int = 0
    tokens_wait_ms: int = 0


class Entry(Struct, frozen=True, gc=False):
    """One admitted call, or the correction of one, at the call's own instant. Many are kept: numbers alone, never collected."""

    at_ms: int
    requests: int
    counted: int
    reads: int


def corrected(expected: Tokens, used: Tokens | None, *, sent: bool) -> tuple[int, Tokens] | None:
    """What the end of a call changes: requests and tokens; None: nothing.

    One that never left takes back all it counted. Of one whose use nobody knows the expectation stays.
    """
    if not sent:
        return -1, Tokens(-expected.counted, -expected.reads)
    if used is None or used == expected:
        return None
    return 0, Tokens(used.counted - expected.counted, used.reads - expected.reads)


class _Sum:
    """One measure over one length: the sum of all entries from `first` on."""

    __slots__ = ("first", "length_ms", "measure", "total")

    def __init__(self, measure: Callable[[Entry], int], length_ms: int) -> None:
        self.measure, self.length_ms = measure, length_ms
        self.first = self.total = 0


def _requests(entry: Entry) -> int:
    return entry.requests


def _counted(entry: Entry) -> int:
    return entry.counted


def _with_reads(entry: Entry) -> int:
    return entry.counted + entry.reads


class Track:
    """All that one rate has counted for one value, in the order of its instants. `now_ms` must not go back between two calls."""

    __slots__ = ("_entries", "_longest_ms", "_sums")

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._sums: dict[tuple[Callable[[Entry], int], int], _Sum] = {}
        self._longest_ms = 0

    def add(self, entry: Entry, longest_ms: int) -> None:
        """Count a call, or a correction at the instant of its call. `longest_ms`: how long the rate looks back."""
        entries = self._entries
        self._longest_ms = max(self._longest_ms, longest_ms)
        if not entries or entry.at_ms >= entries[-1].at_ms:
            place = len(entries)
            entries.append(entry)
        else:
            place = bisect_right(entries, entry.at_ms, key=_at)
            entries.insert(place, entry)
        for each in self._sums.values():
            if place >= each.first:
                each.total += each.measure(entry)
            else:
                each.first += 1  # it has left this window already

    def used(self, measure: Callable[[Entry], int], length_ms: int, now_ms: int) -> int:
        """The sum over what counts at `now_ms`."""
        return self._moved(measure, length_ms, now_ms).total

    def _moved(self, measure: Callable[[Entry], int], length_ms: int, now_ms: int) -> _Sum:
        found = self._sums.get((measure, length_ms))
        if found is None:
            found = self._sums[measure, length_ms] = _Sum(measure, length_ms)
            found.total = sum(map(measure, self._entries))
        entries, edge_ms = self._entries, now_ms - length_ms
        while found.first < len(entries) and entries[found.first].at_ms <= edge_ms:
            found.total -= measure(entries[found.first])
            found.first += 1
        if found.first >= _ENTRIES_SWEPT and 2 * found.first >= len(entries):
            self._forget(now_ms)
        return found

    def _forget(self, now_ms: int) -> None:
        gone = bisect_right(self._entries, now_ms - self._longest_ms, key=_at)
        gone = min([gone, *(each.first for each in self._sums.values())])
        del self._entries[:gone]
        for each in self._sums.values():
            each.first -= gone

    def wait_ms(self, measure: Callable[[Entry], int], length_ms: int, now_ms: int, fits: Callable[[int], bool]) -> int:
        """How long until so much has left that what is still counted `fits`, if nothing comes meanwhile. 0: it does now."""
        found = self._moved(measure, length_ms, now_ms)
        entries, left, place, wait_ms = self._entries, found.total, found.first, 0
        while not fits(left) and place < len(entries):
            at_ms = entries[place].at_ms
            while place < len(entries) and entries[place].at_ms == at_ms:
                left -= measure(entries[place])
                place += 1
            wait_ms = at_ms + length_ms - now_ms
        return wait_ms

    def is_over(self, now_ms: int) -> bool:
        """Whether nothing counts any more."""
        return not self._entries or self._entries[-1].at_ms <= now_ms - self._longest_ms


class Windows[Key: Hashable]:
    """The tracks of all rates and values, by key. Bounded by what counts: what has left every window is forgotten."""

    def __init__(self) -> None:
        self._tracks: dict[Key, Track] = {}
        self._sweep_at = _TRACKS_SWEPT
        self._latest_ms = -(2**62)

    def __len__(self) -> int:
        return len(self._tracks)

    def moment(self, now_ms: int) -> int:
        """This instant, or the latest that was seen: of two gates one may have read its clock earlier and come later."""
        self._latest_ms = max(self._latest_ms, now_ms)
        return self._latest_ms

    def add(self, keys: Iterable[Key], entry: Entry, longest_ms: int) -> None:
        """Count this in each of these."""
        for key in keys:
            track = self._tracks.get(key)
            if track is None:
                track = self._tracks[key] = Track()
                if len(self._tracks) >= self._sweep_at:
                    self._sweep(key)
            track.add(entry, longest_ms)

    def _sweep(self, but: Key) -> None:
        now_ms = self._latest_ms
        self._tracks = {key: track for key, track in self._tracks.items() if key == but or not track.is_over(now_ms)}
        self._sweep_at = max(_TRACKS_SWEPT, 2 * len(self._tracks))

    def flow(self, key: Key, limits: Limits, need: Tokens, now_ms: int) -> Flow:
        """What counts at `moment(now_ms)`, and how long a call that needs so many tokens must wait.

        A call that needs more than the whole limit fits where no token is counted: it goes alone, and what it used keeps the
        others out.
        """
        track = self._tracks.get(key)
        if track is None:
            return Flow()
        now_ms = self.moment(now_ms)
        requests = requests_wait = tokens = tokens_wait = 0
        if limits.requests is not None:
            most, length_ms = limits.requests.most, limits.requests.length_ms
            requests = track.used(_requests, length_ms, now_ms)
            if requests >= most:
                requests_wait = track.wait_ms(_requests, length_ms, now_ms, lambda left: left < most)
        if limits.tokens is not None:
            most_tokens, length_ms = limits.tokens.most, limits.tokens.length_ms
            measure = _with_reads if limits.cache_reads else _counted
            needed = need.counted + need.reads if limits.cache_reads else need.counted
            tokens = track.used(measure, length_ms, now_ms)
            if tokens > 0 and tokens + needed > most_tokens:
                tokens_wait = track.wait_ms(
                    measure, length_ms, now_ms, lambda left: left <= 0 or left + needed <= most_tokens
                )
        return Flow(requests, requests_wait, tokens, tokens_wait)
