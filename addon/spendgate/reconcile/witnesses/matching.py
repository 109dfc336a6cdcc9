"""Which request of a tool's log is which call of the ledger: by the provider's ids, else by what both counted. Pure.

Each request is at most one call and each call at most one request. An id decides alone: what is named on both sides and
differs is not the same, however alike it is. Without ids, the same tool, model and counts within two minutes are the same,
those of one session first; the earliest call is taken, which leaves fewest without one. A call whose answer could not be read
has no counts to compare: it is the request of its tool and session that ended with it. What is left of the log went around
the gate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from spendgate.ledger.named import UNRECOGNIZED, NamedCall
from spendgate.model_names import family
from spendgate.reconcile.witnesses.interface import Seen
from spendgate.reconcile.witnesses.unread import Unread
from spendgate.usage import Usage

NEAR_MS: Final = 120_000
"""How far the log's time of an answer and the ledger's may be apart where no id says that they are one."""


class How(StrEnum):
    """What joins a request with its call, strongest first."""

    RESPONSE = "response id"
    REQUEST = "request id"
    COUNTS = "model, counts and time"
    TIME = "tool, session and time"
    """Of a call whose answer was not read: metered, but not by the provider's counts."""


class Pair(Struct, frozen=True):
    """One request that both know."""

    seen: Seen
    call: NamedCall
    how: How

    @property
    def differs(self) -> bool:
        """Whether the ledger has other counts than the log, whose own are whole."""
        log, ledger = self.seen.usage, self.call.usage
        return (
            not self.seen.unfinished
            and log.known
            and self.call.state != "open"
            and (log.input_total, log.output_tokens) != (ledger.input_total, ledger.output_tokens)
        )


class Heard(Struct, frozen=True):
    """What the logs can speak of: a call that they do not have is told of these alone."""

    tools: frozenset[str]
    account: str | None
    """The account whose logs were read."""
    since_ms: int


class Matched(Struct, frozen=True):
    """Evidence for or against the ledger."""

    both: tuple[Pair, ...]
    around: tuple[Seen, ...]
    """Requests that went around the gate, first ones first."""
    ledger_only: tuple[NamedCall, ...]
    """Calls of tools that keep a log, and that it does not have."""

    def escaped(self) -> dict[str, Usage]:
        """Each id that the provider gave to a request that went around the gate, with what that request used: a bill of
        requests is compared with these. One request may have two ids."""
        ids = ((name, each.usage) for each in self.around for name in (each.response_id, each.request_id))
        return {name: usage for name, usage in ids if name is not None}


def match(seen: Iterable[Seen], calls: Sequence[NamedCall], heard: Heard) -> Matched:
    """Join them. `seen` are the requests of all witnesses, in any order; calls that nobody knows are none (`whys` has them)."""
    calls = [call for call in calls if call.state != UNRECOGNIZED]
    work = _Work(united(seen), calls)
    work.by_ids()
    work.by_counts(session=True)
    work.by_counts(session=False)
    work.by_time()
    lone = tuple(
        call
        for call in calls
        if call.id not in work.taken and call.tool in heard.tools and call.booked_ms >= heard.since_ms
        and (heard.account is None or call.account in (None, heard.account))
    )  # fmt: skip
    return Matched(tuple(sorted(work.pairs, key=lambda pair: pair.seen.at_ms)), tuple(work.left), lone)


def united(seen: Iterable[Seen]) -> tuple[Seen, ...]:
    """Each request once, by time: telemetry tells of requests that stand in the log, too, and a response that two tools have is
    one."""
    each = sorted(seen, key=lambda one: one.at_ms)
    logged = [one for one in each if one.kind != "telemetry"]
    named = {one.request_id for one in logged if one.request_id}
    counted: dict[_Alike, list[Seen]] = defaultdict(list)
    for one in logged:
        counted[_alike(one, one.request_id is not None, 0)].append(one)
    whose: dict[str, str] = {}
    return tuple(
        one for one in each if (not _logged(one, named, counted) if one.kind == "telemetry" else _first(one, whose))
    )


def _logged(told: Seen, named: set[str], counted: dict[_Alike, list[Seen]]) -> bool:
    """Whether a request of telemetry stands in a log: by its id, else by session, counts and time, as far as both tell them."""
    return told.request_id in named or any(
        abs(one.at_ms - told.at_ms) <= NEAR_MS
        and (told.session is None or one.session is None or told.session == one.session)
        for has_id in ((False,) if told.request_id is not None else (False, True))
        for step in (-1, 0, 1)
        for one in counted.get(_alike(told, has_id, step), ())
    )


