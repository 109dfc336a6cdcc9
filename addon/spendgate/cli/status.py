"""`spendgate status`: is a gate up, which policy holds, what is left of each budget, and what could not be seen."""

from __future__ import annotations

import getpass
import os
import sys
from contextlib import closing

import typer

from spendgate.cli import budget_rows, granted, in_force
from spendgate.cli.options import FormatOption, StateOption, existing_state
from spendgate.cli.output import Format, emit, emit_json
from spendgate.cli.outside import now_ms as time_of
from spendgate.cli.report import gathered
from spendgate.cli.status_shown import print_report
from spendgate.ledger.queries import Reader


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """Gate, policy, budgets of this person (spent and held told apart), rates, and connections that could not be read."""
    found = existing_state(state)
    policy = in_force.policy(found)
    now_ms = time_of(found)
    with closing(Reader(found.ledger)) as reader:
        policy = granted.shown(found, policy, reader, now_ms)
        report = gathered(found, policy, reader, own_account(), now_ms)
    if fmt is Format.JSON:
        emit_json(report.as_json())
    elif fmt is Format.CSV:
        emit(report.budgets, budget_rows.COLUMNS, fmt, keys=budget_rows.KEYS)
    else:
        print_report(report)


def own_account() -> str:
    """The account that this process runs as, as the gate names it: asked of the system, since the environment can be set."""
    if sys.platform == "win32":
        return getpass.getuser()
    from spendgate.identity.accounts import Accounts  # noqa: PLC0415 - imports what only POSIX has

    return Accounts().name(os.getuid(), now_s=0)
