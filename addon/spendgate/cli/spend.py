"""`spendgate spend`: totals, by any attributes and periods."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Annotated

import typer

from spendgate.cli.desk import Asking
from spendgate.cli.desks import desk
from spendgate.cli.observed import LISTED
from spendgate.cli.options import FormatOption, StateOption
from spendgate.cli.output import Column, Format, emit, note
from spendgate.cli.spans import GROUPS, attributes, nothing
from spendgate.ledger.spending import Spend

SinceOption = Annotated[str | None, typer.Option("--since", metavar="T", help="From then on: today, 7d, 2026-11-22, …")]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="T", help="Before then.")]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="ATTR=VALUE",
        help="Only these; ATTR= those that have none. May be given again, for another attribute.",
    ),
]
_TOTALS = (
    Column("calls", "calls", right=True, weight=0),
    Column("refused", "refused", right=True, weight=2),
    Column("cost_nanos", "spent", right=True, weight=0),
    Column("held_nanos", "held", right=True, weight=1),
    Column("value_nanos", "list price", right=True, weight=6),
    Column("not_reported_nanos", "estimated", right=True, weight=5),
    Column("calibrated_nanos", "calibrated", right=True, weight=6),
    Column("input_tokens", "input", right=True, weight=3),
    Column("cache_read_tokens", "cache read", right=True, weight=4),
    Column("cache_write_tokens", "cache write", right=True, weight=4),
    Column("output_tokens", "output", right=True, weight=3),
)
_NOT_CAPTURED = (Column("not_captured_nanos", "not captured", right=True, weight=1),)
_NONE = {"refused_by": "not refused", "refused_why": "not refused", "would_refuse_by": "by no rule"}
"""How a table calls the group of calls that have no such attribute; `no team`, where the word alone says it."""
_FIGURES = tuple(field.name for field in fields(Spend) if field.name != "key")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("spend")(spend)


def spend(
    by: Annotated[str, typer.Option("--by", metavar="ATTR[,ATTR]", help=f"Any of: {', '.join(GROUPS)}.")] = "person",
    since: SinceOption = None,
    until: UntilOption = None,
    where: WhereOption = None,
    state: StateOption = None,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """Totals of what was spent, dearest first."""
    names, asking = attributes(by), Asking(since, until, tuple(where or ()))
    found = desk(state).spend(by, asking, fmt is Format.TABLE)
    # What was free altogether is no spend.
    spent = [total for total in found.totals if total.calls or total.refused or total.not_captured_nanos]
    beside = _NOT_CAPTURED if any(total.not_captured_nanos for total in spent) else ()
    columns = [*(Column(name, name, weight=0) for name in names), *_TOTALS[:3], *beside, *_TOTALS[3:]]
    rows = [_row(names, total) for total in spent]
    if fmt is Format.TABLE:
        rows = [{**row, **{name: _word(name) for name in names if row[name] in (None, "")}} for row in rows]
    emit(rows, columns, fmt, empty=nothing(asking), keys=(*names, *_FIGURES))
    if found.note:
        note(found.note)
    if found.billed:
        note(found.billed)
    if found.unrecognized:
        note(f"not counted, for nobody knows whether they cost money: {found.unrecognized:,} unrecognized ({LISTED})")
    for line in found.seats:
        note(f"seat {line}")


def _word(name: str) -> str:
    return _NONE.get(name) or f"no {name.replace('_', ' ')}"


def _row(names: tuple[str, ...], total: Spend) -> dict[str, object]:
    numbers = asdict(total)
    del numbers["key"]
    return {**dict(zip(names, total.key, strict=True)), **numbers}
