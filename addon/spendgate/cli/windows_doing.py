"""The steps of an installation on Windows, done: the one place that changes anything there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from spendgate.cli.output import note
from spendgate.errors import StateError
from spendgate.service import windows, windows_manager
from spendgate.service.windows import Command, Folder, Step

_COMMAND_S: Final = 120
_START_S: Final = 300
_LOOKS_S: Final = 0.5


def done(step: Step) -> None:
    """One step. Raises StateError."""
    if isinstance(step, Folder):
        _make(step)
        return
    try:
        ran = subprocess.run(  # noqa: S603 - programs of Windows, words of ours
            [_system(step.words[0]), *step.words[1:]],
            capture_output=True, text=True, errors="replace", timeout=_COMMAND_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise StateError(f"`{line(step)}` failed: {fault}") from fault
    if ran.returncode:
        said = " ".join((ran.stderr + ran.stdout).split()) or f"exit status {ran.returncode}"
        raise StateError(f"`{line(step)}` failed: {said}")


def _system(program: str) -> str:
    """By its whole path, so that nothing beside us is taken for it."""
    return str(Path(os.environ["SYSTEMROOT"]) / "System32" / program) if sys.platform == "win32" else program


def _make(folder: Folder) -> None:
    """Raises StateError for one that somebody else made: he could change what is put into it."""
    path = Path(folder.path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        looked_at = (path, *path.iterdir()) if folder.whole else (path,)
    except OSError as fault:
        raise StateError(f"{path}: {fault.strerror or fault}") from fault
    for each in looked_at:
        if each.is_symlink() or each.is_junction() or windows_manager.owner(each) not in windows.TRUSTED:
            raise StateError(
                f"{each} was made by an account that is no administrator's, or is a link; look at it, remove it, run this again"
            )


def stop_and_wait() -> None:
    """Raises StateError. While it starts it takes no word."""
    if awaited(("running", "stopped")) == "running":
        done(windows.STOP)
    if awaited(("stopped",)) != "stopped":
        raise StateError(f"the service {windows.NAME} does not stop: end its process, and run this again")
    note(f"{windows.NAME} stopped")


def awaited(states: tuple[str, ...]) -> str:
    """The state that it is in at last, one of these or the one in which it stays."""
    until = time.monotonic() + _START_S
    while True:
        found = windows_manager.found()
        state = found.state if found else "gone"
        if state in states or time.monotonic() > until:
            return state
        time.sleep(_LOOKS_S)


def line(step: Step) -> str:
    """As a person reads it."""
    if isinstance(step, Command):
        return subprocess.list2cmdline(step.words)
    return f"# makes {step.path}; it{' and what is in it' if step.whole else ''} has to be an administrator's or the system's"
