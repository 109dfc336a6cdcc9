"""The lock of whoever purges or counts the sums of what was purged, so that no call is missed between rows and sums."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from spendgate.errors import LedgerBusy, StateError
from spendgate.ledger.gates import GateLock

ONE: Final = "purge.one"
"""Its name, beside the gates' own."""
_AGAIN_S: Final = 0.002


@contextmanager
def locked(gates: Path, patience_s: float = 0.0) -> Iterator[None]:
    """Nobody else purges meanwhile, or counts what was purged. Raises LedgerBusy, StateError."""
    until = time.monotonic() + patience_s
    try:
        while (lock := GateLock.take(gates / ONE, create=True)) is None:
            if time.monotonic() >= until:
                raise LedgerBusy("another process is purging the ledger")
            time.sleep(_AGAIN_S)
    except OSError as fault:
        raise StateError(f"{gates / ONE}: {fault.strerror or fault}") from fault
    try:
        yield
    finally:
        lock.drop()
