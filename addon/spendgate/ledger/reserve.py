"""A small file that is given back to the disk when it is full for the first time, so that open holds can still settle.

It is spent on endings only (`Store` decides): a new call must not use the room that open calls need.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_LOOK_S, _AGAIN_S = 0.1, 1.0
RESERVE_BYTES = 8 * 1024 * 1024
"""Room for some 600 endings of 6 pages each in the write-ahead log."""


def reserve_of(ledger: Path) -> Path:
    """The reserve file of this ledger."""
    return ledger.with_name(f"{ledger.name}-reserve")


class Reserve:
    """The reserve file beside one ledger; shared by all gates on it."""

    def __init__(self, path: Path, size_bytes: int = RESERVE_BYTES) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self._was_held = False
        self._next_s = 0.0
        """When to look again, on a steady clock."""

    def fill(self) -> bool:
        """Take the room again if it is not held; False when the disk has none to give. Cheap when nothing is to do."""
        self._was_held = self._there() or self._taken()
        return self._was_held

    def _there(self) -> bool:
        try:
            return self.path.stat().st_size == self.size_bytes
        except OSError:
            return False  # not there yet, or given back

    def _taken(self) -> bool:
        try:
            with self.path.open("wb") as file:
                os.fchmod(file.fileno(), 0o600) if hasattr(os, "fchmod") else None
                _occupy(file.fileno(), self.size_bytes)
        except OSError:
            self.free()
            return False
        return True

    def held(self, now_s: float) -> bool:
        """Whether the room for endings is there, taken again if the disk has some; looked at now and then on a steady clock,
        since another gate may have given it back."""
        if now_s >= self._next_s:
            self._next_s = now_s + (_LOOK_S if self.fill() else _AGAIN_S)
        return self._was_held

    def free(self) -> bool:
        """Give the room back to the disk; False when there was none left to give."""
        self._was_held, self._next_s = False, time.monotonic() + _AGAIN_S
        try:
            self.path.unlink()
        except OSError:
            return False
        return True


class NoReserve(Reserve):
    """Of a writer whose work is no call's end: it leaves the room to the gates."""

    def held(self, now_s: float) -> bool:
        """Nothing is asked for, and nothing is taken."""
        return True

    def free(self) -> bool:
        """Nothing of it is given back."""
        return False


def _occupy(file: int, size_bytes: int) -> None:
    """Claim real blocks: a sparse file would hold nothing in reserve."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size_bytes)
        return
    block = b"\0" * 65536
    for _ in range(size_bytes // len(block)):
        os.write(file, block)
