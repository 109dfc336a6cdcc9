"""Which module holds which command, and the command line made of them.

A process runs one command, and loading all of them takes a third of what starting `spendgate run` does: so that only those
modules are loaded that the command named first needs. A word that is no command takes them all; the list of commands (`--help`)
and the version take none, since the list is written down here.
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

LISTED: Final = {
    "run": "Capture, decide and record until stopped. Prints one line `ready …` on stderr when it accepts connections.",
    "exec": "Start capture on a free port, run COMMAND so that its calls pass through it, stop, and print what it spent.",
    "status": "Gate, policy, budgets of this person (spent and held told apart), rates, and connections that could not be read.",
    "spend": "Totals of what was spent, dearest first.",
    "digest": (
        "One week: top five spenders and the change, outliers, models, budgets that end early, exceptions, "
        "refusals, keys, prices."
    ),
    "doctor": "A canary call through every way to the gate, each installed tool's trust and way, and processes that go around.",
    "me": "Everything that is kept about you, for how long, and what the company sees. `--format json` has the rows themselves.",
    "purge": (
        "Let calls older than `privacy.keep` of the policy in force become sums by day and person. A running "
        "gate does it by itself,\nonce a day."
    ),
    "calls": "One line for each call; `calls show ID` explains one.",
    "audit": "What happened beside calls, chained so that a change is found.",
    "ca": "The certificate authority of this device, or of an organization.",
    "policy": "Check a policy, ask what it would do, compare it, sign it.",
    "alerts": "What was told, to whom, and whether it is there.",
    "ask": "Ask for more of a budget that has refused you.",
    "grant": "Grant more of a budget to somebody who asked.",
    "reconcile": "Captured against billed: take in statements, explain the gap.",
    "ledger": "Many ledgers, read as one.",
    "export": "Calls in the formats of other programs.",
    "service": "The gate as a service of this machine (Linux with systemd; macOS; Windows).",
    "mdm": "What an MDM pushes to laptops.",
}
"""What `--help` says of each, in its order; the hidden ones are not there. A test holds it against the commands."""
_LISTS = ("--help", "-h", "--version")


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
    if first in _LISTS:
        for name, text in LISTED.items():
            app.command(name, help=text)(_listed)
        return app
    for modules in [COMMANDS[first]] if first in COMMANDS else COMMANDS.values():
        for module in modules:
            import_module(f"spendgate.cli.{module}").register(app)
    return app


def _listed() -> None:
    """Stands for a command in the list alone: the options of `_LISTS` end the program before any command."""
    raise typer.Exit(2)


def _common(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Options before the command."""
    if version:
        with writing():
            typer.echo(f"spendgate {__version__}")
        raise typer.Exit
