"""A passphrase from the terminal, a file or a descriptor (`/dev/fd/3`); never from the command line, which others see."""

from __future__ import annotations

import getpass
import os
import stat
import sys
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli.output import note
from spendgate.errors import UsageError

BYTES_MAX = 4_096
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="The passphrase, or a token's PIN, is its first line; /dev/fd/3 reads a descriptor. Without it, it is asked for.",
    ),
]


def passphrase(file: Path | None, prompt: str, *, twice: bool = False) -> bytes:
    """Its bytes. Without a terminal the next line of stdin. Raises UsageError."""
    if file is not None:
        try:
            with file.open("rb") as opened:
                _tell_of_readers(file, os.fstat(opened.fileno()).st_mode)
                line = opened.readline(BYTES_MAX + 1).rstrip(b"\r\n")
        except OSError as fault:
            raise UsageError(f"--passphrase-file {file}: cannot be read: {fault.strerror or fault}") from fault
    elif sys.stdin is not None and sys.stdin.isatty():
        line = getpass.getpass(f"{prompt}: ").encode()
        if twice and getpass.getpass("once more: ").encode() != line:
            raise UsageError("the passphrases differ")
    else:
        line = sys.stdin.readline(BYTES_MAX + 1).rstrip("\r\n").encode() if sys.stdin is not None else b""
    if not line or len(line) > BYTES_MAX:
        raise UsageError(
            f"no passphrase was given: its line has 1 to {BYTES_MAX:,} bytes; without a terminal name a file of your own by"
            " --passphrase-file"
        )
    return line


def _tell_of_readers(file: Path, mode: int) -> None:
    """The file may be one for the moment, so that it is taken; whoever else reads it has the passphrase."""
    if os.name == "posix" and stat.S_ISREG(mode) and mode & 0o077:
        note(
            f"WARNING {file} can be read by other accounts (mode {mode & 0o777:04o}): chmod 0600 it, or change what it opens"
        )
