"""`heads.json`: what is remembered of a ledger outside it, and what was found wrong with one, until somebody acknowledges it.

    {"version": 1,
     "heads": {"id", "created_ms", "calls": {"position", "head"}, "audit": {"position", "head"}},
     "clock": {"at_ms", "boot", "ahead_ms", "off_ms", "samples": [[host, boot_ms, ahead_ms]], "sure_ms"},
     "findings": [{"what", "detail", "at_ms", "written"}]}

It is written all or not at all, under a lock of its own, since several gates and `audit ack` change it. Whoever
owns both can remove both: what helps against that is a service's state directory, which no user can write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from spendgate.errors import StateError
from spendgate.ledger.gates import GateLock
from spendgate.ledger.heads import Finding, Heads

NAME: Final = "heads.json"
FINDINGS_MAX: Final = 100
"""The oldest are kept: what came first says the most."""
_PATIENCE_S: Final = 5.0
_AGAIN_S: Final = 0.01

Write = Callable[[Path, bytes], None]


class SeenClock(Struct, frozen=True):
    """The clock when a gate last looked."""

    at_ms: int
    """The time that windows went by, epoch milliseconds."""
    boot: str = ""
    """Which boot `ahead_ms` is of; empty where the system does not tell."""
    ahead_ms: int | None = None
    """What to add to that boot's clock for the providers' time; None: they have not said."""
    off_ms: int | None = None
    """How far the wall clock was ahead of the time that windows went by; None: they went by the wall clock."""
    samples: tuple[tuple[str, int, int], ...] = ()
    """Of hosts: when by that boot's clock, and how far ahead of it their answers' dates were; the oldest first."""
    sure_ms: int | None = None
    """What time it was at least: the providers' word, and what boot clocks have counted since, which nobody can set."""

    def after(self, before: SeenClock | None) -> SeenClock:
        """What to remember where another gate had remembered this: its word, where this one has none of the same boot."""
        if before is None:
            return self
        sure_ms = max((each for each in (before.sure_ms, self.sure_ms) if each is not None), default=None)
        if self.ahead_ms is not None:
            return replace(self, sure_ms=sure_ms)
        same = before.boot == self.boot != ""
        return replace(
            self,
            sure_ms=sure_ms,
            at_ms=max(self.at_ms, before.at_ms),
            ahead_ms=before.ahead_ms if same else None,
            samples=(self.samples or before.samples) if same else self.samples,
        )


class Remembered(Struct, frozen=True):
    """The file."""

    version: int = 1
    heads: Heads | None = None
    clock: SeenClock | None = None
    findings: tuple[Finding, ...] = ()

    def with_findings(self, found: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """These after those that are kept already, as far as there is room."""
        return (*self.findings, *found)[:FINDINGS_MAX]


class Unreadable(StateError):
    """The file is there and is not what a gate writes."""


class HeadsFile:
    """The file and its lock."""

    def __init__(self, folder: Path, write: Write) -> None:
        """`write` puts a private file in its place, whole or not at all."""
        self.path = folder / NAME
        self._lock = folder / "heads.lock"
        self._write = write

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes the file meanwhile. Waits some seconds, in a thread or a command. Raises StateError."""
        lock = self._taken()
        try:
            yield
        finally:
            lock.drop()

    def _taken(self) -> GateLock:
        until = time.monotonic() + _PATIENCE_S
        try:
            while (lock := GateLock.take(self._lock, create=True)) is None:
                if time.monotonic() > until:
                    raise StateError(f"{self._lock} is held by another process for {_PATIENCE_S:.0f} s; try again")
                time.sleep(_AGAIN_S)
        except OSError as fault:
            raise StateError(f"{self._lock}: {fault.strerror or fault}") from fault
        return lock

    def read(self) -> Remembered | None:
        """What is remembered; None where there is no file. Raises Unreadable."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise Unreadable(f"{self.path}: {fault.strerror or fault}") from fault
        try:
            found = msgspec.json.decode(content, type=Remembered)
        except (msgspec.DecodeError, ValueError, RecursionError) as fault:
            raise Unreadable(f"{self.path} is not what a gate has written: {type(fault).__name__}") from fault
        if found.version != 1:
            raise Unreadable(f"{self.path} is of version {found.version}, which is not known")
        return found

    def write(self, remembered: Remembered) -> None:
        """Put it in its place. Raises OSError."""
        self._write(self.path, msgspec.json.format(msgspec.json.encode(remembered), indent=2))
