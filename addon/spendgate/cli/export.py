"""`spendgate export`: calls in the formats of other programs. Nothing is sent anywhere."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, TextIO

import typer

from spendgate.cli import in_force
from spendgate.cli.lines import counted
from spendgate.cli.options import StateOption, existing_state
from spendgate.cli.output import Row, note, plain_cell, writing
from spendgate.cli.spans import span
from spendgate.cli.spend import SinceOption, UntilOption, WhereOption
from spendgate.config import paths
from spendgate.errors import StateError, UsageError
from spendgate.exports import focus as focus_rows
from spendgate.exports import focus_billed, focus_check
from spendgate.exports import otlp as spans
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.reconcile.groups import charged
from spendgate.reconcile.run import Options
from spendgate.reconcile.run import billed as statements
from spendgate.window import DAY_MS, zone_of

_MOST_FAULTS = 20
group = typer.Typer(name="export", help="Calls in the formats of other programs.", no_args_is_help=True)
OutputOption = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Where to; else standard output.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group)


@group.command()
def focus(
    since: SinceOption = None,
    until: UntilOption = None,
    where: WhereOption = None,
    output: OutputOption = None,
    state: StateOption = None,
    billed: Annotated[
        bool,
        typer.Option("--billed", help="What imported statements bill instead, line by line: a dataset of its own."),
    ] = False,
) -> None:
    """A FOCUS 1.4 Cost and Usage file of what was captured, by UTC day: no invoice, so its BilledCost is 0."""
    if billed:
        _focus_billed(since, until, where, output, state)
        return
    with _asked(state, since, until, where) as (reader, asked):
        spent = reader.spend(focus_rows.BY, asked, zone_of("UTC"))
    rows = sorted(focus_rows.rows(spent), key=lambda row: (row["ChargePeriodStart"], *map(str, row.values())))
    with _out(output) as out:
        _csv(out, focus_rows.COLUMNS, iter(rows))


def _focus_billed(
    since: str | None, until: str | None, where: list[str] | None, output: Path | None, state: Path | None
) -> None:
    """Whole UTC days, as bills are."""
    if where:
        raise UsageError(
            "--where is about calls; lines of statements have none of their attributes: leave it out with --billed"
        )
    now_ms = time.time_ns() // 1_000_000
    with _asked(state, since, until, None) as (reader, asked):
        imports = reader.imports()
        if not imports:
            raise StateError("nothing was imported yet: `spendgate reconcile import FILE`")
        first = asked.since_ms if asked.since_ms is not None else min(each.from_ms for each in imports)
        last = asked.until_ms if asked.until_ms is not None else max(each.until_ms for each in imports)
        options = Options(first // DAY_MS * DAY_MS, -(-last // DAY_MS) * DAY_MS, now_ms)
        found = statements(reader, options)
    for each in found.notes:
        note(each)
    if found.open_days:
        note(f"{found.open_days} days are left out: they are not over, or their bill is not told yet")
    lines = (
        focus_billed.BilledLine(
            line, charged(line), of.statement.subject, of.statement.source, of.name, of.statement.sha256
        )
        for line, of in found.lines
    )
    with _out(output) as out:
        _csv(out, focus_billed.COLUMNS, focus_billed.rows(lines))


@group.command("csv")
def csv_(
    since: SinceOption = None,
    until: UntilOption = None,
    where: WhereOption = None,
    output: OutputOption = None,
    state: StateOption = None,
) -> None:
    """Every call with every column of the view `calls`, oldest first; no cell is run by a spreadsheet."""
    with _asked(state, since, until, where) as (reader, asked), _out(output) as out:
        _csv(out, reader.columns(), reader.each_call(asked))


@group.command()
def otlp(
    since: SinceOption = None,
    until: UntilOption = None,
    where: WhereOption = None,
    output: OutputOption = None,
    state: StateOption = None,
) -> None:
    """Calls that left and have ended as OpenTelemetry GenAI spans: OTLP requests as lines of JSON, sent nowhere."""
    with _asked(state, since, until, where) as (reader, asked), _out(output) as out:
        for batch in spans.batches(reader.each_call(asked)):
            out.write(f"{json.dumps(batch, separators=(',', ':'))}\n")


@group.command()
def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="A FOCUS Cost and Usage file, CSV.")]) -> None:
    """The structure of a FOCUS 1.4 file: columns, empty cells, words, decimals, periods. Exit status 1 where one is wrong."""
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            found = focus_check.faults(lines)
            told = list(islice(found, _MOST_FAULTS))
            more = sum(1 for _ in found)
    except (OSError, UnicodeDecodeError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else "it is no UTF-8 text"
        raise StateError(f"{file} cannot be read: {why}") from fault
    for each in told:
        note(f"{file}: {each}")
    if told:
        note(f"{file}: {counted(len(told) + more, 'fault')}")
        raise typer.Exit(1)
    note(f"{file}: as FOCUS 1.4 has it")


@contextmanager
def _asked(
    state: Path | None, since: str | None, until: str | None, where: list[str] | None
) -> Iterator[tuple[Reader, Span]]:
    asked = span(in_force.policy(paths.find(state)), since, until, where)
    with closing(Reader(existing_state(state).ledger)) as reader:
        yield reader, asked


@contextmanager
def _out(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        with writing():
            yield sys.stdout
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as out:
            yield out
    except OSError as fault:
        raise StateError(f"{path} cannot be written: {fault.strerror}") from fault


def _csv(out: TextIO, columns: Sequence[str], rows: Iterator[Row]) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    # Amounts are numbers, also negative ones; whatever a client could have named is text.
    writer.writerows([_cell(name, row[name]) for name in columns] for row in rows)


def _cell(name: str, value: object) -> object:
    return value if name.endswith("Cost") else plain_cell(value)
