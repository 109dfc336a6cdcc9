"""`exec` passes signals and exit statuses through."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from spendgate.cli.child import CouldNotRun, run_child

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


@pytest.mark.parametrize(("code", "status"), [("raise SystemExit(0)", 0), ("raise SystemExit(7)", 7)])
async def test_the_exit_status_is_the_childs(code: str, status: int) -> None:
    """Nothing is made of it."""
    assert await run_child([sys.executable, "-c", code], os.environ) == status


async def test_a_child_that_a_signal_ended() -> None:
    """128 and the signal's number, as a shell says it."""
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"

    assert await run_child([sys.executable, "-c", code], os.environ) == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
async def test_a_signal_reaches_the_child(number: signal.Signals, tmp_path: Path) -> None:
    """What is sent to us is the child's to answer."""
    ready = tmp_path / "ready"
    code = (
        "import signal, sys, pathlib, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(42))\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "while True: time.sleep(0.05)"
    )

    async def send() -> None:
        while not ready.exists():
            await asyncio.sleep(0.02)
        os.kill(os.getpid(), number)

    status, _ = await asyncio.gather(run_child([sys.executable, "-c", code], os.environ), send())

    assert status == 42


async def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    """127 as a shell answers, 126 for what cannot be run, with the command's name."""
    plain = tmp_path / "plain"
    plain.write_text("no program")

    with pytest.raises(CouldNotRun, match="no-such-command") as absent:
        await run_child(["no-such-command"], os.environ)
    with pytest.raises(CouldNotRun) as barred:
        await run_child([str(plain)], os.environ)

    assert (absent.value.status, barred.value.status) == (127, 126)


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="needs an account that may be kept out of a directory"
)
async def test_a_directory_on_path_that_is_closed(tmp_path: Path) -> None:
    """`su` keeps root's PATH: a command that is nowhere is not found, whoever may not look into one of its places."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)

    with pytest.raises(CouldNotRun, match="No such file") as absent:
        await run_child(["no-such-command"], {**os.environ, "PATH": f"{closed}:{os.environ['PATH']}"})

    assert absent.value.status == 127
