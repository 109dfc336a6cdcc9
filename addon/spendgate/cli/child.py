"""Runs one command as if nobody stood between it and its terminal: same stdin, stdout, stderr, signals and exit status."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence

from spendgate.capture.stopping import stopping

_PASSED = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")
_COULD_NOT_RUN = {FileNotFoundError: 127, PermissionError: 126}


class CouldNotRun(Exception):
    """The command did not start. `status` is the shell's own: 127 not found, 126 not executable."""

    def __init__(self, command: str, cause: OSError) -> None:
        super().__init__(f"{command}: {cause.strerror or cause}")
        self.status = _COULD_NOT_RUN.get(type(cause), 126)


def files_allowed() -> int | None:
    """How many files this process, and what it starts, may open (`RLIMIT_NOFILE`, soft); None where there is no such limit."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - POSIX alone has it

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


async def run_child(command: Sequence[str], variables: Mapping[str, str], files: int | None = None) -> int:
    """Run `command`; its exit status, or 128 + signal number where a signal ended it. Raises CouldNotRun. `files`: as
    `files_allowed` said before a gate raised it for itself, since programs that use `select(2)` cannot do with more.

    Ctrl-C reaches the child by itself, since it stays in the terminal's foreground group: this process only must not die
    of it. What is sent to this process alone is passed on.
    """
    if os.name == "posix":
        with _allowing(files):
            process = await _started(command, variables)
        with _passing_signals_to(process):
            status = await process.wait()
        return 128 - status if status < 0 else status
    with stopping(
        asyncio.Event()
    ):  # Windows: Ctrl-C and Ctrl-Break reach the child by themselves, and nothing else is sent
        return await (await _started(command, variables)).wait()


@contextlib.contextmanager
def _allowing(files: int | None) -> Iterator[None]:
    """What is started inside may open so many files."""
    now = files_allowed()
    if files is None or now is None or sys.platform == "win32":
        yield
        return
    import resource  # noqa: PLC0415 - POSIX alone has it

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (now, hard))


async def _started(command: Sequence[str], variables: Mapping[str, str]) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(*command, env=dict(variables))
    except OSError as cause:
        raise CouldNotRun(command[0], _meant(cause, command[0], variables.get("PATH"))) from cause


def _meant(cause: OSError, command: str, path: str | None) -> OSError:
    """What a shell would say: a directory on PATH that this account may not enter makes no command forbidden that is nowhere."""
    if not isinstance(cause, PermissionError) or os.path.dirname(command) or shutil.which(command, os.F_OK, path):  # noqa: PTH120 - a name, not yet a path
        return cause
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command)


@contextlib.contextmanager
def _passing_signals_to(process: asyncio.subprocess.Process) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    handled: list[int] = []

    def pass_on(number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)

    def interrupt() -> None:
        # From the terminal the child has had it already; from `kill -INT` only we have. Its group tells which.
        if not _same_foreground_group():
            pass_on(signal.SIGINT)

    for name in _PASSED:
        number = getattr(signal, name)
        loop.add_signal_handler(number, pass_on, number)
        handled.append(number)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    handled.append(signal.SIGINT)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


def _same_foreground_group() -> bool:
    """Whether this process is in the foreground group of a terminal, where Ctrl-C goes to all of it."""
    try:
        with open("/dev/tty", "rb") as tty:  # noqa: PTH123 - a descriptor is what tcgetpgrp takes
            return os.tcgetpgrp(tty.fileno()) == os.getpgrp()
    except OSError:
        return False
