"""What was told already: each alert once in its window, also after a restart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

TOLD_MAX: Final = 50_000
"""Alerts remembered; of more, the oldest of those that would never be told again are forgotten first."""

Key = tuple[str, str, str]


class Told:
    """By rule, value and window: until when it is not told again; None for ever."""

    def __init__(self) -> None:
        self._until: dict[Key, int | None] = {}
        self._full = TOLD_MAX

    def first(self, key: Key, now_ms: int, again_ms: int | None) -> bool:
        """Whether this is to be told now, and take it as told until `again_ms`."""
        if self.known(key, now_ms):
            return False
        self._until.pop(key, None)
        if len(self._until) >= self._full:
            self._make_room(now_ms)
        self._until[key] = again_ms
        return True

    def take(self, key: Key, again_ms: int | None) -> None:
        """It was told, and is not to be until then."""
        self._until[key] = again_ms

    def known(self, key: Key, now_ms: int) -> bool:
        """Whether it was told and is not to be told again yet."""
        if key not in self._until:
            return False
        until_ms = self._until[key]
        return until_ms is None or now_ms < until_ms

    def _make_room(self, now_ms: int) -> None:
        kept = {key: until_ms for key, until_ms in self._until.items() if until_ms is None or now_ms < until_ms}
        if len(kept) > TOLD_MAX // 2:
            lasting = [key for key, until_ms in kept.items() if until_ms is None]
            for key in lasting[: len(kept) - TOLD_MAX // 2]:
                del kept[key]
        self._until = kept
        # Where all that is left may still repeat, more is kept: one alert twice is worse than a little memory.
        self._full = max(TOLD_MAX, 2 * len(kept))

    def dump(self) -> list[tuple[Key, int | None]]:
        """As `load` takes it."""
        return list(self._until.items())

    def load(self, told: Iterable[tuple[Key, int | None]]) -> None:
        """Put back what `dump` gave."""
        self._until = dict(told)
