"""Time and randomness as the gate reads them: at this edge only, so that tests can step them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

_MS = 1_000_000
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)


def _boot_ns() -> int:
    """Nanoseconds since boot, suspended time included where the system tells (Linux); never goes back."""
    return time.monotonic_ns() if _BOOTTIME is None else time.clock_gettime_ns(_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Clock:
    """Wall time for what is written and for windows, boot time for waits, randomness for jitter."""

    now_ms: Callable[[], int] = lambda: time.time_ns() // _MS
    """Wall clock, epoch milliseconds."""
    boot_ms: Callable[[], int] = lambda: _boot_ns() // _MS
    """A clock that never goes back and runs on while the machine sleeps."""
    random: Callable[[], float] = random.random
    """Uniform in [0, 1): jitter, nothing secret."""
