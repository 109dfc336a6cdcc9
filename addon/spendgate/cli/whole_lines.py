"""Output of which nothing is cut: what decides is wrapped on a terminal, and each row is one line where a program reads it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from spendgate.cli.output import inert, writing

_GAP: Final = 2
_LEAST: Final = 10
"""The narrowest column that still reads: below it names go on in the next line letter by letter."""
ENDLESS: Final = 1_000_000
_PLAIN: Final = Console(file=sys.__stderr__, width=ENDLESS, no_color=True)
"""Wraps text; prints nothing."""


def width() -> int:
    """Of the terminal; where there is none as COLUMNS says, else without an end: `grep` finds whole rows."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said):
        return int(said)
    return Console(file=sys.stdout).width if sys.stdout is not None and sys.stdout.isatty() else ENDLESS


@writing()
def show(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of which the last column has what is left of the line, and no other more than a third."""
    for line in table((heading, *rows), width()):
        print(line)  # noqa: T201 - stdout is where answers go


@writing()
def say(text: str, indent: int = 0) -> None:
    """Print a line; what does not fit goes on below, two further in."""
    for line in hung(text, indent, width()):
        print(line)  # noqa: T201 - as above


def table(rows: Sequence[Sequence[str]], wide: int) -> Iterator[str]:
    """The lines of a table."""
    cells = [[inert(cell) for cell in row] for row in rows]
    most = [max(cell_len(row[place]) for row in cells) for place in range(len(rows[0]))]
    taken = [min(each, max(_LEAST, wide // 3)) for each in most[:-1]]
    last = max(_LEAST, wide - sum(taken) - _GAP * len(taken))
    for row in cells:
        parts = [_wrapped(cell, room) for cell, room in zip(row, (*taken, last), strict=True)]
        for beside in zip_longest(*parts, fillvalue=""):
            padded = [text + " " * (room - cell_len(text)) for text, room in zip(beside, taken, strict=False)]
            yield (" " * _GAP).join((*padded, beside[-1])).rstrip()


def hung(text: str, indent: int, wide: int) -> Iterator[str]:
    """The lines of one text."""
    first, *rest = _wrapped(inert(text), max(_LEAST, wide - indent))
    yield " " * indent + first
    if rest:
        below = " ".join(rest) if " " in text else "".join(rest)
        more = _wrapped(below, max(_LEAST, wide - indent - _GAP))
        yield from (" " * (indent + _GAP) + line for line in more)


def _wrapped(text: str, room: int) -> list[str]:
    """Between words, and in a word that is longer than a line."""
    if cell_len(text) <= room:
        return [text]
    return [line.plain.rstrip() for line in Text(text).wrap(_PLAIN, room, overflow="fold")] or [""]
