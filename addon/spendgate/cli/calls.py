"""`spendgate calls` and `calls show ID`: one line for each call, and one call explained."""

from __future__ import annotations

from datetime import date, datetime, tzinfo
from typing import Annotated, Any

import typer

from spendgate.calibration import CALIBRATED
from spendgate.cli.call_explained import explained, guessed
from spendgate.cli.desk import Asking
from spendgate.cli.desks import desk
from spendgate.cli.moments import to_the_second
from spendgate.cli.options import FormatOption, StateOption, utf8, whole_number
from spendgate.cli.output import Column, Format, emit, emit_json, note
from spendgate.cli.spans import nothing
from spendgate.cli.spend import SinceOption, UntilOption, WhereOption
from spendgate.errors import UsageError
from spendgate.ledger.found_calls import CallHold
from spendgate.plural import counted
from spendgate.window import zone_of

_SHOWN_ID = 13
_MOST = 1_000_000_000
"""More calls than any ledger has, and few enough for SQLite to count to."""
COLUMNS = (
    Column("id", "id", weight=0),
    Column("started_at", "started", weight=2),
    Column("person", "person", weight=1),
    Column("tool", "tool", weight=1),
    Column("who", "sub-agent", weight=10),
    Column("model", "model", weight=1),
    Column("host", "host", weight=9),
    Column("path", "path", weight=9),
    Column("state", "state", weight=0),
    Column("input_tokens", "input", right=True, weight=6),
    Column("cache_read_tokens", "cache read", right=True, weight=7),
    Column("cache_write_tokens", "cache write", right=True, weight=7),
    Column("output_tokens", "output", right=True, weight=6),
    Column("cost_nanos", "cost", right=True, weight=0),
    Column("basis", "basis", weight=8),
    Column("why", "refused by", weight=3),
)
_commands = typer.Typer(help="One line for each call; `calls show ID` explains one.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(_commands, name="calls")


@_commands.callback()
def calls(
    context: typer.Context,
    since: SinceOption = None,
    until: UntilOption = None,
    where: WhereOption = None,
    limit: Annotated[
        int, typer.Option("--limit", parser=whole_number("--limit", _MOST), metavar="N", help="The newest so many.")
    ] = 50,
    free: Annotated[
        bool, typer.Option("--free", help="Also requests that cost nothing: settings, telemetry, token counts.")
    ] = False,
    state: StateOption = None,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """One line for each call, newest first. JSON and CSV hold every column of the ledger's view `calls`."""
    if context.invoked_subcommand is not None:
        _none_before(context, context.invoked_subcommand)
        return
    asking = Asking(since, until, tuple(where or ()))
    found = desk(state).calls(asking, limit, free)
    rows, zone = found.rows, zone_of(found.timezone)
    if fmt is Format.TABLE:
        today = datetime.now(zone).date()
        rows = tuple(_short(row, zone, today) for row in rows)
    emit(rows, COLUMNS, fmt, empty=nothing(asking), keys=found.columns)
    if found.note:
        note(found.note)
    if found.hidden:
        note(f"not shown: {counted(found.hidden, 'free request')} of this ledger (--free)")


def _none_before(context: typer.Context, command: str) -> None:
    """Options before a command of the group are those of the list, which is not made then: none may be lost in silence.

    Raises UsageError.
    """
    sources = {param.opts[0]: context.get_parameter_source(param.name or "") for param in context.command.params}
    given = [option for option, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if given:
        raise UsageError(
            f"{', '.join(given)} before `{command}` would be lost: write options behind it, "
            f"`spendgate calls {command} ID [--state DIR] [--format {'|'.join(Format)}]`"
        )


@_commands.command()
def show(
    call: Annotated[str, typer.Argument(metavar="ID", help="The call's id, or its beginning.")],
    state: StateOption = None,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """One call explained: who and how that is known, what was held, what it cost by which price, or why it was refused."""
    found = desk(state).call(utf8("ID", call))
    row, holds = found.row, found.holds
    if fmt is Format.JSON:
        emit_json({**row, "holds": [_hold(hold) for hold in holds]})
    elif fmt is Format.CSV:
        emit([row], COLUMNS, fmt)
    else:
        explained(row, holds)


def _short(row: dict[str, Any], zone: tzinfo, today: date) -> dict[str, Any]:
    return {
        **row,
        "id": row["id"][:_SHOWN_ID],
        "started_at": to_the_second(row["started_at"], zone, today),
        "model": row["model"] or row["model_requested"],
        "why": _why(row),
        "who": _sub_agent(row),
        "basis": _basis_word(row),
    }


def _basis_word(row: dict[str, Any]) -> str | None:
    said: str | None = row["basis"]
    if said is None:
        return None
    words = (said, "calibrated" if CALIBRATED in (row["flags"] or "") else "", "price unknown" if guessed(row) else "")
    return ", ".join(filter(None, words))


def _sub_agent(row: dict[str, Any]) -> str | None:
    """`review 01a220a2-c377 of main`: what the sub-agent is for, who it is, who started it; None for the main agent."""
    agent: str | None = row["agent"]
    name: str | None = row["agent_name"]
    if agent is None:
        return name
    whose = f"{agent[:_SHOWN_ID]} of {(row['parent_agent'] or 'main')[:_SHOWN_ID]}"
    return f"{name} {whose}" if name else whose


def _why(row: dict[str, Any]) -> str | None:
    if row["refused_by"]:
        return f"{row['refused_by']}: {row['refused_why']}"
    return f"would have been: {row['would_refuse_by']}" if row["would_refuse_by"] else None


def _hold(hold: CallHold) -> dict[str, object]:
    return {
        "budget": hold.budget,
        "value": hold.value,
        "window": hold.window,
        "mode": hold.mode,
        "held_nanos": hold.nanos,
        "charged_nanos": hold.charged_nanos,
    }
