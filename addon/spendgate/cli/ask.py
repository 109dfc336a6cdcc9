"""`spendgate ask`: what a refused person runs. Writes the request down and prints what the owner needs to grant it."""

from __future__ import annotations

from typing import Annotated

import typer

from spendgate.cli.asking import amount_of
from spendgate.cli.desk import Wish
from spendgate.cli.desks import desk
from spendgate.cli.options import FormatOption, StateOption
from spendgate.cli.output import Column, Format, emit, inert, writing
from spendgate.cli.routed import Routed

COLUMNS = (
    Column("id", "ask", weight=0),
    Column("status", "status", weight=0),
    Column("person", "person", weight=2),
    Column("budget", "budget", weight=0),
    Column("amount_nanos", "more", right=True, weight=0),
    Column("ends", "until", weight=2),
    Column("asked_of", "asked of", weight=2),
    Column("reached", "message", weight=1, wraps=True),
    Column("reason", "reason", weight=2, wraps=True),
)
KEYS = (
    "id",
    "status",
    "person",
    "budget",
    "amount_nanos",
    "asked_at",
    "until",
    "asked_of",
    "reached",
    "reason",
    "grant",
    "figures",
    "code",
)
group = typer.Typer(name="ask", help="Ask for more of a budget that has refused you.", cls=Routed)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group)


@group.command(Routed.MAIN)
def ask(
    amount: Annotated[
        str | None,
        typer.Argument(metavar="AMOUNT", help="Dollars; without it a fifth of the limit.", show_default=False),
    ] = None,
    reason: Annotated[str, typer.Option("--for", metavar="REASON", help="What it is for.")] = "",
    budget: Annotated[
        str | None,
        typer.Option("--budget", metavar="NAME", help="Which budget; without it the one that refused you last."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="T", help="8h, 3d, 2026-12-04; without it until the budget resets.")
    ] = None,
    state: StateOption = None,
) -> None:
    """Ask for more of the budget that has refused you last: spendgate ask 50 --for "release week"."""
    if amount is not None:
        amount_of(amount, None, 0)  # a wrong one is told as that, also where there is no ledger yet
    lines = desk(state).ask(Wish(amount, reason, budget, until))
    with writing():
        for line in lines:
            typer.echo(inert(line))


@group.command("list")
def list_(state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """What was asked for on this ledger, and what became of it."""
    emit(desk(state).asks(), COLUMNS, fmt, empty="nobody has asked for more yet", keys=KEYS)
