"""How commands that list print: a table for people, JSON or CSV for programs; always on stdout, everything else on stderr.

A `Listing` holds plain values; each format renders the same ones. Amounts stay integers of nano-dollars in JSON and CSV
(columns ending in `_nanos`), so that a script never meets a rounded number; only tables shorten. Names are partly a client's to
choose, so tables and CSV make them inert; JSON escapes what is not ASCII, and has them as they are.
"""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from io import TextIOWrapper
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spendgate import inert_text
from spendgate.errors import SpendgateError
from spendgate.money import dollars, short_dollars

WRAPPED = 30
"""Characters that a sentence has at least beside other columns, where it has so many."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_FORMULA_WITHIN = re.compile('(;[ "]*)(?=[-=+@\uff1d\uff0b\uff0d\uff20])')
"""Where a spreadsheet whose settings part cells at semicolons would begin a formula in the middle of ours."""
Row = Mapping[str, object]
inert = inert_text.inert


class Format(StrEnum):
    """`--format` of every command that lists."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its key in the rows and its heading for people."""

    key: str
    heading: str
    right: bool = False
    weight: int = 1
    """0: never left out; else the heaviest go first where the terminal is too narrow."""
    wraps: bool = False
    """A sentence: it goes on in the next line, and needs no more than `WRAPPED` characters beside others."""


@contextmanager
def writing() -> Iterator[None]:
    """Around what prints on stdout: a full disk there is no fault of Spendgate's own. A reader that has left is the program's
    to end by. Raises SpendgateError.
    """
    if sys.stdout is None:  # so Python has it where the caller closed it
        raise SpendgateError("the output could not be written: stdout is closed")
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as fault:
        raise SpendgateError(f"the output could not be written: {fault.strerror}") from fault


def spell() -> None:
    """Have stdout spell what its encoding lacks (`\\u65e5`), as stderr does: names are anybody's, and an older locale, or a file
    that Windows writes in the code page, has no letters for some."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Write what stdout still keeps, while its failure can be told: at the end of the process it would be lost in silence.

    After a failure nothing is kept, so that the interpreter, which tries again, has no second word on it.
    Raises SpendgateError.
    """
    if sys.stdout is None:  # closed, and a command that prints nothing needs none
        return
    with writing():
        try:
            sys.stdout.flush()
        except OSError:
            _let_go(sys.stdout)
            raise


@writing()
def emit(
    rows: Sequence[Row], columns: Sequence[Column], fmt: Format, *, empty: str = "nothing yet", keys: Sequence[str] = ()
) -> None:
    """Print rows. A table shows `columns`; JSON shows every key, CSV those of `keys`, whether there are rows or not.

    Without `keys` CSV has those of the first row.
    """
    if fmt is Format.JSON:
        emit_json(list(rows))
    elif fmt is Format.CSV:
        _csv(rows, keys)
    else:
        _table(rows, columns, empty)


@writing()
def emit_json(value: object) -> None:
    """Print one JSON document."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def note(text: str) -> None:
    """A line for a person, on stderr."""
    tell(f"spendgate: {text}")


def tell(line: str) -> None:
    """As `note`, as it stands. What stderr does not take, since its reader has gone or a disk is full, is lost: what the line
    tells of goes on. Closed, it is None, for which `print` would take stdout."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - stderr is where people's lines go


def end_notes() -> None:
    """What of `tell` cannot be written shall not become the exit status, as it does where the interpreter tries again."""
    if sys.stderr is not None and not sys.stderr.closed:
        try:
            sys.stderr.flush()
        except OSError:
            _let_go(sys.stderr)


def _let_go(stream: TextIO) -> None:
    """Nothing that it keeps is written any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def console() -> Console:
    """Where tables go: stdout, as wide as the terminal; where there is none, as COLUMNS says, else 160 columns."""
    out = Console(file=sys.stdout, highlight=False, soft_wrap=False)
    if out.is_terminal:
        return out
    said = os.environ.get("COLUMNS", "")
    width = int(said) if said.isdecimal() and int(said) else 160
    return Console(file=sys.stdout, width=width, highlight=False, no_color=True)


def safe(value: object) -> str:
    """Text for a terminal: markup inert, control characters shown as `·`, since names can come from a client's headers."""
    return escape(inert("" if value is None else str(value)))


def money(nanos: object) -> str:
    """An amount for a table, to the cent; empty where there is none."""
    return "" if nanos is None else short_dollars(int(str(nanos)))


def exact(nanos: object) -> str:
    """An amount to the nano-dollar, for an explanation; empty where there is none."""
    return "" if nanos is None else dollars(int(str(nanos)))


def _table(rows: Sequence[Row], columns: Sequence[Column], empty: str) -> None:
    out = console()
    if not rows:
        out.print(empty)
        return
    cells = {column.key: [_cell(row.get(column.key), column.key) for row in rows] for column in columns}
    shown = fitting(columns, cells, out.width)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in shown:
        table.add_column(
            column.heading,
            justify="right" if column.right else "left",
            no_wrap=not column.wraps,
            overflow="fold" if column.wraps else "ellipsis",
        )
    for index in range(len(rows)):
        table.add_row(*(cells[column.key][index] for column in shown))
    out.print(table)
    left_out = [column.heading for column in columns if column not in shown and any(cells[column.key])]
    if left_out:
        note(f"too narrow for: {', '.join(left_out)} (--format csv has every column)")


def fitting(columns: Sequence[Column], cells: Mapping[str, Sequence[str]], width: int) -> list[Column]:
    """The columns that hold something and fit beside each other: those that must, then the lightest that still fits, the first
    of equals before others. In their own order."""
    held = [column for column in columns if column.weight == 0 or any(cells[column.key])]
    longest = {column.key: max(map(len, cells[column.key])) for column in held}
    wide = {
        column.key: max(len(column.heading), min(longest[column.key], WRAPPED if column.wraps else longest[column.key]))
        + 2
        for column in held
    }
    kept = {column.key for column in held if column.weight == 0}
    left = width + 2 - sum(wide[key] for key in kept)
    for column in sorted(held, key=lambda column: column.weight):
        if column.weight and wide[column.key] <= left:
            kept.add(column.key)
            left -= wide[column.key]
    return [column for column in held if column.key in kept]


def too_narrow(rows: Sequence[Row], columns: Sequence[Column]) -> bool:
    """Whether not even the columns that must be there fit beside each other here: a table would cut their values."""
    must = [column for column in columns if column.weight == 0]
    cells = ([column.heading, *(_cell(row.get(column.key), column.key) for row in rows)] for column in must)
    return sum(max(map(cell_len, each)) + 2 for each in cells) > console().width + 2


def _cell(value: object, key: str) -> str:
    if key.endswith("_nanos"):
        return money(value)
    return f"{value:,}" if type(value) is int else safe(value)


def _csv(rows: Sequence[Row], keys: Sequence[str]) -> None:
    keys = keys or (list(rows[0]) if rows else [])
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(keys)
    writer.writerows([plain_cell(row.get(key)) for key in keys] for row in rows)


def plain_cell(value: object) -> object:
    """A cell that runs nowhere, in a terminal or a spreadsheet: control characters are shown as in tables, and text that begins
    as a formula does gets a quote before it (OWASP, CSV Injection), after blanks and a semicolon too.
    Numbers stay as they are."""
    if not isinstance(value, str):
        return value
    text = _FORMULA_WITHIN.sub(r"\1'", inert(value))
    return f"'{text}" if value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA) else text
