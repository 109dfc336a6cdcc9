"""`spendgate ca org serve`: the company's server, at which laptops enrol and renew, and the books beside its root."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spendgate.capture.organization import LEAF_DAYS
from spendgate.capture.stopping import stopping
from spendgate.cli.ca_org import ROOT_FILE, LeafDaysOption, RootOption, opened
from spendgate.cli.output import note
from spendgate.cli.passphrase import PassphraseOption
from spendgate.enrolment import books
from spendgate.enrolment.books import Books
from spendgate.enrolment.office import Office
from spendgate.enrolment.shown import Files, Following, follow
from spendgate.errors import SpendgateError, UsageError

if TYPE_CHECKING:
    from socket import socket

    from spendgate.enrolment.server import Door


def serve(
    root: RootOption,
    listen: Annotated[
        str,
        typer.Option("--listen", metavar="ADDRESS:PORT", help="Where laptops reach it.", show_default=False),
    ],
    certificate: Annotated[
        Path,
        typer.Option(
            "--certificate",
            metavar="FILE",
            help="This server's own, in PEM with its chain: one that laptops' system trust takes.",
            show_default=False,
        ),
    ],
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", metavar="FILE", help="Its key, in PEM, where it is not in the same file.", show_default=False
        ),
    ] = None,
    days: LeafDaysOption = LEAF_DAYS,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Answer laptops that enrol and renew over HTTPS, until stopped: EST (RFC 7030), as far as it fits; `mdm/README.md`.

    It holds the root's key while it runs: in a token (`ca org init --token`) whoever takes the machine cannot take the key along.
    """
    from spendgate.enrolment.server import Door, listening  # noqa: PLC0415 - no other command needs a server

    address, port = _place(listen)
    files = Files(certificate, key)
    seen = files.stamp()
    try:
        following = Following(files, files.load(ask=True), seen, note)
    except ValueError as fault:
        raise SpendgateError(str(fault)) from None
    book = books_of(root)
    with book.open():
        pass  # what is wrong with them is told before anybody asks
    try:
        sockets = listening(address, port)
    except OSError as fault:
        raise SpendgateError(f"--listen {listen}: {fault.strerror or fault}") from fault
    signer = opened(root, passphrase_file)
    office = Office(signer, book, timedelta(days=days))
    door = Door(office, note, lambda: datetime.now(UTC))
    asyncio.run(_until_stopped(door, sockets, following, address))


async def _until_stopped(door: Door, sockets: list[socket], following: Following, address: str) -> None:
    from spendgate.enrolment.server import serving  # noqa: PLC0415 - the same

    stop = asyncio.Event()
    with stopping(stop):
        async with serving(door, sockets, following.shown.tls) as show:
            renewals = asyncio.create_task(follow(following, show, door.now))
            shown = f"[{address}]" if ":" in address else address
            note(f"ready https://{shown}:{sockets[0].getsockname()[1]}")
            await stop.wait()
            renewals.cancel()


def _place(listen: str) -> tuple[str, int]:
    """Raises UsageError."""
    address, _, port = listen.rpartition(":")
    if not address or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError("--listen is ADDRESS:PORT, as 10.0.0.5:8443 or [::]:8443")
    return address.removeprefix("[").removesuffix("]"), int(port)


def books_of(root: Path) -> Books:
    """Beside the root. Raises SpendgateError where that is none."""
    if not (root / ROOT_FILE).exists():
        raise SpendgateError(f"{root} is no folder of `spendgate ca org init`: it has no {ROOT_FILE}")
    return Books(root / books.FILE)
