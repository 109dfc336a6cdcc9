"""Starts `worker.py` with the package and the tests on its path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
ADDON = TESTS.parent / "addon"


def worker(*words: object) -> subprocess.Popen[str]:
    """A worker with pipes for stdin and stdout. The caller ends it."""
    return subprocess.Popen(
        [sys.executable, str(TESTS / "ledger" / "worker.py"), *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ADDON), str(TESTS)))},
    )


def line(process: subprocess.Popen[str]) -> str:
    """Its next line."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(process: subprocess.Popen[str]) -> None:
    """Close its input, take the rest of its output, and wait for its end."""
    process.communicate()
