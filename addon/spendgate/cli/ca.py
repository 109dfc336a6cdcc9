"""`spendgate ca`: the device's certificate authority, shown, tried, trusted and replaced."""

from __future__ import annotations

from datetime import UTC, datetime

import typer
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from spendgate.cli import ca_trust, ca_verify
from spendgate.cli.options import FormatOption, StateOption
from spendgate.cli.output import Format, emit, emit_json, note, writing
from spendgate.config import paths
from spendgate.errors import StateError

_commands = typer.Typer(help="The certificate authority of this device.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group."""
    _commands.command()(ca_verify.verify)
    _commands.command()(ca_trust.trust)
    _commands.command()(ca_trust.untrust)
    app.add_typer(_commands, name="ca")


@_commands.command()
def show(state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """Where the certificate is, until when it holds, where it is trusted, and for which hosts alone it can sign.

    CSV has a line for each host.
    """
    file = paths.find(state).ca_certificate
    if not file.exists():
        raise StateError(
            f"{file} is not there: `spendgate run` makes it at its next start; `exec` keeps its own in memory"
        )
    content = file.read_bytes()
    certificate = x509.load_pem_x509_certificate(content)
    constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    names = sorted(str(name.value) for name in constraints.permitted_subtrees or ())
    until = certificate.not_valid_after_utc
    days, trusted = (until - datetime.now(UTC)).days, ca_trust.trusted_in(content, file)
    facts = {
        "certificate": str(file),
        "sha256": certificate.fingerprint(SHA256()).hex(),
        "valid_until": f"{until:%Y-%m-%dT%H:%M:%SZ}",
        "days_left": days,
    }
    if fmt is Format.JSON:
        emit_json({**facts, "trusted_in": trusted, "signs_for": names})
    elif fmt is Format.CSV:
        emit([{**facts, "trusted_in": "; ".join(trusted or ()), "signs_for": name} for name in names], (), fmt)
    else:
        with writing():
            typer.echo(f"certificate  {file}")
            typer.echo(f"sha256       {facts['sha256']}")
            typer.echo(f"valid until  {until:%Y-%m-%d} ({days} days)")
            if trusted is not None:
                typer.echo(
                    f"trusted in   {', '.join(trusted) or 'no store that this account sees: `spendgate ca trust`'}"
                )
            typer.echo(f"signs for    {len(names)} host{'' if len(names) == 1 else 's'}:")
            for name in sorted(names, key=_by_domain):
                typer.echo(f"  {name}")


def _by_domain(host: str) -> list[str]:
    """Hosts of one domain stand together: compared from their last label."""
    return host.split(".")[::-1]


@_commands.command()
def rotate(state: StateOption = None) -> None:
    """Remove the authority, so that the next start of the gate makes another, for the hosts that the policy then names.

    Trust stores need the new certificate afterwards: `ca trust`, then `ca untrust --old`. A running gate keeps the old one until
    it is restarted.
    """
    found = paths.find(state)
    if not found.ca_key.exists() and not found.ca_certificate.exists():
        raise StateError(f"{found.root} has no certificate authority to rotate")
    found.ca_key.unlink(missing_ok=True)
    found.ca_certificate.unlink(missing_ok=True)
    note("removed; restart the gate, then `spendgate ca trust`, and `spendgate ca untrust --old` takes the old one out")