def _first(seen: Seen, whose: dict[str, str]) -> bool:
    return seen.response_id is None or whose.setdefault(seen.response_id, seen.witness) == seen.witness


_Alike = tuple[str, int, int | None, bool, int]


def _alike(seen: Seen, has_id: bool, step: int) -> _Alike:
    """Tool, counts, whether it has an id, and the stretch of time that it is in, or one beside it."""
    return seen.tool, seen.usage.input_total, seen.usage.output_tokens, has_id, seen.at_ms // NEAR_MS + step


_Key = tuple[str, int, int, int, str | None]


class _Work:
    """The state of one join."""

    def __init__(self, seen: tuple[Seen, ...], calls: Sequence[NamedCall]) -> None:
        self.left: list[Seen] = list(seen)
        self.calls = sorted(calls, key=_end)
        self.pairs: list[Pair] = []
        self.taken: set[str] = set()

    def by_ids(self) -> None:
        """The provider's own names. Rows that have the same one tell of one request."""
        responses, requests = _index(self.calls, "response_id"), _index(self.calls, "request_id")

        def find(seen: Seen) -> tuple[NamedCall, How] | None:
            for name, index, how in (
                (seen.response_id, responses, How.RESPONSE),
                (seen.request_id, requests, How.REQUEST),
            ):
                for call in index.get(name or "", ()):
                    # Responses over one WebSocket share the request's id: there only the response's tells them apart.
                    if how is How.RESPONSE or (call.id not in self.taken and not _named_apart(seen, call)):
                        self.taken.update(each.id for each in index[name or ""] if each.response_id == call.response_id)
                        return call, how
            return None

        self._take(find)

    def by_counts(self, *, session: bool) -> None:
        """The same model and counts at the same time."""
        index: dict[_Key, list[NamedCall]] = defaultdict(list)
        for call in self.calls:
            if call.id not in self.taken and call.usage.known:
                for name in {family(model) for model in call.models}:
                    index[_key(name, call.usage, call.session if session else None)].append(call)
        first: dict[_Key, int] = defaultdict(int)

        def find(seen: Seen) -> tuple[NamedCall, How] | None:
            if not seen.usage.known or not seen.model or (session and seen.session is None):
                return None
            key = _key(family(seen.model), seen.usage, seen.session if session else None)
            found, place = index.get(key, []), first[key]
            # Requests come by time, so that what is taken or too early for one is so for all behind it.
            while place < len(found) and (found[place].id in self.taken or _end(found[place]) < seen.at_ms - NEAR_MS):
                place += 1
            first[key] = place
            for call in (found[at] for at in range(place, len(found))):
                if _end(call) > seen.at_ms + NEAR_MS:
                    return None
                if call.id not in self.taken and call.tool in (seen.tool, None) and not _named_apart(seen, call):
                    return call, How.COUNTS
            return None

        self._take(find)

    def by_time(self) -> None:
        """Calls without the provider's counts: still open, cut off, or in a form that was not read."""
        left = (call for call in self.calls if call.id not in self.taken)
        unread = Unread((call for call in left if call.response_id is None and call.basis != "reported"), NEAR_MS, _end)

        def find(seen: Seen) -> tuple[NamedCall, How] | None:
            call = unread.earliest(seen, self.taken)
            return None if call is None else (call, How.TIME)

        self._take(find)

    def _take(self, find: Callable[[Seen], tuple[NamedCall, How] | None]) -> None:
        left: list[Seen] = []
        for seen in self.left:
            found = find(seen)
            if found is None:
                left.append(seen)
            else:
                call, how = found
                self.taken.add(call.id)
                self.pairs.append(Pair(seen, call, how))
        self.left = left


def _end(call: NamedCall) -> int:
    return call.booked_ms if call.ended_ms is None else call.ended_ms


def _index(calls: Sequence[NamedCall], attribute: str) -> dict[str, list[NamedCall]]:
    found: dict[str, list[NamedCall]] = defaultdict(list)
    for call in calls:
        if name := getattr(call, attribute):
            found[name].append(call)
    return found


def _named_apart(seen: Seen, call: NamedCall) -> bool:
    """Whether both are named by the provider, and otherwise."""
    pairs = ((seen.response_id, call.response_id), (seen.request_id, call.request_id))
    return any(mine is not None and theirs is not None and mine != theirs for mine, theirs in pairs)


def _key(name: str, usage: Usage, session: str | None) -> _Key:
    return name, usage.input_total, usage.cache_read_tokens or 0, usage.output_tokens or 0, session
