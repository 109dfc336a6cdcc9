"""`spendgate ca`: the certificate authority, shown, tried, trusted and replaced; `org`: an organization's."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import typer
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from spendgate.capture import ca_next, issued, issued_files, organization
from spendgate.capture.issued import Issued
from spendgate.cli import ca_devcontainer, ca_org, ca_trust, ca_verify, in_force
from spendgate.cli.options import FormatOption, StateOption, refuse_others
from spendgate.cli.output import Format, emit, emit_json, note, writing
from spendgate.config import paths
from spendgate.errors import StateError
from spendgate.name_constraints import permitted
from spendgate.providers.registry import Registry

BUNDLES: Final = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
)
"""Linux' bundles of all that the system trusts: Debian's and Red Hat's."""
_commands = typer.Typer(help="The certificate authority of this device, or of an organization.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group."""
    _commands.command()(ca_verify.verify)
    _commands.command()(ca_trust.trust)
    _commands.command()(ca_trust.untrust)
    _commands.command()(ca_devcontainer.devcontainer)
    ca_org.register(_commands)
    app.add_typer(_commands, name="ca")


@_commands.command()
def show(state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """Where the certificate is, until when it holds, where it is trusted, and for which hosts alone it can sign.

    CSV has a line for each host.
    """
    found = paths.find(state)
    file = found.ca_certificate
    if not file.exists():
        raise StateError(
            f"{file} is not there: `spendgate run` makes it at its next start; `exec` keeps its own in memory"
        )
    content, now = file.read_bytes(), datetime.now(UTC)
    certificate = x509.load_pem_x509_certificate(content)
    names, until = sorted(permitted(certificate)), certificate.not_valid_after_utc
    trusted, held = ca_trust.trusted_in(content, file), _issued(found, now)
    if not trusted:
        trusted = bundle_with(certificate) or trusted
    facts: dict[str, object] = {
        "certificate": str(file),
        "sha256": certificate.fingerprint(SHA256()).hex(),
        "valid_until": f"{until:%Y-%m-%dT%H:%M:%SZ}",
        "days_left": (until - now).days,
        "of": "organization" if organization.is_organizations(certificate) else "device",
        **held,
        **({"next": str(following)} if (following := ca_next.seen_next(file)) else {}),
    }
    if fmt is Format.JSON:
        emit_json({**facts, "trusted_in": trusted, "signs_for": names})
    elif fmt is Format.CSV:
        emit([{**facts, "trusted_in": "; ".join(trusted or ()), "signs_for": name} for name in names], (), fmt)
    else:
        _print(facts, trusted, names)


def _issued(state: paths.State, now: datetime) -> dict[str, object]:
    """What an organization issued to this device; nothing for a device that signs for itself, or where this account may not look.

    Raises StateError.
    """
    try:
        state.leaves.lstat()
        anothers = _is_root() and state.root.stat().st_uid != 0
        found = _read_by_root(state) if anothers else issued_files.load(state)
    except (FileNotFoundError, PermissionError):
        return {}
    return {
        "device": found.device,
        "issued_hosts": len(found.leaves),
        "issued_until": f"{found.term.dies:%Y-%m-%dT%H:%M:%SZ}",
        "issued_days_left": found.term.days_left(now),
    }


def _read_by_root(state: paths.State) -> Issued:
    """Root looks at what is the gate's account's. Raises StateError, as `issued_files.load`."""
    file, owner = state.leaves, state.root.stat().st_uid
    if not stat.S_ISREG(file.lstat().st_mode) or file.lstat().st_uid != owner:
        raise StateError(f"{file} is not the gate's own file, of uid {owner}: {issued_files.REMEDY}")
    try:
        return issued.read(file.read_bytes())
    except ValueError as fault:
        raise StateError(f"{file} {fault}: {issued_files.REMEDY}") from fault


def _is_root() -> bool:
    asked: Callable[[], int] | None = getattr(os, "geteuid", None)
    return asked is not None and asked() == 0


def bundle_with(certificate: x509.Certificate, bundles: Sequence[Path] = BUNDLES) -> list[str]:
    """The system's bundle that has this certificate, by whatever name it was put there: an MDM's file is not called as ours."""
    pem = certificate.public_bytes(Encoding.PEM).strip()
    return [f"the system's store ({each})" for each in bundles if each.is_file() and pem in each.read_bytes()]


@writing()
def _print(facts: Mapping[str, object], trusted: Sequence[str] | None, names: Sequence[str]) -> None:
    typer.echo(f"certificate  {facts['certificate']}")
    typer.echo(f"sha256       {facts['sha256']}")
    typer.echo(f"valid until  {str(facts['valid_until'])[:10]} ({facts['days_left']} days)")
    if facts["of"] == "organization":
        typer.echo("of           an organization, whose root it is: no CA's key is on this device")
    if "device" in facts:
        until = f"until {str(facts['issued_until'])[:10]} ({facts['issued_days_left']} days)"
        typer.echo(f"issued       to {facts['device']}, for {facts['issued_hosts']} hosts, {until}")
    elif facts["of"] == "organization":
        typer.echo("issued       cannot be read by this account: ask as root, or as the gate's")
    if "next" in facts:
        typer.echo(f"next         {facts['next']}, at the gate's next start: `spendgate ca trust` before that")
    if trusted is not None:
        typer.echo(f"trusted in   {', '.join(trusted) or 'no store that this account sees: `spendgate ca trust`'}")
    typer.echo(f"signs for    {len(names)} host{'' if len(names) == 1 else 's'}:")
    for name in sorted(names, key=_by_domain):
        typer.echo(f"  {name}")


def _by_domain(host: str) -> list[str]:
    """Hosts of one domain stand together: compared from their last label."""
    return host.split(".")[::-1]


@_commands.command()
def rotate(state: StateOption = None) -> None:
    """Make another authority beside the one in use, for the hosts that the policy names now. The gate takes it at its next start.

    Trust it before that, by `ca trust`, and what runs goes on; `ca untrust --old` takes the old one out afterwards.
    """
    found = paths.find(state)
    if found.leaves.exists():
        raise StateError(
            f"{found.leaves} is an organization's: it renews it by `ca org issue`, and `ca org remove` takes it off this device"
        )
    if not found.ca_key.exists() and not found.ca_certificate.exists():
        raise StateError(f"{found.root} has no certificate authority to rotate: `spendgate run` makes one at its start")
    with _as_the_gate(found):  # whose key it is: root would make one that the gate cannot read
        hosts = Registry.build(in_force.policy(found).capture).hosts()
        file = ca_next.prepare_next(found.ca_certificate, found.ca_key, hosts, datetime.now(UTC))
    note(
        f"made {file}; the gate goes on with the one before until it is started again: `spendgate ca trust` first, then restart"
        " the gate, then `spendgate ca untrust --old` takes the old one out"
    )


@contextmanager
def _as_the_gate(state: paths.State) -> Iterator[None]:
    """Root does it as the account whose directory it is; that account, as itself. Raises StateError for anybody else."""
    if sys.platform != "linux" or os.geteuid() != 0:
        refuse_others(state)
        yield
        return
    from spendgate.redirect.privileges import acting_as  # noqa: PLC0415 - Linux alone has it

    with acting_as(state.root.stat().st_uid):
        yield
