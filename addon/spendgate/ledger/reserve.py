"""A small file that is given back to the disk when it is full for the first time, so that open holds can still settle.

It is spent on endings only (`Store` decides): a new call must not use the room that open calls need.
"""

from __future__ import annotations

import os
from pathlib import Path

RESERVE_BYTES = 8 * 1024 * 1024
"""Room for some 300 endings of 6 pages each in the write-ahead log."""


class Reserve:
    """The reserve file beside one ledger; shared by all gates on it."""

    def __init__(self, path: Path, size_bytes: int = RESERVE_BYTES) -> None:
        self.path = path
        self.size_bytes = size_bytes

    def fill(self) -> bool:
        """Take the room again if it is not held; False when the disk has none to give. Cheap when nothing is to do."""
        try:
            if self.path.stat().st_size == self.size_bytes:
                return True
        except OSError:
            pass  # not there yet, or given back: make it
        try:
            with self.path.open("wb") as file:
                os.fchmod(file.fileno(), 0o600) if hasattr(os, "fchmod") else None
                _occupy(file.fileno(), self.size_bytes)
        except OSError:
            self.free()
            return False
        return True

    def free(self) -> bool:
        """Give the room back to the disk; False when there was none left to give."""
        try:
            self.path.unlink()
        except OSError:
            return False
        return True


def _occupy(file: int, size_bytes: int) -> None:
    """Claim real blocks: a sparse file would hold nothing in reserve."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size_bytes)
        return
    block = b"\0" * 65536
    for _ in range(size_bytes // len(block)):
        os.write(file, block)
