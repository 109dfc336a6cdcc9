"""What this gate has done to balances and the ledger has not written yet: added to what the file says, it is how they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from spendgate.ledger.sums import BalanceKey, Sums
from spendgate.standing import Scope

Nanos = tuple[tuple[Scope, int], ...]
Added = tuple[int, int, int, int]
"""Settled, held and ceiling, in nano-dollars, and open calls. A plain tuple, since each call makes nine."""


class Moved(NamedTuple):
    """What one write moves: a call's holds that it opens, or ends, and what it charges. Nano-dollars."""

    booked_ms: int
    """When the call was booked: a rolling window counts it until it has passed that."""
    ceiling_nanos: int | None
    """The most that the call can cost; None: no finite bound."""
    opened: Nanos = ()
    ended: Nanos = ()
    charges: Nanos = ()

    def each(self) -> Iterator[tuple[Scope, Added]]:
        """What it adds to each budget's balance; rates hold no money."""
        ceiling = self.ceiling_nanos or 0
        for scope, nanos in self.opened:
            if scope.rate is None:
                yield scope, (0, nanos, max(nanos, ceiling), 1)
        for scope, nanos in self.ended:
            if scope.rate is None:
                yield scope, (0, -nanos, -max(nanos, ceiling), -1)
        for scope, nanos in self.charges:
            yield scope, (nanos, 0, 0, 0)


class Unwritten:
    """The sums of queued writes, by balance. Those of rolling windows are kept one by one, since calls pass out of them."""

    def __init__(self) -> None:
        self._sums: dict[BalanceKey, Sums] = {}
        self._rolling: dict[BalanceKey, dict[int, Moved]] = {}

    def add(self, moved: Moved) -> None:
        """It was queued."""
        for scope, added in moved.each():
            if scope.rolling_ms is None:
                add(self._sums.setdefault(scope.balance, Sums()), added)
            else:
                self._rolling.setdefault(scope.balance, {})[id(moved)] = moved

    def written(self, moved: Moved) -> None:
        """It is in the file, or never will be."""
        for scope, (settled, held, ceiling, opened) in moved.each():
            key = scope.balance
            if scope.rolling_ms is not None:
                if self._rolling.get(key, {}).pop(id(moved), None) is not None and not self._rolling[key]:
                    del self._rolling[key]
            elif key in self._sums:
                add(self._sums[key], (-settled, -held, -ceiling, -opened))
                if self._sums[key] == Sums():
                    del self._sums[key]

    def sums(self, scopes: tuple[Scope, ...], now_ms: int) -> Mapping[BalanceKey, Sums]:
        """What is to be added to the balances of these scopes, and of the exceptions that may raise them."""
        tallies = [credit.tally for scope in scopes for credit in scope.credits]
        rolling = {scope.balance: scope for scope in (*scopes, *tallies) if scope.balance in self._rolling}
        return self._sums | {key: self._since(scope, now_ms) for key, scope in rolling.items()}

    def _since(self, scope: Scope, now_ms: int) -> Sums:
        found, key = Sums(), scope.balance
        for moved in self._rolling[key].values():
            if moved.booked_ms > now_ms - (scope.rolling_ms or 0):
                for at, added in moved.each():
                    if at.balance == key:
                        add(found, added)
        return found


def add(to: Sums, added: Added) -> None:
    """Add to these sums."""
    settled, held, ceiling, opened = added
    to.settled += settled
    to.held += held
    to.ceiling += ceiling
    to.open_calls += opened
