"""What a process tells of the connection that it opened, on every system: program, tool, start, browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath, PurePosixPath

from spendgate.attribution import Peer
from spendgate.identity.interface import Program
from spendgate.identity.processes import Process
from spendgate.identity.tools import tool_of
from spendgate.privacy import without_home

GONE = "the process had gone when the kernel was asked"
HIDDEN = "the process is not visible to the gate's account"
TOO_MANY = "the account's processes have more files open than are searched"
NOT_HERE = "no such connection on this host (another machine, container or network namespace)"


def told(
    peer: Peer,
    found: Process,
    *,
    login_account: str | None,
    home: str | None,
    project: str | None,
    browser: str | None,
    paths: type[PurePath] = PurePosixPath,
) -> Peer:
    """The peer with its process. `home` is its account's, `paths` how the system writes them. Pure."""
    return replace(
        peer,
        login_account=login_account,
        pid=found.pid,
        process=_plain(paths(found.path).name.removesuffix(" (deleted)") if found.path else found.name),
        process_path=_plain(without_home(found.path, home)) if found.path else None,
        started_ms=found.started_ms,
        tool=tool_of(found.path or found.name, found.arguments, found.name),
        project=project,
        browser=browser,
    )


def program(found: Process, account: str, browser: str | None) -> Program:
    """The process for people who look at the machine. Pure."""
    path = found.path or found.name
    return Program(found.pid, account, path, tool_of(path, found.arguments, found.name) or "", browser)


def _plain(name: str) -> str:
    """A program's name is its user's choice and ends up on an admin's terminal: no control characters, no broken text."""
    return name if name.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in name)
