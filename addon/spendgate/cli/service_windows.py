"""`spendgate service` on Windows: the gate as a service of the machine, put up, taken away, and asked how it is.

What is done is a list of steps (`service.windows`), which `--dry-run` prints; here they are run. Never run on Windows.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Final

import typer

import spendgate
from spendgate.cli import windows_removing
from spendgate.cli.output import note, writing
from spendgate.cli.windows_doing import awaited, done, line, stop_and_wait
from spendgate.config import paths
from spendgate.errors import StateError
from spendgate.service import windows, windows_manager
from spendgate.service.windows import Description, Found, Step

_PROTECTED: Final = ("PROGRAMFILES", "PROGRAMFILES(X86)", "SYSTEMROOT")
_WORDS: Final = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of `service install` that Windows has."""

    policy: Path | None
    port: int
    program: Path | None
    as_system: bool = False


def described(wanted: Wanted) -> Description:
    """What is to be installed."""
    program = (str(_whole(wanted.program)),) if wanted.program else (sys.executable, "-I", "-m", "spendgate")
    return Description(
        program=program,
        state=PureWindowsPath(paths.SERVICE_DIRECTORY),
        port=wanted.port,
        policy=PureWindowsPath(_whole(wanted.policy)) if wanted.policy else None,
        as_system=wanted.as_system,
    )


def install(wanted: Wanted, *, dry_run: bool) -> None:
    """Put it up and start it; what is so already is left, and nobody's calls are cut. Raises StateError, UsageError."""
    about = described(wanted)
    if dry_run:
        _say((*windows.installing(about, there=False), windows.START))
        return
    check_administrator("install")
    _check_program(about, wanted.program)
    before = windows_manager.found()
    if before and not before.ours:
        raise StateError(
            f"a service {windows.NAME} is there that `spendgate service install` did not make: {before.line}"
        )
    if before and before.is_so(about) and before.state == "running":
        note(f"{windows.NAME} runs as it should; nothing was changed")
        return
    if before and before.state != "stopped":
        stop_and_wait()
    for step in windows.installing(about, there=before is not None):
        done(step)
    _start(before)
    if not about.as_system:
        note(
            "no call has a person: Windows shows this account nobody's processes; `service install --as-system` is shown them"
        )


def uninstall(*, keep_ledger: bool, dry_run: bool) -> None:
    """Raises StateError."""
    state = PureWindowsPath(paths.SERVICE_DIRECTORY)
    if dry_run:
        what = "but its ledger" if keep_ledger else "the ledger with it"
        _say((windows.NOT_AGAIN, windows.STOP), f"removes {state}, {what}, and the account's profile")
        _say((*(windows.kept(state) if keep_ledger else ()), windows.DELETE))
        return
    check_administrator("uninstall")
    before = windows_manager.found()
    if before is None:
        note("no service is installed; nothing was changed")
        return
    _check_ours(before)
    done(windows.NOT_AGAIN)
    if before.state != "stopped":
        stop_and_wait()
    trusted = windows_removing.trusted(paths.State(paths.SERVICE_DIRECTORY).ca_certificate)
    windows_removing.drop_state(paths.SERVICE_DIRECTORY, keep_ledger=keep_ledger)
    if (
        keep_ledger
    ):  # of files alone by now: `icacls /T` goes through a junction, and the gate's account may have made one
        for step in windows.kept(state):
            done(step)
    if windows_manager.drop_profile(windows.sid()):
        note("removed the account's profile")
    done(windows.DELETE)  # last: it says that there is something to remove, to whoever has to try again
    note(f"removed the service {windows.NAME}")
    if trusted:
        note(
            f"WARNING its certificate is still trusted by this machine: `certutil -delstore Root {trusted}` takes it out"
        )


def stop() -> None:
    """Until it is started again. Raises StateError."""
    check_administrator("stop")
    before = windows_manager.found()
    if before is None:
        raise StateError("no service is installed: nothing was stopped")
    _check_ours(before)
    if before.state != "stopped":
        stop_and_wait()
    note(f"`sc.exe start {windows.NAME}` starts it again, and so does the machine's next start")


def _check_ours(found: Found) -> None:
    """Raises StateError."""
    if not found.ours:
        raise StateError(f"the service {windows.NAME} was not made by `spendgate service install`; nothing was changed")


def check_administrator(verb: str) -> None:
    """Raises StateError."""
    if not _administrator():
        raise StateError(
            f"service {verb} changes a service of the machine: run it as administrator"
            + ("" if verb == "stop" else " (`--dry-run` shows all of it)")
        )


def _administrator() -> bool:
    return bool(ctypes.windll.shell32.IsUserAnAdmin())  # type: ignore[attr-defined] # of Windows alone


def _check_program(about: Description, named: Path | None) -> None:
    """Raises StateError for what is not there, or that others may change: what they write would run as the gate."""
    if named is None and sys.prefix != sys.base_prefix:
        raise StateError(
            f"{sys.prefix} is a virtual environment, whose python.exe is a launcher that Windows may end when a person logs off:"
            r" install Spendgate into a Python of its own below C:\Program Files, as its package does"
        )
    for file in (*about.program[:1], *(() if named else (sys.base_prefix, spendgate.__file__, typer.__file__))):
        if not Path(file).exists():
            raise StateError(f"{file} is not there: the service could not start")
        folders = tuple(PureWindowsPath(os.environ[each]) for each in _PROTECTED if os.environ.get(each))
        if not windows.protected(PureWindowsPath(file), folders):
            raise StateError(
                f"{file} is in a folder that others than administrators may write, and could read the gate's ledger and key by:"
                r" install Python and Spendgate below C:\Program Files"
            )
    if about.policy and not Path(about.policy).exists():
        raise StateError(f"{about.policy} is not there: the service could not start")


def _start(before: Found | None) -> None:
    """Raises StateError with what it said last."""
    log = paths.SERVICE_DIRECTORY / windows.LOG
    done(windows.START)
    if awaited(("running", "stopped")) != "running":
        said = "".join(f"\n  {line}" for line in _last_words(log))
        raise StateError(f"the service is installed and did not start; see {log}, mend it and install again{said}")
    note(f"{windows.NAME} {'started' if before is None else 'restarted'}; `spendgate service status` asks after it")


def _last_words(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-_WORDS:]
    except OSError:
        return []


def _whole(path: Path) -> Path:
    return path.expanduser().absolute()


@writing()
def _say(steps: Iterable[Step], more: str = "") -> None:
    for step in steps:
        typer.echo(line(step))
    if more:
        typer.echo(f"# {more}")
