"""`spendgate audit`: the trail, the proof that neither it nor a settled call was changed, taking note of what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli.desk import Verified
from spendgate.cli.desks import desk
from spendgate.cli.file_verified import verified
from spendgate.cli.moments import iso, shown
from spendgate.cli.options import FormatOption, StateOption
from spendgate.cli.output import Column, Format, console, emit, note, safe, writing
from spendgate.cli.spend import SinceOption
from spendgate.errors import StateError
from spendgate.window import zone_of

_COLUMNS = (
    Column("position", "line", right=True, weight=0),
    Column("at", "at", weight=1),
    Column("what", "what", weight=0),
    Column("who", "who", weight=3),
    Column("detail", "detail", weight=2, wraps=True),
    Column("calls", "after calls", right=True, weight=4),
)
_KEYS = ("position", "at", "what", "who", "detail", "calls", "calls_head", "head")
_commands = typer.Typer(help="What happened beside calls, chained so that a change is found.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(_commands, name="audit")


@_commands.command("list")
def list_(since: SinceOption = None, state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """Starts, stops, policies, modes, failures, clocks, grants, alerts and what was found about the ledger; oldest first."""
    found = desk(state).audit(since)
    zone = zone_of(found.timezone)
    rows = [
        {key: (shown(line["at_ms"], zone) if fmt is Format.TABLE else iso(line["at_ms"])) if key == "at" else line[key]
         for key in _KEYS}
        for line in found.rows
    ]  # fmt: skip
    emit(rows, _COLUMNS, fmt, empty="no audit line in this span", keys=_KEYS)


@_commands.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A ledger; without it that of the state directory.")
    ] = None,
    state: StateOption = None,
) -> None:
    """Recompute both chains and every balance; exit status 1 and the first altered or missing line where something was changed.

    What `heads.json` beside the ledger remembers is compared, too.
    """
    if file is not None and not file.is_file():
        raise StateError(f"{file} is not there, or is no file")
    found = desk(state).verify() if file is None else verified(file)
    if found.faults:
        _print_faults(found)
        raise typer.Exit(1)
    with writing():
        console().print(found.says)


@writing()
def _print_faults(found: Verified) -> None:
    out = console()
    out.print(f"[red]first fault:[/] {safe(found.faults[0])}", soft_wrap=True)
    for fault in found.faults[1:]:
        out.print(f"             {safe(fault)}", soft_wrap=True)
    if found.more:
        out.print(f"             and {found.more} more")


@_commands.command()
def ack(state: StateOption = None) -> None:
    """Take note of what was found about the ledger: `status` shows it no more, and a line says who took note of it.

    For the account that the state directory belongs to; with a service for admins.
    """
    for line in desk(state).take_note():
        note(line)
