"""What the allocator gives back to the system, on Linux with glibc: not the buffers of one request, which the next needs again.

By itself glibc returns the top of the heap once 128 KB of it are free, and takes each megabyte from the system anew. A request of
1 MB is some five buffers of that size; to have their pages zeroed for each call costs a quarter of its whole time. Its own rule
follows what was freed, so that the same request costs more or less by what came before.

Source: mallopt(3), man-pages 6.03.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from typing import Final

KEPT_BYTES: Final = 16 * 1024 * 1024
"""So much of what is free stays with the process."""
OWN_BYTES: Final = 8 * 1024 * 1024
"""A buffer from here on has pages of its own, which go back at once."""
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def keep() -> bool:
    """Set it for this process. False: another allocator than glibc's, which is left alone."""
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES) and mallopt(_M_MMAP_THRESHOLD, OWN_BYTES))
