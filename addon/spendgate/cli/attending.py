"""The gate's side of its service: the place of the socket, and the process that answers there, started again where it ends."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import spendgate
from spendgate.cli.output import note
from spendgate.config import paths
from spendgate.errors import StateError, UsageError

AGAIN_S: Final = 1.0
AGAIN_MOST_S: Final = 60.0
PATH_BYTES_MAX: Final = 107
"""sockaddr_un of Linux, without its end."""


def socket_of(chosen: Path | None, state: paths.State) -> Path | None:
    """Where this gate's clients are answered: at `--socket`; a service's gate without one at the usual place; else nowhere.

    Raises UsageError.
    """
    if chosen is None:
        return paths.SOCKET if state.root == paths.SERVICE_DIRECTORY and sys.platform == "linux" else None
    if sys.platform != "linux":
        raise UsageError("--socket: Linux alone for now")
    path = chosen.expanduser().absolute()
    if len(os.fsencode(path)) > PATH_BYTES_MAX - len(".lock"):
        raise UsageError(f"--socket {path}: longer than a socket's path may be ({PATH_BYTES_MAX - len('.lock')} bytes)")
    return path


def placed(path: Path | None) -> Path | None:
    """The socket's place, prepared; None where there is to be none, or where the usual one cannot be had, which is said.

    Raises StateError for another place.
    """
    if path is None:
        return None
    try:
        prepare(path)
    except StateError as fault:
        if path != paths.SOCKET:
            raise
        note(f"other accounts cannot ask this gate: {fault}")
        return None
    return path


def prepare(path: Path) -> None:
    """The folder of the socket: made where it is not there, everybody's to enter, nobody else's to write.

    Raises StateError.
    """
    folder = path.parent
    try:
        folder.mkdir(mode=0o755, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
            raise StateError(
                f"{folder} is not a directory of root's or our own that nobody else can write; choose another --socket"
            )
        if not os.access(folder, os.W_OK):
            raise StateError(f"{folder} cannot be written by this account; run: chown {os.geteuid()} {folder}")
    except OSError as fault:
        raise StateError(
            f"{folder}: {fault.strerror or fault}; make it for this account, or choose another place with --socket"
        ) from fault


@asynccontextmanager
async def attending(path: Path | None, state: paths.State) -> AsyncIterator[None]:
    """Have clients answered inside."""
    if path is None:
        yield
        return
    task = asyncio.create_task(_keep(path, state), name="service")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep(path: Path, state: paths.State) -> None:
    """Until cancelled. A process that ends at once is started less and less often."""
    loop, pause_s = asyncio.get_running_loop(), AGAIN_S
    while True:
        began = loop.time()
        try:
            ended = await _once(path, state)
        except OSError as fault:
            ended = fault.strerror or type(fault).__name__
        pause_s = AGAIN_S if loop.time() - began > AGAIN_MOST_S else min(2 * pause_s, AGAIN_MOST_S)
        note(f"the process that answers at {path} has ended ({ended}); it is started again in {pause_s:.0f} s")
        await asyncio.sleep(pause_s)


async def _once(path: Path, state: paths.State) -> str:
    """Run it to its end; how it ended. Raises OSError."""
    env = dict(os.environ)
    root = str(Path(spendgate.__file__).parents[1])
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (root, env.get("PYTHONPATH"))))
    words = [sys.executable, "-m", "spendgate", "answer", "--state", str(state.root), "--socket", str(path)]
    process = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.PIPE, env=env)
    try:
        return f"exit status {await process.wait()}"
    finally:
        if process.returncode is None:
            if process.stdin is not None:
                process.stdin.close()  # it ends by itself then, and takes its socket away
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()
