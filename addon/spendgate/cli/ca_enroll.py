"""`spendgate ca org enroll`: a laptop gets its certificates over HTTPS, and its gate renews them from then on."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from cryptography.hazmat.primitives.hashes import SHA256

from spendgate.capture import organization
from spendgate.capture.issued import Issued
from spendgate.cli.ca_issued import hosts_allowed, own, root_pem, told_installed
from spendgate.cli.ca_org import DeviceOption, HostsOption, PolicyHostsOption
from spendgate.cli.options import StateOption
from spendgate.cli.output import note
from spendgate.config.reading import unread
from spendgate.errors import SpendgateError, UsageError

TOKEN: Final = "SPENDGATE_ENROLMENT_TOKEN"  # noqa: S105 - the variable's name
_BYTES_MAX: Final = 256
_BUSY: Final = (429, 503)


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command()(enroll)


def enroll(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Where `ca org serve` answers: https://HOST:PORT.", show_default=False)
    ],
    device: DeviceOption,
    root: Annotated[
        Path,
        typer.Option(
            "--root",
            metavar="FILE",
            help="root.pem, as it is trusted here: nothing of another is taken.",
            show_default=False,
        ),
    ],
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help=f"The credential is its first line; - reads stdin. Without it {TOKEN} has it.",
        ),
    ] = None,
    host: HostsOption = None,
    policy: PolicyHostsOption = None,
    state: StateOption = None,
) -> None:
    """Get this device's certificates over HTTPS by a credential; the gate renews them from then on by itself.

    As the account that runs the gate. The key is made here and stays. Hosts may be named as for `ca org install`.
    """
    from spendgate.enrolment import laptop  # noqa: PLC0415 - the others of `ca` need no client of HTTP
    from spendgate.enrolment.asking import Line, Refused, Unasked, office  # noqa: PLC0415 - the same

    if not organization.DEVICE.fullmatch(device):
        raise UsageError("--device: letters, digits, dots, hyphens and underscores; at most 64")
    try:
        line = Line(office(url))
    except ValueError as fault:
        raise UsageError(f"URL: {fault}") from None
    secret, found = _secret(token_file), own(state)
    signed_itself = found.ca_key.exists()
    wish = laptop.Wish(device, root_pem(root), hosts_allowed(found, policy, host))

    async def asked() -> Issued:
        return await laptop.enrol(found, line, wish, secret, datetime.now(UTC))

    try:
        took = asyncio.run(asked())
    except Refused as no:
        again = "; again in a moment" if no.status in _BUSY else ""
        raise SpendgateError(f"{line.url} refuses {device}: {no}{again}") from None
    except Unasked as fault:
        raise SpendgateError(f"{fault}; the same command again goes on from here") from None
    note(f"certificates {took.said} are installed; root {took.root.fingerprint(SHA256()).hex()}")
    told_installed(found, signed_itself)


def _secret(file: Path | None) -> str:
    """Raises UsageError, SpendgateError."""
    if file is None:
        found = os.environ.get(TOKEN, "").strip()
    else:
        try:
            found = _line(file).decode("ascii").strip()
        except UnicodeDecodeError:
            raise UsageError(f"--token-file {file}: is no credential of `spendgate ca org token`") from None
        except OSError as fault:
            raise SpendgateError(unread(file, fault)) from fault
    if not found:
        raise UsageError(f"no credential was given: --token-file FILE, or {TOKEN}")
    return found


def _line(file: Path) -> bytes:
    """Its first. Raises OSError."""
    if str(file) == "-":
        return sys.stdin.buffer.readline(_BYTES_MAX)
    with file.open("rb") as opened:
        return opened.readline(_BYTES_MAX)
