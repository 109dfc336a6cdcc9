"""A replay's calls, run while Python looks for no cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Without Python's search for cycles, a fifth of the time: what a call was made of is let go when it has ended, without that,
    and what stays is bounded by the windows that run."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
