"""Work apart: what it gives comes back, and what hangs keeps nobody."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spendgate.config.reading import apart, read_regular

HANGS = """\
import asyncio, threading
from spendgate.config.reading import apart

async def main():
    task = asyncio.create_task(apart(threading.Event().wait))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

asyncio.run(main())
"""


async def test_what_work_gives_or_raises_comes_back() -> None:
    """On another thread than the caller's."""
    assert await apart(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await apart(lambda: 1 // 0)


async def test_work_that_is_given_up_ends_in_silence() -> None:
    """A result that nobody waits for any more is dropped; what it did is done."""
    begin, ended = threading.Event(), threading.Event()
    task = asyncio.create_task(apart(lambda: begin.wait() and ended.set()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    begin.set()
    assert await asyncio.to_thread(ended.wait, 60)


def test_a_program_ends_though_its_work_hangs() -> None:
    """As on a mount whose server is gone: neither the loop nor the interpreter waits for the thread."""
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_more_is_read_than_asked_for(tmp_path: Path) -> None:
    """However large the file is."""
    (file := tmp_path / "f").write_bytes(b"x" * 100)
    assert (read_regular(file, 10), len(read_regular(file, 1000))) == (b"x" * 10, 100)
