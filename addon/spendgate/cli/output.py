"""How commands that list print: a table for people, JSON or CSV for programs; always on stdout, everything else on stderr.

A `Listing` holds plain values; each format renders the same ones. Amounts stay integers of nano-dollars in JSON and CSV
(columns ending in `_nanos`), so that a script never meets a rounded number; only tables shorten.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spendgate.money import short_dollars

Value = str | int | bool | None
Row = Mapping[str, object]


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


def emit(rows: Sequence[Row], columns: Sequence[Column], fmt: Format, *, empty: str = "nothing yet") -> None:
    """Print rows. A table shows `columns`; CSV and JSON show every key, in the order of the first row."""
    if fmt is Format.JSON:
        emit_json(list(rows))
    elif fmt is Format.CSV:
        _csv(rows, columns)
    else:
        _table(rows, columns, empty)


def emit_json(value: object) -> None:
    """Print one JSON document."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, default=str)
    sys.stdout.write("\n")


def note(text: str) -> None:
    """A line for a person, on stderr."""
    print(f"spendgate: {text}", file=sys.stderr, flush=True)  # noqa: T201 - stderr is where people's lines go


def console() -> Console:
    """Where tables go: stdout, as wide as the terminal, or 160 columns where there is none."""
    out = Console(file=sys.stdout, highlight=False, soft_wrap=False)
    return out if out.is_terminal else Console(file=sys.stdout, width=160, highlight=False, no_color=True)


def safe(value: object) -> str:
    """Text for a terminal: markup inert, control characters shown as `·`, since names can come from a client's headers."""
    text = "" if value is None else str(value)
    return escape("".join(char if char.isprintable() else "·" for char in text))


def money(nanos: object) -> str:
    """An amount for a table; empty where there is none."""
    return "" if nanos is None else short_dollars(int(str(nanos)))


def _table(rows: Sequence[Row], columns: Sequence[Column], empty: str) -> None:
    out = console()
    if not rows:
        out.print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.heading, justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column.key), column.key) for column in columns))
    out.print(table)


def _cell(value: object, key: str) -> str:
    if key.endswith("_nanos"):
        return money(value)
    return f"{value:,}" if type(value) is int else safe(value)


def _csv(rows: Sequence[Row], columns: Sequence[Column]) -> None:
    keys = list(rows[0]) if rows else [column.key for column in columns]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(keys)
    writer.writerows([_plain(row.get(key)) for key in keys] for row in rows)


def _plain(value: object) -> object:
    """A cell that no spreadsheet runs as a formula: text that begins like one gets a leading quote (OWASP, CSV injection)."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{value}"
    return value
