"""Options that several commands share, so that one word means one thing."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli.output import Format
from spendgate.config import paths
from spendgate.config.credentials import UPSTREAM_AUTH
from spendgate.errors import StateError, UsageError
from spendgate.ledger.heads_file import NAME as HEADS

_PORT_MAX = 65_535
PolicyOption = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        metavar="FILE",
        help="Policy file; without it the default policy (policies/default.yaml).",
        readable=False,  # what reads it says who must let it
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="State directory, or a service's socket; else SPENDGATE_STATE, else the service's or your own.",
        readable=False,  # `existing_state` says who may read it
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="K=V",
        help="A mitmproxy option, passed through; also connect_to=HOST=ADDRESS:PORT, for development.",
    ),
]


def refuse_passwords(sets: list[str] | None) -> tuple[str, ...]:
    """The options as they were given. Raises UsageError for one that is a password."""
    if any(each.partition("=")[0] == "upstream_auth" for each in sets or ()):
        raise UsageError(
            f"--set upstream_auth: every account can read a command line; give USER:PASSWORD in {UPSTREAM_AUTH} instead"
        )
    return tuple(sets or ())


def one_of[E: StrEnum](kind: type[E]) -> Callable[[str], E]:
    """The parser of an option with fixed words: typer's own reading shows its validator's words to the person."""

    def parsed(word: str) -> E:
        try:
            return kind(word)
        except ValueError:
            raise typer.BadParameter(f"{word!r} is not one of {', '.join(kind)}") from None

    return parsed


FormatOption = Annotated[
    Format,
    typer.Option(
        "--format",
        parser=one_of(Format),
        metavar=f"[{'|'.join(Format)}]",
        help="table for people, json or csv for programs.",
    ),
]


def port_from(least: int, option: str = "--port") -> Callable[[str], int]:
    """The parser of a port's option: what is wrong is told in one line."""

    def parsed(word: str | int) -> int:
        number = int(word) if str(word).isascii() and str(word).isdigit() else -1
        if not least <= number <= _PORT_MAX:
            free = ", where 0 takes a free one" if least == 0 else ""
            raise UsageError(f"{option} {word}: write a number from {least} to {_PORT_MAX}{free}")
        return number

    return parsed


def whole_number(option: str, most: int) -> Callable[[str], int]:
    """The parser of an option that counts, from 1 on: what is wrong is told in one line, not in typer's words."""

    def parsed(word: str | int) -> int:
        try:
            number = int(word)
        except ValueError:
            number = 0
        if not 1 <= number <= most:
            raise UsageError(f"{option} {word}: write a whole number from 1 to {most}")
        return number

    return parsed


def utf8(name: str, text: str) -> str:
    """The text of an option or argument, which is looked for in the ledger. Raises UsageError where it holds bytes that no
    text in the ledger can have."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise UsageError(f"{name} {text!r} is not UTF-8; write it as the ledger has it, in UTF-8")
    return text


def existing_state(chosen: Path | None) -> paths.State:
    """The state directory of a reading command. Raises StateError where no gate has ever written to it."""
    state = paths.find(chosen)
    if state.root.is_socket():
        raise StateError(
            f"{state.root} is a service's socket, and this command reads a ledger's file: run it as the service's account, with"
            " its state directory"
        )
    if (state.root.exists() and not os.access(state.root, os.X_OK)) or (
        state.ledger.exists() and not os.access(state.ledger, os.R_OK)
    ):
        owner = state.root.stat().st_uid
        if sys.platform != "win32" and owner == os.geteuid():
            raise StateError(
                f"{state.root} cannot be read, though it is yours: run chmod -R u+rwX {shlex.quote(str(state.root))}"
            )
        raise StateError(
            f"{state.root} belongs to uid {owner}: run this as that account, or choose another with --state"
        )
    if not state.ledger.exists():
        if (state.root / HEADS).exists():
            raise StateError(
                f"{state.ledger} is gone, and {HEADS} beside it remembers one: whoever removed it has removed what was spent; "
                "the next start of the gate says so in `status` and in the audit trail"
            )
        if sys.platform == "linux" and state.root == paths.SERVICE_DIRECTORY and os.geteuid() == 0:
            raise StateError(
                f"{state.root} has no ledger yet: `spendgate service install`, as root, makes the machine's gate;"
                " `spendgate exec -- claude` is for one command of an account's own"
            )
        there = f"--state {shlex.quote(str(chosen))} " if chosen else ""
        raise StateError(
            f"{state.root} has no ledger yet: run a command through the gate first, `spendgate exec {there}-- claude`"
        )
    return state


def refuse_others(state: paths.State) -> None:
    """What root writes there its gate could not read any more. Raises StateError."""
    if sys.platform == "win32":
        return
    owner = state.root.stat().st_uid
    if owner != os.geteuid():
        import pwd  # noqa: PLC0415 - Windows has none

        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"'#{owner}'"  # as sudo takes a number
        raise StateError(
            f"{state.root} belongs to uid {owner}: run this as that account, by `sudo -u {name} spendgate …`"
        )
