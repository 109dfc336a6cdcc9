"""`spendgate doctor`: does this machine's traffic reach the gate, which tools trust it, what goes around, how is the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli.desks import desk
from spendgate.cli.options import FormatOption, StateOption
from spendgate.cli.output import Format, emit, emit_json
from spendgate.errors import UsageError

KEYS = ("check", "about", "state", "says", "remedy")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    state: StateOption = None,
    fmt: FormatOption = Format.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    osquery: Annotated[
        Path | None,
        typer.Option(
            "--osquery", metavar="FILE", help="Also write it as tables that osquery reads, in place of the last."
        ),
    ] = None,
) -> None:
    """A canary call through every way to the gate, each installed tool's trust and way, and processes that go around.

    It looks from where it is run: with this account's variables, rights and processes. As root it sees every account's. It
    changes nothing, and costs and records nothing. Exit status 1 where something is found; what could not be looked at is said.
    """
    from spendgate.cli import doctor_shown  # noqa: PLC0415 - with what no other command loads
    from spendgate.cli.examining import examined  # noqa: PLC0415 - as above
    from spendgate.doctor.osquery import write  # noqa: PLC0415 - as above

    if as_json:
        if fmt is Format.CSV:
            raise UsageError("--json and --format csv: one of them")
        fmt = Format.JSON
    found = examined(desk(state))
    if osquery is not None:
        write(osquery, doctor_shown.document(found))
    if fmt is Format.JSON:
        emit_json(doctor_shown.document(found))
    elif fmt is Format.CSV:
        emit([doctor_shown.row(each) for each in found.checks], (), fmt, keys=KEYS)
    else:
        doctor_shown.print_examined(found)
    if found.findings:
        raise typer.Exit(1)
