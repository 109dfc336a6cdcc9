"""Calls of this process that wait for others' holds: who is woken when a hold is settled, resized or given up.

Across processes the ledger's waiters keep the order; here only the head of each budget's line tries again, so that a
thousand waiters cost one transaction for each hold that ends and not a thousand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from spendgate.standing import Scope

Key = tuple[str, str]
"""A budget and its value: windows share a line."""


def keys(scopes: Iterable[Scope]) -> tuple[Key, ...]:
    """The lines of these scopes."""
    return tuple(dict.fromkeys((scope.budget, scope.value) for scope in scopes))


@dataclass(eq=False, slots=True)
class Place:
    """One waiting call's place in its lines."""

    lines: tuple[Key, ...] = ()
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Lines:
    """First come first served lines, one for each budget and value. Of one event loop."""

    def __init__(self) -> None:
        self._lines: dict[Key, dict[Place, None]] = {}

    def stand(self, place: Place, scopes: Iterable[Scope]) -> None:
        """Stand in the line of each scope, at its end where the call does not stand there already."""
        added = tuple(key for key in keys(scopes) if key not in place.lines)
        for key in added:
            self._lines.setdefault(key, {})[place] = None
        place.lines += added

    def is_head(self, place: Place) -> bool:
        """Whether the call is first in some line: only then is trying again of use."""
        return any(next(iter(self._lines[key])) is place for key in place.lines)

    def leave(self, place: Place) -> None:
        """Give up the place and wake who comes next."""
        lines, place.lines = place.lines, ()
        for key in lines:
            waiting = self._lines[key]
            del waiting[place]
            if not waiting:
                del self._lines[key]
        self.wake(lines)

    def freed(self, scopes: Iterable[Scope]) -> None:
        """Something that these scopes held is free again: wake their lines."""
        if self._lines:
            self.wake(keys(scopes))

    def wake(self, lines: Iterable[Key]) -> None:
        """Let the first of each line try again."""
        for key in lines:
            waiting = self._lines.get(key)
            if waiting:
                next(iter(waiting)).woken.set()

    def wake_all(self) -> None:
        """Let everyone try again, in their order."""
        for place in self._places():
            place.woken.set()

    def _places(self) -> dict[Place, None]:
        return {place: None for waiting in self._lines.values() for place in waiting}

    def __len__(self) -> int:
        return len(self._places())
