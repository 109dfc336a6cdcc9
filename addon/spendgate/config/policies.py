"""Policies from disk: watch their files for changes. `last_good` says what takes force.

Rules: what is in force, since when, and why a newer state of the files is refused can always be told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

from watchfiles import awatch

from spendgate.config.bundle import looked, unreadable
from spendgate.config.last_good import InForce, LastGood, Refused
from spendgate.config.people import Known
from spendgate.config.policy_file import UNCHECKED
from spendgate.config.reading import apart
from spendgate.config.sources import DEFAULT_NAME, Source, default, default_bytes, load, named, whole
from spendgate.errors import PolicyError, SpendgateError, StateError

__all__ = [
    "DEFAULT_NAME",
    "Following",
    "InForce",
    "LastGood",
    "OnChange",
    "Source",
    "Watch",
    "default",
    "default_bytes",
    "load",
    "named",
    "whole",
]

logger = logging.getLogger(__name__)

_POLL_MS = 2000
# An editor writes a file in several steps; what they leave within this time is one change.
_SETTLE_MS = 200

OnChange = Callable[[InForce], Awaitable[None]]


class Following:
    """Takes what a policy's source has now, and tells each change: a new policy in force, or the faults of a refused one."""

    def __init__(
        self, current: InForce, last_good: LastGood, *, now_ms: Callable[[], int], known: Known = UNCHECKED
    ) -> None:
        self._last_good, self._known, self._now_ms = last_good, known, now_ms
        self.current = current

    async def take(self, source: Source, changed: OnChange) -> None:
        """Read the source, and tell what came of it. `self.current` is new before `changed` is called.

        Where `changed` fails, it is told so as a refusal of the source, and the old policy stays.
        """
        before = self.current
        try:
            now_ms = self._now_ms()
            found = await apart(lambda: self._last_good.replaced(before, source, now_ms, self._known))
            self.current = found
            await changed(found)
        except Exception as fault:  # noqa: BLE001 - whatever fails, the source must be followed on
            await self._failed(before, source, fault, changed)

    async def _failed(self, before: InForce, source: Source, fault: Exception, changed: OnChange) -> None:
        """The source could not take force: what did goes on, and the next round tries it again."""
        # Only our own errors are made to be read; another one's text may quote anything.
        why = str(fault) if isinstance(fault, SpendgateError) else type(fault).__name__
        error = StateError(f"{named(source)}: cannot take force yet, and is tried again: {why}")
        self.current = Refused(error, "", before.looked_for).beside(before, self._now_ms())
        if self.current.refused == before.refused:
            return  # it was told
        try:
            await changed(self.current)
        except Exception:
            logger.exception("a policy that cannot take force could not be told")


class Watch(Following):
    """Follows a policy's files."""

    def __init__(
        self, path: Path, current: InForce, last_good: LastGood, *, now_ms: Callable[[], int], known: Known = UNCHECKED
    ) -> None:
        super().__init__(current, last_good, now_ms=now_ms, known=known)
        self._path = whole(path)

    async def run(self, changed: OnChange, stop: asyncio.Event) -> None:
        """Until `stop`: call `changed` whenever the bytes of the file, or of one that it includes, have changed.

        The directory is watched, since editors and configuration tools replace files; and the bytes are compared every two
        seconds besides, since some file systems report nothing. Where `changed` fails, the file is tried again.
        """
        while not stop.is_set():
            try:
                await self.look_if_new(changed)
                async for _ in self._moments(stop):
                    await self.look_if_new(changed)
            except Exception:  # noqa: BLE001 - whatever fails, the file must be followed on
                # The directory is not there (yet, or any more), the system has no more watches, or somebody made a file there
                # whose name is no text: watchfiles raises for that, in a group of its own.
                await asyncio.sleep(_POLL_MS / 1000)

    async def look_if_new(self, changed: OnChange) -> None:
        """Look where the files' bytes are not those that were last read."""
        if await apart(self._digest) != self.current.digest:
            await self.look(changed)

    async def look(self, changed: OnChange) -> None:
        """Read the file now, and tell what came of it."""
        await self.take(self._path, changed)

    def _digest(self) -> str:
        try:
            return looked(self._path, self.current.looked_for, signed=self._last_good.signed).state
        except PolicyError as fault:
            return unreadable(fault)

    def _moments(self, stop: asyncio.Event) -> AsyncGenerator[object]:
        return awatch(
            self._path.parent,
            stop_event=stop,
            recursive=False,
            step=_SETTLE_MS // 4,
            debounce=_SETTLE_MS,
            rust_timeout=_POLL_MS,
            yield_on_timeout=True,
        )
