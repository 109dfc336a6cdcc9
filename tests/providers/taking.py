"""How long something takes, told so that no machine fails it: beside other work of the same thread, never in seconds.

A busy or a slow machine stretches both. Of several tries the least counts: what is long by its own doing is so every time; a
collection of all the garbage of a test run is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable

TRIES = 5


def taken(work: Callable[[], object]) -> float:
    """Seconds of this thread's CPU."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def yardstick() -> float:
    """What a fixed piece of work takes at the moment; about a fiftieth of a second on a machine of today."""
    return taken(lambda: sum(range(1_000_000)))


def growth(work: Callable[[int], object], size: int) -> float:
    """How many times as long work of four times the size takes: 4 where time goes with what came, 16 where with its square."""
    small, large = zip(*[(taken(lambda: work(size)), taken(lambda: work(4 * size))) for _ in range(TRIES)], strict=True)
    return min(large) / min(small)


LINEAR = 8.0
"""Any `growth` below is of work whose time goes with its size."""
