"""Which module holds which command, and the command line made of them.

A process runs one command, and loading all of them takes a third of what starting `spendgate run` does: so that only those
modules are loaded that the command named first needs. Help, and a word that is no command, take them all.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Final

import typer

from spendgate import __version__
from spendgate.cli.output import writing

COMMANDS: Final = {
    "run": ("run_",),
    "exec": ("exec_",),
    "status": ("status",),
    "spend": ("spend",),
    "calls": ("calls",),
    "audit": ("audit",),
    "ca": ("ca",),
    "policy": ("policy_",),
    "alerts": ("alerts",),
    "digest": ("digest",),
    "ask": ("ask",),
    "grant": ("grant",),
    "reconcile": ("witness", "reconcile_report", "reconcile_calibrate", "reconcile"),
    "ledger": ("ledger_",),
    "export": ("export",),
    "doctor": ("doctor",),
    "answer": ("answering",),
    "me": ("me",),
    "service": ("service_",),
    "purge": ("purge",),
    "mdm": ("mdm",),
}
"""Command to its modules under `spendgate.cli`, in the order in which `--help` lists them. Each has a `register`."""


def application(first: str = "") -> typer.Typer:
    """The command line: with the command `first` alone where that is one, else with all of them."""
    app = typer.Typer(
        name="spendgate",
        help="Sees what AI tools spend, ties it to the person, and holds it to a budget before the call leaves.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_common)
    for modules in [COMMANDS[first]] if first in COMMANDS else COMMANDS.values():
        for module in modules:
            import_module(f"spendgate.cli.{module}").register(app)
    return app


def _common(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Options before the command."""
    if version:
        with writing():
            typer.echo(f"spendgate {__version__}")
        raise typer.Exit
