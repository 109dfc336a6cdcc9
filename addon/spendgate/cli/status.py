"""`spendgate status`: is a gate up, which policy holds, what is left of each budget, and what could not be seen."""

from __future__ import annotations

import typer

from spendgate.cli import budget_rows
from spendgate.cli.desks import desk
from spendgate.cli.options import FormatOption, StateOption
from spendgate.cli.output import Format, emit, emit_json
from spendgate.cli.status_shown import print_report


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """Gate, policy, budgets of this person (spent and held told apart), rates, and connections that could not be read."""
    report = desk(state).status()
    if fmt is Format.JSON:
        emit_json(report.as_json())
    elif fmt is Format.CSV:
        emit(report.budgets, budget_rows.COLUMNS, fmt, keys=budget_rows.KEYS)
    else:
        print_report(report)
