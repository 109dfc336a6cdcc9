"""`spendgate ca org init` and `issue`: an organization's authority, on its admin's machine. No network, no state directory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from spendgate.capture import organization
from spendgate.capture.ca_files import CERTIFICATE_MODE, KEY_MODE, replace
from spendgate.capture.certificates import Signer
from spendgate.capture.organization import LEAF_DAYS, LEAF_DAYS_MOST, ROOT_YEARS
from spendgate.cli import ca_token
from spendgate.cli.ca_token import URI_FILE, ExistingKeyOption, TokenOption
from spendgate.cli.options import whole_number
from spendgate.cli.output import inert, note, writing
from spendgate.cli.passphrase import PassphraseOption, passphrase
from spendgate.config.bundle import Gathering
from spendgate.config.known import KNOWN
from spendgate.config.policy_file import parse_policy
from spendgate.config.reading import read_regular, unread
from spendgate.config.words import host as host_word
from spendgate.errors import SpendgateError, UsageError
from spendgate.name_constraints import permitted
from spendgate.providers.below import WILD
from spendgate.providers.registry import Registry

ROOT_FILE, KEY_FILE = "root.pem", "root-key.p12"
KEY_BYTES_MAX, REQUEST_BYTES_MAX = 1_000_000, 20_000
_YEARS_MOST = 20

RootOption = Annotated[
    Path,
    typer.Option("--root", metavar="DIR", help="The folder that `ca org init` made.", show_default=False),
]
DeviceOption = Annotated[
    str,
    typer.Option("--device", metavar="NAME", help="The device's name, as your inventory has it.", show_default=False),
]
LeafDaysOption = Annotated[
    int,
    typer.Option(
        "--days",
        parser=whole_number("--days", LEAF_DAYS_MOST),
        metavar="N",
        help=f"For how long the certificates hold: 1 to {LEAF_DAYS_MOST}.",
    ),
]
HostsOption = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="NAME", help="An exact host; may be given again."),
]
PolicyHostsOption = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="A policy: its `capture` has the hosts.", readable=False),
]
_commands = typer.Typer(
    help="An organization's authority: devices hold certificates, and no CA's key.", no_args_is_help=True
)


def register(group: typer.Typer) -> None:
    """Add the group `org`, with the device's side of it."""
    from spendgate.cli import ca_enroll, ca_issued, ca_office  # noqa: PLC0415 - they share options with this module

    ca_issued.register(_commands)
    ca_office.register(_commands)
    ca_enroll.register(_commands)
    group.add_typer(_commands, name="org")


