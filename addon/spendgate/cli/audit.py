"""`spendgate audit`: the trail, the proof that neither it nor a settled call was changed, taking note of what was found."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from msgspec.structs import replace

from spendgate.audit_words import AuditWord
from spendgate.cli import in_force, status
from spendgate.cli.moments import iso, shown
from spendgate.cli.options import FormatOption, StateOption, existing_state, refuse_others
from spendgate.cli.output import Column, Format, console, emit, note, safe, writing
from spendgate.cli.outside import heads_file, to_acknowledge
from spendgate.cli.outside import now_ms as time_of
from spendgate.cli.spend import SinceOption, span
from spendgate.config.paths import find, write_private
from spendgate.errors import StateError
from spendgate.ledger.audit_log import Line
from spendgate.ledger.heads_file import HeadsFile, Remembered
from spendgate.ledger.ledger import note_beside
from spendgate.ledger.queries import Reader
from spendgate.ledger.verify import Fault

_MOST_FAULTS = 20
_COLUMNS = (
    Column("position", "line", right=True, weight=0),
    Column("at", "at", weight=1),
    Column("what", "what", weight=0),
    Column("who", "who", weight=3),
    Column("detail", "detail", weight=2),
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
    policy = in_force.policy(find(state))
    since_ms = span(policy, since, None, None).since_ms if since else None
    found = existing_state(state)
    with closing(Reader(found.ledger)) as reader:
        lines = reader.audit(since_ms or 0)
    zone = ZoneInfo(policy.timezone)
    rows = [
        {key: (shown(line["at_ms"], zone) if fmt is Format.TABLE else iso(line["at_ms"])) if key == "at" else line[key]
         for key in _KEYS}
        for line in lines
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
    ledger = existing_state(state).ledger if file is None else file
    if not ledger.is_file():
        raise StateError(f"{ledger} is not there, or is no file")
    seen = HeadsFile(ledger.parent, write_private).read()
    with closing(Reader(ledger)) as reader:
        # Read before the ledger, which only grows: it has all of this, and maybe more.
        faults = reader.verify(seen.heads if seen else None)
        told, heads = list(islice(faults, _MOST_FAULTS)), reader.heads()
        more = sum(1 for _ in faults)
        gone = reader.purged_calls()
    if told:
        _print_faults(told, more)
        raise typer.Exit(1)
    against = "as remembered outside it" if seen and seen.heads else "nothing is remembered outside it"
    sums = f", of them {gone} purged by privacy.keep, whose sums by day hold" if gone else ""
    with writing():
        console().print(
            f"ledger {heads.id} holds: {heads.audit.position} audit lines, {heads.calls.position} ended calls{sums}; {against}\n"
            f"head {heads.audit.head}"
        )


@writing()
def _print_faults(faults: list[Fault], more: int) -> None:
    out = console()
    out.print(f"[red]first fault:[/] {safe(faults[0])}", soft_wrap=True)
    for fault in faults[1:]:
        out.print(f"             {safe(fault)}", soft_wrap=True)
    if more:
        out.print(f"             and {more} more")


@_commands.command()
def ack(state: StateOption = None) -> None:
    """Take note of what was found about the ledger: `status` shows it no more, and a line says who took note of it.

    For the account that the state directory belongs to: with a service that is an admin's, who alone can write there.
    """
    found = existing_state(state)
    refuse_others(found)
    file, account, now_ms = heads_file(found), status.own_account(), time_of(found)
    with file.locked():
        remembered = file.read() or Remembered()
        with closing(Reader(found.ledger)) as reader:
            findings = to_acknowledge(remembered, reader)
        if not findings:
            note("nothing is to be acknowledged")
            return
        for each in findings:
            line = Line(now_ms, AuditWord.ACKNOWLEDGED, f"{each.what}, found {iso(each.at_ms)}: {each.detail}", account)
            note_beside(found.ledger, line)
        file.write(replace(remembered, findings=()))
    for each in findings:
        note(f"{account} has acknowledged: {each.what}: {each.detail}")
