"""What a service starts from, looked at before anything is written: it is there, the service sees it, and it is root's own."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import typer

import spendgate
from spendgate.errors import StateError
from spendgate.service.unit import Description, hidden


def program_of(chosen: Path | None) -> tuple[str, ...]:
    """The words that start `--program`, or the spendgate that runs this."""
    if chosen is None:
        return (sys.executable, "-I", "-m", "spendgate")
    return (str(chosen.expanduser().absolute()),)


def started_from(program: tuple[str, ...]) -> tuple[str, ...]:
    """With its Python and what it needs; of a program that was named, that alone."""
    own = (os.__file__, spendgate.__file__, typer.__file__)
    return (program[0], *(own if len(program) > 1 else ()))


def needed(about: Description) -> tuple[str, ...]:
    """Files that the service starts from."""
    return (*started_from(about.program), *((str(about.policy),) if about.policy else ()))


def check_seen(about: Description) -> None:
    """Raises StateError for what is not there, or where the unit could not see it."""
    for path in needed(about):
        found = Path(path)
        if not found.exists():
            raise StateError(f"{path} is not there: the service could not start")
        for each in (PurePosixPath(found), PurePosixPath(found.resolve())):
            if folder := hidden(each):
                raise StateError(
                    f"{each} is in {folder}, which the service cannot see: "
                    "install Spendgate and its Python under /opt, and the policy under /etc/spendgate"
                )


def check_program(about: Description) -> None:
    """Raises StateError for a program that another account may change. Not for a policy: whom to believe there, the trust file
    says."""
    check_roots_own(needed(replace(about, policy=None)))


def check_roots_own(files: Iterable[str]) -> None:
    """Raises StateError for a file that another account may change: what that writes would run as the gate, and read its ledger
    and its key."""
    for path in files:
        for each in (Path(path), Path(path).resolve()):
            for part in (each, *each.parents):
                found = part.stat()
                if found.st_uid or found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid):
                    raise StateError(
                        f"others than root may write {part}, which the service runs from: they could read its ledger and key; "
                        f"chown -R 0:0 {part}; chmod -R go-w {part}; or install it anew as root, for instance under /opt"
                    )
