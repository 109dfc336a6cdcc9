"""`spendgate ca devcontainer`: the authority's certificate as a feature that devcontainers' images are built with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli import ca_trust
from spendgate.cli.options import StateOption
from spendgate.cli.output import writing
from spendgate.config import paths
from spendgate.errors import SpendgateError
from spendgate.mdm.devcontainer import ID, feature


def devcontainer(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help=f"The folder of devcontainer.json; the feature goes to {ID} in it."),
    ],
    state: StateOption = None,
) -> None:
    """Write a devcontainer feature by which an image trusts the certificate: its system's store, and runtimes by variables.

    Then `"features": {"./spendgate-trust": {}}` in devcontainer.json. No key is in it. It routes nothing.
    """
    ours = ca_trust.anchor_of(paths.find(state).ca_certificate)
    ca_trust.check(ours)
    made = feature(ours.pem)
    try:
        for each in made:
            path = out.joinpath(*each.path.split("/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(each.content)
            path.chmod(0o755 if path.suffix == ".sh" else 0o644)
    except OSError as fault:
        raise SpendgateError(f"{fault.filename or out}: cannot be written: {fault.strerror}") from fault
    with writing():
        typer.echo(f'{out / ID}: in devcontainer.json beside it: "features": {{"./{ID}": {{}}}}')
