"""`spendgate service`: the gate as a service of the machine, put up, taken away, and asked how it is. Linux with systemd."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli.options import FormatOption
from spendgate.cli.output import Format
from spendgate.errors import StateError, UsageError

_commands = typer.Typer(help="The gate as a service of this machine (Linux with systemd).", no_args_is_help=True)
RootOption = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Files alone, below DIR as a package has them; no account, nothing started.",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print all that would be done, and do nothing.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(_commands, name="service")


@_commands.command()
def install(
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", help="The policy file; without it the default policy."),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The proxy's port on loopback.")] = 8080,
    program: Annotated[
        Path | None,
        typer.Option(
            "--program", metavar="PATH", help="The spendgate that is to be started; else the one that runs this."
        ),
    ] = None,
    root: RootOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Install the gate as a systemd service under its own account, and start it. Again: what differs is mended, and told."""
    _only_linux()
    from spendgate.cli import installing  # noqa: PLC0415 - Linux alone has what it asks

    wanted = installing.Wanted(policy, port, program)
    if dry_run:
        installing.show(wanted, root)
    elif root is not None:
        installing.write_below(wanted, root)
    else:
        installing.install(wanted)


@_commands.command()
def uninstall(
    keep_ledger: Annotated[
        bool, typer.Option("--keep-ledger", help="Leave the ledger where it is, root's alone from then on.")
    ] = False,
    root: RootOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Stop the service and take away all that `install` made: unit, account, group, state, and the ledger with it."""
    _only_linux()
    from spendgate.cli import removing  # noqa: PLC0415 - Linux alone has what it asks

    if root is not None and keep_ledger:
        raise UsageError("--keep-ledger: there is no ledger below --root, only a package's files")
    if root is not None:
        removing.remove_below(root, dry_run=dry_run)
    else:
        removing.uninstall(keep_ledger=keep_ledger, dry_run=dry_run)


@_commands.command()
def status(fmt: FormatOption = Format.TABLE) -> None:
    """The unit's state and since when, version, where it listens, its ledger, the last call. Exit status 1 unless it runs."""
    _only_linux()
    from spendgate.cli import service_status  # noqa: PLC0415 - Linux alone has what it asks

    service_status.show(fmt)


def _only_linux() -> None:
    """Raises StateError."""
    if sys.platform != "linux":
        system = {"darwin": "macOS", "win32": "Windows"}.get(sys.platform, sys.platform)
        raise StateError(
            f"a service on {system} is not built yet, Linux with systemd alone; "
            "`spendgate run` captures until it is stopped, and `spendgate exec` for one command"
        )
