"""A month of requests, each in both books, and what is known of the fleet. Injectors (`causes_*`) then part the books.

Everything comes from one seed. Times are epoch milliseconds UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from msgspec import Struct

from reconcile.simulator import fleet
from reconcile.simulator.books import Entry, Request, Row
from reconcile.simulator.fleet import HOUR_MS, Key, Person
from reconcile.simulator.prices import Factor
from reconcile.simulator.traffic import Size, not_taken, request_of, usage_of
from spendgate.reconcile.result import Cause
from spendgate.statement import DAY_MS, Line
from spendgate.usage import Usage

START_MS: Final = 1_790_812_800_000
"""2026-10-01T00:00:00Z, a Thursday."""


class Witness(Struct, frozen=True):
    """What something else on the laptop saw of a request."""

    row_like: Row
    """The request as the gate would have written it, with all that it used."""
    subcalls: Usage | None = None
    why: str = ""


class Span(Struct, frozen=True):
    """A stretch of time of one machine."""

    machine: str
    person: str
    from_ms: int
    until_ms: int
    why: str = ""


@dataclass
class Known:
    """What whoever reconciles knows beside calls and bills."""

    keys: list[Key] = field(default_factory=list)
    elsewhere: list[Key] = field(default_factory=list)
    """Keys that are known not to be used on captured machines."""
    gateways: list[Key] = field(default_factory=list)
    people: tuple[Person, ...] = ()
    complete: bool = True
    presence: list[Span] = field(default_factory=list)
    outages: list[Span] = field(default_factory=list)
    witnessed: list[Witness] = field(default_factory=list)
    gateway_hosts: list[str] = field(default_factory=list)


_MOST_IN_CELL: Final = 3


@dataclass
class Month:
    """Both books."""

    rng: Random
    size: Size
    from_ms: int = START_MS
    requests: list[Request] = field(default_factory=list)
    lines: list[tuple[Line, Cause]] = field(default_factory=list)
    """Further lines of a provider's statement, and why the ledger has nothing like them."""
    known: Known = field(default_factory=Known)
    discounts: dict[str, Factor] = field(default_factory=dict)
    """What a provider bills of its list price."""
    round_to_nanos: dict[str, int] = field(default_factory=dict)
    """The unit that a provider's amounts are rounded to; without one, nano-dollars."""
    trail: list[tuple[int, str, str]] = field(default_factory=list)
    """Lines of the ledger's audit trail: when, the word, the detail."""
    fresh: bool = False
    """Whether the bill was fetched some hours after the last day, and not a month later."""
    _crowded: set[tuple[int, str, str]] = field(default_factory=set)

    @property
    def until_ms(self) -> int:
        """The end of the last day."""
        return self.from_ms + self.size.days * DAY_MS

    @property
    def now_ms(self) -> int:
        """When the bill is compared."""
        return self.until_ms + (4 * HOUR_MS if self.fresh else 40 * DAY_MS)

    @property
    def refreshed_ms(self) -> int:
        """Up to when the provider's data reach."""
        return self.now_ms - HOUR_MS

    def some(
        self,
        count: int,
        where: Callable[[Row, Entry], bool],
        *,
        most_in_cell: int = _MOST_IN_CELL,
        most_shared: float = 0.0,
    ) -> Iterator[Request]:
        """So many requests that nothing was done to, a few in each of some cells (day, key, model) of which the same holds.

        Two causes in one cell that nothing tells apart are nobody's to tell apart; `most_shared` is how often it may happen.
        """
        pool = [each for each in self.requests if _plain(each) and where(each.row, each.entry)]  # type: ignore[arg-type]
        places = {cell: self.rng.random() for cell in map(cell_of, pool)}
        pool.sort(key=lambda each: places[cell_of(each)])
        most = most_in_cell if count < len(pool) else len(pool)
        taken: Counter[tuple[int, str, str]] = Counter()
        for each in pool:
            cell = cell_of(each)
            if taken.total() == count:
                break
            if taken[cell] == most or (cell in self._crowded and self.rng.random() >= most_shared):
                continue
            taken[cell] += 1
            yield each
        self._crowded |= set(taken)

    def keep(self, person: str) -> None:
        """This person alone is left."""
        self.requests = [each for each in self.requests if each.row is not None and each.row.person == person]
        self.known.presence = [each for each in self.known.presence if each.person == person]

    def crowd(self, requests: Iterable[Request]) -> None:
        """No other cause is to come into the cells of these."""
        self._crowded |= {cell_of(each) for each in requests if each.entry is not None}

    def usage(self, provider: str, tool: str) -> Usage:
        """Counts as this tool's calls have them."""
        return usage_of(self.rng, self.size, provider, tool)


def cell_of(request: Request) -> tuple[int, str, str]:
    """Day, key and model, as the bill has them where it has them."""
    entry = request.entry
    if entry is None:
        raise ValueError("a request that is not on the bill has no cell there")
    return entry.day_ms, entry.key or (entry.person or ""), entry.model


def make(seed: int, size: Size) -> Month:
    """A month without a difference."""
    rng = Random(seed)
    month = Month(rng, size)
    people = fleet.people(size.people, rng)
    month.known.people = people
    month.known.keys = list({key.fingerprint: key for person in people for key in person.keys}.values())
    for day in range(size.days):
        day_ms = START_MS + day * DAY_MS
        if size.days > 7 and is_weekend(day_ms):
            continue
        for person in people:
            _work(month, person, day_ms)
    month.trail.append((START_MS - HOUR_MS, "gate started", "gate 1"))
    return month


def is_weekend(day_ms: int) -> bool:
    """Saturday or Sunday; the epoch began on a Thursday."""
    return (day_ms // DAY_MS + 3) % 7 > 4


def _work(month: Month, person: Person, day_ms: int) -> None:
    rng = month.rng
    begins = day_ms + (8 - person.zone) * HOUR_MS + rng.randrange(HOUR_MS)
    ends = begins + rng.randrange(7, 10) * HOUR_MS
    for machine in person.machines:
        month.known.presence.append(Span(machine, person.name, begins - HOUR_MS // 2, ends + HOUR_MS // 2))
    calls = max(1, round(month.size.calls * rng.uniform(0.6, 1.4)))
    for at_ms in sorted(rng.randrange(begins, ends) for _ in range(calls)):
        if not month.from_ms <= at_ms < month.until_ms:
            continue
        made = request_of(rng, month.size, person, rng.choice(person.tools), number=len(month.requests), at_ms=at_ms)
        month.requests.append(made)
        if rng.random() < 0.01 and not month.size.plain:
            again = request_of(
                rng, month.size, person, rng.choice(person.tools), number=len(month.requests), at_ms=at_ms
            )
            month.requests.append(not_taken(rng, again))


def _plain(request: Request) -> bool:
    both = request.row is not None and request.entry is not None
    return both and request.why is None