@_commands.command()
def init(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder for it.", show_default=False)],
    name: Annotated[
        str, typer.Option("--name", metavar="TEXT", help="The organization, as people know it.", show_default=False)
    ],
    host: HostsOption = None,
    policy: PolicyHostsOption = None,
    years: Annotated[
        int,
        typer.Option(
            "--years",
            parser=whole_number("--years", _YEARS_MOST),
            metavar="N",
            help=f"For how long the root holds: 1 to {_YEARS_MOST}.",
        ),
    ] = ROOT_YEARS,
    token: TokenOption = None,
    existing_key: ExistingKeyOption = False,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Make the organization's root: root.pem, which the MDM pushes, and root-key.p12, locked by a passphrase.

    With --token the key is made in an HSM or a smart card and never leaves it; root-key.uri says where it is. The token's PIN
    comes from SPENDGATE_PKCS11_PIN, else the OS keyring, else the terminal.

    It can sign for the hosts named by --host, else for those that --policy or the built-in policy captures, and the canary; for
    no other name and no address, as long as it lives. Run it on a machine that you trust, offline; no laptop ever needs the key.
    """
    if host and policy:
        raise UsageError("--host names all hosts, and --policy says which; give one of them")
    if existing_key and token is None:
        raise UsageError("--existing-key belongs to --token")
    hosts, left_out = _exact(hosts_of(policy), host)
    for each in (out / ROOT_FILE, out / KEY_FILE, out / URI_FILE):
        if each.exists():
            raise UsageError(f"{each} is there already; a root is never overwritten")
    held = ca_token.Held(token, existing_key, passphrase_file) if token is not None else None
    file = out / (URI_FILE if held else KEY_FILE)
    try:
        root = organization.new_root(hosts, name, datetime.now(UTC), years, held.key if held else organization.new_key)
        content = held.file() if held else _locked(root, file, passphrase_file)
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(file, content, KEY_MODE)
        replace(out / ROOT_FILE, root.pem, CERTIFICATE_MODE)
    except ValueError as fault:
        raise UsageError(str(fault)) from fault
    except OSError as fault:
        stays = "; its key stays in the token: again, with --existing-key" if held else ""
        raise SpendgateError(f"{out}: cannot be written: {fault.strerror}{stays}") from fault
    with writing():
        typer.echo(root.certificate.fingerprint(SHA256()).hex())
    for wild in left_out:
        note(f"{wild} is left out: the root signs for exact hosts alone; name each by --host")
    until = f"{root.certificate.not_valid_after_utc:%Y-%m-%d}"
    note(
        f"{out / ROOT_FILE} signs for {len(permitted(root.certificate))} hosts until {until}: copy it beside `mdm make`'s file"
    )
    note(held.said(file) if held else f"{file} is the one key: keep it and its passphrase apart, where no gate runs")


@_commands.command()
def issue(
    root: RootOption,
    device: DeviceOption,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where the device's file goes.", show_default=False)
    ],
    request: Annotated[
        Path | None,
        typer.Option(
            "--request", metavar="FILE", help="What `ca org request` wrote on the device, whose key stays there."
        ),
    ] = None,
    new_key: Annotated[
        bool,
        typer.Option("--new-key", help="Make the device's key, too: the file is secret, and for that device alone."),
    ] = False,
    days: LeafDaysOption = LEAF_DAYS,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Sign for one device: a certificate for each host of the root, and what clients need to reach the root, in one file.

    The issuer between them is made for this file, and its key forgotten with the last signature.
    """
    if (request is None) is not new_key:
        raise UsageError("give --request FILE, or --new-key where the device cannot ask; one of them")
    key = organization.new_key() if request is None else _asked(request, device)
    unlocked = opened(root, passphrase_file)
    try:
        made = organization.bundle(unlocked, device, datetime.now(UTC), timedelta(days=days), key)
    except ValueError as fault:
        raise SpendgateError(str(fault)) from fault
    try:
        replace(out, made, KEY_MODE)
    except OSError as fault:
        raise SpendgateError(f"{out}: cannot be written: {fault.strerror}") from fault
    secret = "with its key: for that device alone" if new_key else "without a key"
    note(f"{out} for {device}, {days} days, {secret}; there: `spendgate ca org install FILE`")


def _locked(root: Signer, file: Path, passphrase_file: Path | None) -> bytes:
    """The key's file. Raises ValueError for a short passphrase."""
    return organization.locked(root, passphrase(passphrase_file, f"passphrase for {file}", twice=True))


def _asked(request: Path, device: str) -> ec.EllipticCurvePublicKey:
    """The key of a device's request. Raises SpendgateError."""
    try:
        found = organization.read_request(_read(request, REQUEST_BYTES_MAX))
    except ValueError as fault:
        raise SpendgateError(f"{request}: {fault}") from fault
    if found.device != device:
        raise SpendgateError(
            f"{request} is of {found.device}, and --device is {inert(device)}: which of them is meant?"
        )
    return found.key


def opened(folder: Path, passphrase_file: Path | None) -> Signer:
    """The root, unlocked. Raises SpendgateError."""
    if (folder / URI_FILE).exists():
        return ca_token.opened(folder / URI_FILE, folder / ROOT_FILE, passphrase_file)
    file = folder / KEY_FILE
    data = _read(file, KEY_BYTES_MAX)
    try:
        return organization.unlocked(data, passphrase(passphrase_file, f"passphrase for {file}"))
    except ValueError as fault:
        raise SpendgateError(f"{file}: {fault}") from fault


def hosts_of(policy: Path | None) -> tuple[str, ...]:
    """The hosts that a policy captures; None: that every policy does. Raises PolicyError."""
    if policy is None:
        return tuple(KNOWN.hosts)
    origin = Gathering(policy)
    return Registry.build(parse_policy(origin.main, str(policy), KNOWN, beside=origin.beside).capture).hosts()


def named(hosts: list[str] | None) -> tuple[str, ...]:
    """Hosts of the command line. Raises UsageError."""
    try:
        return tuple(host_word(each) for each in hosts or ())
    except ValueError as fault:
        raise UsageError(f"--host: {fault}") from fault


def _exact(captured: tuple[str, ...], host: list[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The hosts to sign for, and those of a policy that are none by themselves."""
    if host:
        return named(host), ()
    wild = tuple(each for each in captured if each.startswith(WILD))
    return tuple(each for each in captured if each not in wild), wild


def _read(file: Path, most: int) -> bytes:
    try:
        data = read_regular(file, most + 1)
    except OSError as fault:
        raise SpendgateError(unread(file, fault)) from fault
    if len(data) > most:
        raise SpendgateError(f"{file}: is larger than {most:,} bytes, and so none of `spendgate ca org`")
    return data
