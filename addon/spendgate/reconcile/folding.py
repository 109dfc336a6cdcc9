"""Calls into sums by day, key, person, model and price, read once; what matters call by call is kept apart.

Kept apart are calls that a line of the bill, a gateway's row or a witness names by id, and calls near midnight.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from msgspec import Struct

from spendgate.providers.anthropic_usage import SPLIT_ASSUMED
from spendgate.reconcile.captured import Call
from spendgate.reconcile.kinds import ASKED, Kind, is_correction, kind_of
from spendgate.reconcile.naming import day_of, model_of
from spendgate.reconcile.vectors import WRITES, add, counts_of, zeros
from spendgate.statement import DAY_MS

_IDS_KEPT: Final = 100


class Raw(NamedTuple):
    """By whom, of what, at which price, on which day."""

    day_ms: int
    provider: str
    api_key: str
    person: str
    model: str
    prices: str


class Part:
    """Calls of one kind, added up."""

    __slots__ = ("assumed", "calls", "cost", "counts", "ids", "rows", "value")

    def __init__(self) -> None:
        self.calls = 0
        """Requests."""
        self.rows = 0
        """Rows, each of which was rounded once."""
        self.cost = 0
        self.value = 0
        self.counts = zeros()
        self.assumed = 0
        """Tokens written to a cache for a time that was not told and is taken for five minutes."""
        self.ids: list[str] = []

    def take(self, call: Call, counts: list[int]) -> None:
        """Add a call, or a sum of them."""
        self.calls += 0 if is_correction(call) else call.calls
        self.rows += call.calls
        self.cost += call.cost_nanos
        self.value += call.value_nanos
        add(self.counts, counts)
        if SPLIT_ASSUMED in call.flags:
            self.assumed += counts[WRITES[0]]
        if call.id and len(self.ids) < _IDS_KEPT:
            self.ids.append(call.id)

    def merge(self, other: Part) -> None:
        """Add another one."""
        self.calls += other.calls
        self.rows += other.rows
        self.cost += other.cost
        self.value += other.value
        self.assumed += other.assumed
        add(self.counts, other.counts)
        self.ids += other.ids[: _IDS_KEPT - len(self.ids)]


class Edge(Struct, frozen=True):
    """A counted call that the bill may have on the day before or after: how far from that midnight it was."""

    raw: Raw
    other_day_ms: int
    away_ms: int
    cost: int
    counts: tuple[int, ...]
    calls: int
    id: str


class Whole:
    """Calls of several days that the bill has one sum of."""

    def __init__(self) -> None:
        self.kinds: dict[Kind, Part] = {}
        self.tools: set[str] = set()


class Match(Struct, frozen=True):
    """A call that the bill names by id."""

    raw: Raw
    kind: Kind
    call: Call


class Captured:
    """All calls, folded. `compared` are the days of providers that a bill is there for."""

    def __init__(
        self, compared: frozenset[tuple[str, int]], billed_ids: frozenset[str], other_ids: frozenset[str],
        gateways: frozenset[str], *, boundary_ms: int, bucket_ms: int,
        begins: Mapping[tuple[str, int], int] | None = None, by_gateways: Mapping[str, frozenset[str]] | None = None,
    ) -> None:  # fmt: skip
        self.sums: dict[Raw, dict[Kind, Part]] = {}
        self.tools: dict[tuple[str, str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.machines: dict[str, set[str]] = defaultdict(set)
        """By person."""
        self.hosts: dict[str, set[str]] = defaultdict(set)
        """By provider."""
        self.matched: list[Match] = []
        self.named: dict[str, tuple[Raw, Call]] = {}
        """Calls that a witness or a gateway names, by id."""
        self.edges: list[Edge] = []
        self.buckets: dict[tuple[Raw, int], Part] = {}
        """By bucket of the bill, where it has any."""
        self.total = 0
        self.left_out: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        """By provider and day without a bill: calls and nano-dollars."""
        self.wholes: dict[tuple[str, int], Whole] = defaultdict(Whole)
        """By provider and first day what is compared with one sum of several days, which `begins` has by each of them."""
        self.open_calls = 0
        self._compared, self._billed_ids, self._other_ids = compared, billed_ids, other_ids
        self._gateways, self._boundary_ms, self._bucket_ms = gateways, boundary_ms, bucket_ms
        self._providers = frozenset(provider for provider, _ in compared)
        self._begins, self._by_gateways = begins or {}, by_gateways or {}
        self._seen: set[tuple[str, str]] = set()

    def take_all(self, calls: Iterable[Call]) -> None:
        """Read them."""
        for call in calls:
            self.take(call)

    def take(self, call: Call) -> None:
        """Read one."""
        kind = kind_of(call, self._gateways)
        day_ms = day_of(call.started_ms)
        if kind is None:
            self.open_calls += call.calls if call.state == "open" else 0
            return
        raw = raw_of(call)
        if (call.provider, day_ms) not in self._compared:
            if call.provider in self._providers:
                self._edge(raw, call, kind)
            if (call.provider, day_ms) in self._begins:
                self._take_whole(call, kind, self.wholes[call.provider, self._begins[call.provider, day_ms]])
            elif call.cost_nanos or kind in ASKED:
                kept = self.left_out[call.provider, day_ms]
                kept[0] += call.calls
                kept[1] += call.cost_nanos
            return
        if kind in ASKED and self._is_double(call):
            kind = Kind.DOUBLE
        elif kind in ASKED and self._is_a_gateways(call):
            kind = Kind.GATEWAY
        self.total += call.cost_nanos
        self.tools[call.provider, call.api_key, call.person][call.tool] += call.cost_nanos
        self.hosts[call.provider].add(call.host)
        if call.machine:
            self.machines[call.person].add(call.machine)
        self._name(raw, call)
        if kind is not Kind.DOUBLE and self._billed_id(call) is not None:
            self.matched.append(Match(raw, kind, call))
            return
        counts = counts_of(call.usage)
        self.sums.setdefault(raw, {}).setdefault(kind, Part()).take(call, counts)
        if self._bucket_ms < DAY_MS and kind in ASKED:
            at_ms = call.started_ms - call.started_ms % self._bucket_ms
            self.buckets.setdefault((raw, at_ms), Part()).take(call, counts)
        self._edge(raw, call, kind)

    def _take_whole(self, call: Call, kind: Kind, whole: Whole) -> None:
        kind = Kind.DOUBLE if kind in ASKED and self._is_double(call) else kind
        whole.kinds.setdefault(kind, Part()).take(call, counts_of(call.usage))
        whole.tools.add(call.tool)

    def _is_double(self, call: Call) -> bool:
        name = call.response_id or call.request_id
        if call.calls != 1 or not name or is_correction(call):
            return False
        if (call.provider, name) in self._seen:
            return True
        self._seen.add((call.provider, name))
        return False

    def _is_a_gateways(self, call: Call) -> bool:
        """Whether a gateway's log has it, whose own key is billed for it."""
        asked = self._by_gateways.get(call.provider, frozenset())
        return not asked.isdisjoint(ids_of(call)) and self._billed_id(call) is None

    def _billed_id(self, call: Call) -> str | None:
        return next((each for each in ids_of(call) if each in self._billed_ids), None)

    def _name(self, raw: Raw, call: Call) -> None:
        for each in ids_of(call):
            if each in self._other_ids:
                self.named[each] = raw, call

    def _edge(self, raw: Raw, call: Call, kind: Kind) -> None:
        if kind is not Kind.COUNTED or call.calls != 1:
            return
        into_ms, end_ms = call.started_ms - raw.day_ms, raw.day_ms + DAY_MS
        crosses = call.ended_ms is not None and call.ended_ms >= end_ms
        if into_ms < self._boundary_ms:
            other, away = raw.day_ms - DAY_MS, into_ms
        elif end_ms - call.started_ms <= self._boundary_ms or crosses:
            other, away = raw.day_ms + DAY_MS, end_ms - call.started_ms
        else:
            return
        counts = tuple(counts_of(call.usage))
        self.edges.append(Edge(raw, other, away, call.cost_nanos, counts, 1, call.id))


def ids_of(call: Call) -> list[str]:
    """The provider's ids that it is known by."""
    return [each for each in (call.response_id, call.request_id) if each]


def raw_of(call: Call) -> Raw:
    """Where it is added up."""
    return Raw(day_of(call.started_ms), call.provider, call.api_key, call.person, model_of(call.model), call.prices)
