"""Balances in memory, as the ledger keeps them in its file: what each budget's window has settled and holds while history runs.

The rules are those of `ledger.balances`: a call belongs to the instant its hold was granted; a new window is a new balance; a
rolling balance is the sum over the calls booked after its edge, which moves to now - length before each decision. What is
added here is forgetting: a window that has ended and in which nobody holds anything is asked for no more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from spendgate.standing import Hold, KindStanding, Scope, Standing

FORGET_EVERY: Final = 50_000
"""New balances after which the ended ones are dropped."""

LOCATED_MAX: Final = 20_000
"""Tuples of scopes whose balances are remembered."""

_NEVER_MS: Final = 2**62

Key = tuple[str, str, str, str, int]


class Entry(Struct, eq=False):
    """One call in one balance. Nano-dollars."""

    balance: Balance
    booked_ms: int
    held: int
    bound: int
    settled: int = 0
    open: int = 1
    """1 while it holds, 0 once it has ended."""
    out: bool = False
    """It has slid out of a rolling window."""

    def end(self, charge: int) -> None:
        """Settle: what it held is released, what it cost is charged."""
        at = self.balance
        if not self.out:
            at.settled += charge
            at.held -= self.held
            at.bound -= self.bound
            at.open_calls -= self.open
        self.held, self.bound, self.open, self.settled = 0, 0, 0, charge


@dataclass(slots=True, eq=False)
class Balance:
    """One budget's window for one value. Nano-dollars."""

    length_ms: int
    """Of a rolling window, else 0."""
    ends_ms: int | None
    kept_ms: int = 0
    """How long after its end its sum is asked for (by a mean)."""
    settled: int = 0
    held: int = 0
    bound: int = 0
    open_calls: int = 0
    line: set[int] = field(default_factory=set)
    """The places of the calls that wait for it."""
    entries: deque[Entry] = field(default_factory=deque)
    """Rolling: the calls that it counts, oldest first."""

    def slide(self, now_ms: int) -> None:
        """Let go of what a rolling window no longer counts."""
        edge_ms, entries = now_ms - self.length_ms, self.entries
        while entries and entries[0].booked_ms <= edge_ms:
            gone = entries.popleft()
            gone.out = True
            self.settled -= gone.settled
            self.held -= gone.held
            self.bound -= gone.bound
            self.open_calls -= gone.open

    @property
    def moves_ms(self) -> int:
        """When it next changes by itself: a call slides out, or the window ends."""
        if self.length_ms:
            return self.entries[0].booked_ms + self.length_ms if self.entries else _NEVER_MS
        return _NEVER_MS if self.ends_ms is None else self.ends_ms

    def add(self, booked_ms: int, held: int, bound: int) -> Entry:
        """A call that holds."""
        entry = Entry(self, booked_ms, held, bound)
        self.held += held
        self.bound += bound
        self.open_calls += 1
        if self.length_ms:
            self.entries.append(entry)
        return entry

    def standing(self, scope: Scope, place: int | None) -> Standing:
        """As admission sees it: for the call at this place in line, or for one that has just come."""
        ahead = self.ahead(place) if self.line else 0
        return Standing(scope, self.settled, self.held, self.bound, self.open_calls, ahead)

    def ahead(self, place: int | None) -> int:
        """How many stand in line before this place, or before one who has just come."""
        line = self.line
        return 0 if not line else len(line) if place is None else sum(1 for other in line if other < place)


class Located(Struct, frozen=True):
    """The balances of a tuple of scopes, in its order."""

    scopes: tuple[Scope, ...]
    balances: list[Balance]
    rolling: list[Balance]
    limits: list[int]
    """Nano-dollars; of use where `plain`."""
    ceilings: list[bool]
    """Which of them hold what a call can cost at the most."""
    plain: bool
    """No rate is among them, and no limit that moves: room is all that they ask for."""

    @classmethod
    def of(cls, scopes: tuple[Scope, ...], balances: list[Balance]) -> Located:
        """These scopes with their balances."""
        plain = not any(scope.rate is not None or scope.moves or scope.tally for scope in scopes)
        rolling = [at for at in balances if at.length_ms]
        ceilings = [scope.hold is Hold.CEILING for scope in scopes]
        return cls(scopes, balances, rolling, [scope.limit_nanos for scope in scopes], ceilings, plain)


@dataclass(slots=True)
class Kind:
    """How many calls of one kind have settled with a value, and how many run."""

    settled: int = 0
    open_calls: int = 0


class Books:
    """Every balance, by what the ledger keys it by; and the kinds."""

    def __init__(self) -> None:
        self._balances: dict[Key, Balance] = {}
        self._kinds: dict[str, Kind] = {}
        self._located: dict[int, Located] = {}
        """By the tuple itself, which is kept so that no other one takes its place in memory."""
        self._scoped: dict[int, tuple[Scope, Balance]] = {}
        """As `_located`, of each scope: those of long windows are in tuple after tuple."""
        self._new = 0

    def locate(self, scopes: tuple[Scope, ...], now_ms: int) -> Located:
        """The balances of these scopes, rolling ones as of `now_ms`. Calls of one person bring the same tuple again and again."""
        found = self._located.get(id(scopes))
        if found is None:
            found = self._located[id(scopes)] = Located.of(scopes, [self._balance(scope) for scope in scopes])
        for at in found.rolling:
            at.slide(now_ms)
        return found

    def _balance(self, scope: Scope) -> Balance:
        known = self._scoped.get(id(scope))
        if known is not None:
            return known[1]
        key = scope.balance
        found = self._balances.get(key)
        if found is None:
            found = self._balances[key] = Balance(scope.rolling_ms or 0, scope.ends_ms, scope.kept_ms)
            self._new += 1
        self._scoped[id(scope)] = scope, found
        return found

    def settled(self, key: Key) -> int:
        """What a window has settled; 0 for one that nothing was ever held in."""
        found = self._balances.get(key)
        return 0 if found is None else found.settled

    def kind(self, name: str) -> Kind:
        """The count of one kind."""
        found = self._kinds.get(name)
        if found is None:
            found = self._kinds[name] = Kind()
        return found

    def forget(self, now_ms: int) -> None:
        """Drop what has ended, now and then, so that memory follows the windows that run and not the history's length."""
        if self._new < FORGET_EVERY:
            if len(self._located) > LOCATED_MAX:
                self._let_go()
            return
        self._new = 0
        self._let_go()
        self._balances = {
            key: at
            for key, at in self._balances.items()
            if at.open_calls or at.ends_ms is None or at.ends_ms + at.kept_ms > now_ms
        }

    def _let_go(self) -> None:
        self._located.clear()
        self._scoped.clear()


def kind_standing(name: str, kind: Kind) -> KindStanding:
    """As admission sees it."""
    return KindStanding(name, kind.settled, kind.open_calls)
