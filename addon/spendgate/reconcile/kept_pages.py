"""Pages of an API that were answered, kept until the statement is whole, so that a run that was cut off asks for the rest alone.

What was kept for longer than a day is asked anew. So is what was answered before the span was over, once it is: a day that went
on would be taken for whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from spendgate.reconcile.sources.interface import Request
from spendgate.statement import DAY_MS

LONGEST_MS: Final = DAY_MS


class KeptPages:
    """A folder of its own for one source, credential and span, which is there."""

    def __init__(self, folder: Path, until_ms: int, now_ms: Callable[[], int]) -> None:
        self._folder, self._until_ms, self._now_ms = folder, until_ms, now_ms

    def get(self, request: Request) -> bytes | None:
        """What was answered to it; None: nothing that still holds."""
        file = self._file(request)
        try:
            written_ms, now_ms = file.stat().st_mtime_ns // 1_000_000, self._now_ms()
        except FileNotFoundError:
            return None
        early = written_ms < self._until_ms <= now_ms
        return None if early or now_ms - written_ms > LONGEST_MS else file.read_bytes()

    def put(self, request: Request, body: bytes) -> None:
        """Whole, or not at all."""
        file = self._file(request)
        partial = file.with_suffix(".part")
        partial.touch(mode=0o600)
        partial.write_bytes(body)
        partial.replace(file)

    def forget(self) -> None:
        """All of it, and the folder."""
        for each in self._folder.iterdir():
            each.unlink()
        self._folder.rmdir()

    def _file(self, request: Request) -> Path:
        words = f"{request.method} {request.path}\n".encode() + request.body
        return self._folder / f"{hashlib.sha256(words).hexdigest()[:32]}.page"
