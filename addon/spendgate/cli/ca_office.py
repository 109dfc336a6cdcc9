"""`spendgate ca org token`, `tokens`, `revoke` and `enrolled`: the company's books of enrolment over HTTPS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from spendgate.capture import organization
from spendgate.cli.ca_org import RootOption
from spendgate.cli.ca_serve import books_of, serve
from spendgate.cli.moments import iso
from spendgate.cli.options import FormatOption, whole_number
from spendgate.cli.output import Column, Format, emit, note
from spendgate.enrolment.credentials import DAYS_MOST, USES_MOST, Credential, hashed, name_of, new_secret
from spendgate.errors import SpendgateError, UsageError

TOKEN_DAYS = 7
_MADE = (Column("token", "token", weight=0), Column("device", "device"), Column("until", "until"), Column("id", "id"))
_TOKENS = (
    Column("id", "id", weight=0),
    Column("device", "device"),
    Column("left", "left", right=True),
    Column("uses", "of", right=True),
    Column("until", "until"),
    Column("state", "state"),
)
_TRAIL = (
    Column("at", "at"),
    Column("what", "what"),
    Column("device", "device", weight=0),
    Column("until", "until"),
    Column("serial", "serial"),
    Column("credential", "credential"),
    Column("address", "address"),
)


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command()(token)
    group.command()(tokens)
    group.command()(revoke)
    group.command()(serve)
    group.command()(enrolled)


def token(
    root: RootOption,
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device", metavar="NAME", help="A token for this device alone. May be given again: one for each."
        ),
    ] = None,
    fleet: Annotated[
        int | None,
        typer.Option(
            "--fleet",
            parser=whole_number("--fleet", USES_MOST),
            metavar="N",
            help=f"One credential for an MDM to put on every laptop: so many may enrol by it, at most {USES_MOST:,}.",
        ),
    ] = None,
    days: Annotated[
        int,
        typer.Option(
            "--days",
            parser=whole_number("--days", DAYS_MOST),
            metavar="N",
            help=f"For how long it opens: 1 to {DAYS_MOST}.",
        ),
    ] = TOKEN_DAYS,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """Make what a laptop shows to enrol over HTTPS: a token for one use, or with --fleet a credential for many. Shown once.

    A fleet's credential gives out no name that has certificates, or that was blocked: a token for that name does.
    """
    if device and fleet is not None:
        raise UsageError("--device is for devices by name, --fleet for all of them; give one of them")
    for each in device or ():
        if not organization.DEVICE.fullmatch(each):
            raise UsageError("--device: letters, digits, dots, hyphens and underscores; at most 64")
    now = datetime.now(UTC)
    made_ms, until_ms = (int(at.timestamp() * 1000) for at in (now, now + timedelta(days=days)))
    rows: list[dict[str, object]] = []
    with books_of(root).open() as page:
        names: list[str | None] = [*(device or ())] or [None]
        for name in names:
            secret = new_secret()
            one = Credential(name_of(hashed(secret)), name, fleet or 1, made_ms, until_ms)
            page.make(one, hashed(secret))
            rows.append({"token": secret, "device": name, "until": iso(until_ms), "id": one.id})
    if fmt is Format.TABLE and len(rows) == 1:
        typer.echo(rows[0]["token"])
    else:
        emit(rows, _MADE, fmt)
    uses = f"{fleet:,} laptops may enrol" if fleet else "each laptop enrols once" if device else "one laptop enrols"
    note(
        f"until {iso(until_ms)[:10]} {uses} by it; only its hash is kept, so that this is the one time that it is shown"
    )


def tokens(root: RootOption, fmt: FormatOption = Format.TABLE) -> None:
    """The credentials that were made, by their ids: how often each may still be used, and until when."""
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    with books_of(root).open() as page:
        found = page.credentials()
    emit(
        [
            {
                "id": one.id,
                "device": one.device,
                "left": one.left,
                "uses": uses,
                "until": iso(one.until_ms),
                "state": _state(one, now_ms),
            }
            for one, uses in found
        ],
        _TOKENS,
        fmt,
        empty="none was made: `spendgate ca org token`",
    )


def _state(one: Credential, now_ms: int) -> str:
    if one.revoked:
        return "revoked"
    return "used up" if one.left == 0 else "expired" if now_ms >= one.until_ms else "open"


def revoke(
    root: RootOption,
    token_id: Annotated[
        str | None,
        typer.Option("--token", metavar="ID", help="A credential, as `ca org tokens` has it: it opens no more."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device", metavar="NAME", help="A device: no renewal any more, until a token is made for its name."
        ),
    ] = None,
) -> None:
    """Take a credential back, or a device's renewals, as of a stolen laptop.

    What it was issued holds until its end: no client asks whether a certificate was revoked.
    """
    if (token_id is None) is (device is None):
        raise UsageError("give --token ID or --device NAME; one of them")
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    with books_of(root).open() as page:
        done = page.revoke(token_id, now_ms) if token_id else page.block(device or "", now_ms)
    if not done:
        raise SpendgateError("there is none of this name: `spendgate ca org tokens` and `enrolled` list them")
    note("it opens no more" if token_id else "nothing is issued to it any more; what it has holds until its end")


def enrolled(root: RootOption, fmt: FormatOption = Format.TABLE) -> None:
    """Everything that was issued over HTTPS, oldest first: to which device, by which credential, until when, its issuer's serial.

    `refused: a copied key` is a device whose key was renewed by another: two have it.
    """
    with books_of(root).open() as page:
        lines = page.lines()
    rows = [
        {
            "at": iso(each.at_ms),
            "what": each.what,
            "device": each.device,
            "until": iso(each.until_ms) if each.until_ms else None,
            "serial": each.serial,
            "credential": each.credential,
            "address": each.address,
        }
        for each in lines
    ]
    emit(rows, _TRAIL, fmt, empty="nothing was issued yet")
