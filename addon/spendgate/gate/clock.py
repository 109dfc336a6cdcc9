"""Time and randomness as the gate reads them: at this edge only, so that tests can step them."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_MS = 1_000_000
_RAW = getattr(time, "CLOCK_MONOTONIC_RAW", None) if sys.platform == "darwin" else None
"""There it goes on while the machine sleeps (clock_gettime(3) of macOS), which `time.monotonic` does not."""
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", _RAW)


def _boot_ns() -> int:
    """Nanoseconds since boot, suspended time included where the system tells (Linux, macOS); never goes back."""
    return time.monotonic_ns() if _BOOTTIME is None else time.clock_gettime_ns(_BOOTTIME)


@cache
def boot_name() -> str:
    """Which boot the boot clock is of; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Clock:
    """Wall time for what is written and for windows, boot time for waits, randomness for jitter."""

    now_ms: Callable[[], int] = lambda: time.time_ns() // _MS
    """Wall clock, epoch milliseconds."""
    boot_ms: Callable[[], int] = lambda: _boot_ns() // _MS
    """A clock that never goes back and runs on while the machine sleeps."""
    boot: Callable[[], str] = boot_name
    """Which boot that clock is of: after another one it has begun anew."""
    random: Callable[[], float] = random.random
    """Uniform in [0, 1): jitter, nothing secret."""
