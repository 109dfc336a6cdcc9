"""`spendgate ca org request`, `install` and `remove`: what a device does with an organization's certificates."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from spendgate.capture import issued_files, organization
from spendgate.capture.pem_parts import BYTES_MAX
from spendgate.cli import in_force
from spendgate.cli.ca_org import DeviceOption, HostsOption, PolicyHostsOption, hosts_of, named
from spendgate.cli.options import StateOption, refuse_others
from spendgate.cli.output import note, writing
from spendgate.config import paths
from spendgate.config.reading import read_regular, unread
from spendgate.errors import PolicyError, SpendgateError, StateError, UsageError
from spendgate.ledger.gates import living
from spendgate.providers.registry import Registry


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command()(request)
    group.command()(install)
    group.command()(remove)


def request(
    device: DeviceOption,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where the request goes; without it, stdout.")
    ] = None,
    state: StateOption = None,
) -> None:
    """Make a key that stays here, and a signing request for it (PKCS#10), which `ca org issue` answers on the admin's machine.

    As the account that runs the gate. Asked again before the answer is installed, it is the same key.
    """
    if not organization.DEVICE.fullmatch(device):
        raise UsageError("--device: letters, digits, dots, hyphens and underscores; at most 64")
    found = own(state)
    asked = organization.new_request(device, issued_files.requested(found))
    if out is None:
        with writing():
            typer.echo(asked.decode("ascii"), nl=False)
        return
    try:
        out.write_bytes(asked)
    except OSError as fault:
        raise SpendgateError(f"{out}: cannot be written: {fault.strerror}") from fault
    note(f"{out} is for `spendgate ca org issue --request` where the organization's root is; the key stays here")


def install(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `ca org issue` wrote; - reads stdin.", show_default=False)
    ],
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="FILE", help="root.pem, as it is trusted here: nothing of another is taken."),
    ] = None,
    host: HostsOption = None,
    policy: PolicyHostsOption = None,
    state: StateOption = None,
) -> None:
    """Take the organization's certificates, after looking at everything in them; a gate that runs shows them within seconds.

    As the account that runs the gate. A CA's key of the device's own is removed: from its next start on the gate holds none.
    Hosts may be named that every policy captures, that the policy in force or --policy does, and those of --host.
    """
    data = _data(file)
    found = own(state)
    signed_itself = found.ca_key.exists()
    took = issued_files.install(
        found,
        data,
        datetime.now(UTC),
        hosts_allowed(found, policy, host),
        place=str(file),
        root=root_pem(root) if root else None,
    )
    note(f"certificates {took.said} are installed; root {took.root.fingerprint(SHA256()).hex()}")
    if found.enrolment.exists():
        found.enrolment.unlink()
        note("this device is not enrolled over HTTPS any more: who installs a file brings the next one, too")
    told_installed(found, signed_itself)


def told_installed(found: paths.State, signed_itself: bool) -> None:
    """What comes of it for a gate that runs, or has run."""
    if signed_itself:
        note(
            "this device's own CA is removed: restart the gate; `spendgate ca untrust --old` takes it out of trust stores"
        )
    elif living(found.gates):
        note("a running gate takes them within seconds")


def remove(state: StateOption = None) -> None:
    """Remove the certificates with their key: the next start of the gate makes an authority of this device's own."""
    found = paths.find(state)
    if not found.leaves.exists() and not found.requested_key.exists():
        raise StateError(f"{found.root} has nothing of an organization's")
    refuse_others(found)
    had = found.leaves.exists()
    found.leaves.unlink(missing_ok=True)
    found.requested_key.unlink(missing_ok=True)
    found.enrolment.unlink(missing_ok=True)
    if had:
        found.ca_certificate.unlink(missing_ok=True)
    note("removed; restart the gate: it makes an authority of its own, which trust stores need: `spendgate ca trust`")


def own(state: Path | None) -> paths.State:
    """The state directory, made where it is not there. Raises StateError where it is another account's."""
    found = paths.find(state)
    if found.root.exists():
        refuse_others(found)
    return paths.prepare(found)


def hosts_allowed(state: paths.State, policy: Path | None, host: list[str] | None) -> set[str]:
    """Every host that a certificate here may be for."""
    captured = {*hosts_of(None), *named(host)}
    if policy is not None:
        return {*captured, *hosts_of(policy)}
    try:
        return {*captured, *Registry.build(in_force.policy(state).capture).hosts()}
    except PolicyError as fault:
        raise StateError(f"{fault}; or name the policy with --policy") from fault


def _data(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read(BYTES_MAX + 1)
    try:
        return read_regular(file, BYTES_MAX + 1)
    except OSError as fault:
        raise SpendgateError(unread(file, fault)) from fault


def root_pem(file: Path) -> bytes:
    """As `install` compares it. Raises SpendgateError."""
    try:
        return x509.load_pem_x509_certificate(read_regular(file, BYTES_MAX)).public_bytes(Encoding.PEM)
    except OSError as fault:
        raise SpendgateError(unread(file, fault)) from fault
    except ValueError as fault:
        raise SpendgateError(f"{file}: is no certificate in PEM") from fault
