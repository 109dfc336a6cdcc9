"""What a hold and a settle cost on this machine: three budgets, one of them rolling, one gate.

    PYTHONPATH=addon:tests python tests/ledger/speed.py [PAIRS]      prints microseconds: median, 99th percentile, largest

Goal (issue 2, Show 8): a pair takes 100 µs in the median, 500 µs at the 99th percentile.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ledger.kit import DAY, NOW, admit, open_ledger, row, scope, settled


@dataclass(frozen=True, slots=True)
class Speed:
    """Microseconds of one operation."""

    median_us: float
    p99_us: float
    largest_us: float


def measure(pairs: int, folder: Path) -> tuple[Speed, Speed, Speed]:
    """Holds and settles so many calls one after the other: the pair, the hold alone, the settle alone."""
    budgets = (scope("person/day"), scope("person/month", window="2026-11"), scope("person/24h", rolling_ms=DAY))
    end, decide, ledger = settled(700, *budgets), admit(1_000), open_ledger(folder)
    took: list[tuple[int, int, int]] = []
    for number in range(pairs):
        call = row(f"01939d3e-0000-7000-8000-{number:012d}")
        before = time.perf_counter_ns()
        ledger.hold(call, budgets, decide, NOW + number)
        held = time.perf_counter_ns()
        ledger.settle(call.id, end)
        after = time.perf_counter_ns()
        took.append((after - before, held - before, after - held))
    ledger.close()
    pair, hold, settle = (_speed([each[part] for each in took]) for part in range(3))
    return pair, hold, settle


def _speed(took_ns: list[int]) -> Speed:
    took_ns.sort()
    return Speed(took_ns[len(took_ns) // 2] / 1000, took_ns[len(took_ns) * 99 // 100] / 1000, took_ns[-1] / 1000)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as where:
        for what, speed in zip(
            ("pair", "hold", "settle"), measure(int((sys.argv[1:] or ["5000"])[0]), Path(where)), strict=True
        ):
            print(f"{what:7} median {speed.median_us:8.1f}  p99 {speed.p99_us:8.1f}  largest {speed.largest_us:9.1f}")
