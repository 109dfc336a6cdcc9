"""Pages that one large request has used are there for the next."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_ROUNDS = 200
_FAULTS = f"""
import resource, sys
from spendgate.capture import memory
if sys.argv[1] == "kept":
    assert memory.keep()
first = [b"x" * (1 << 20) for _ in range(5)]
del first
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({_ROUNDS}):
    some = [b"x" * (1 << 20) for _ in range(5)]
    del some
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", _FAULTS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not glibc's allocator")
def test_large_buffers_are_not_taken_from_the_system_anew() -> None:
    """A page of 4 KB that is zeroed anew is a fault; left to itself, glibc has hundreds of them a round."""
    assert _faults("left") > 100 * _ROUNDS
    assert _faults("kept") < 10 * _ROUNDS
