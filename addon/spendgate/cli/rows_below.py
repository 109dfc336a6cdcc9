"""Rows of which each has under it what does not fit beside it, so that nothing is left out or cut on a narrow terminal.

What all rows have in common and does not fit is told once, above them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from spendgate.cli.lines import laid
from spendgate.cli.output import Column, fitting, inert

Cells = Mapping[str, str]
"""By the column's key what a row has, "" for nothing."""


def show_rows(
    out: Console,
    heading: str,
    columns: Sequence[Column],
    rows: Sequence[Cells],
    *,
    together: Sequence[Column] = (),
    told: Sequence[str] = (),
) -> None:
    """A heading, sentences about all of it, and each row with what does not fit beside it under it.

    The columns `together` stand in it all or none, since a person adds them up.
    """
    out.print()
    for line in laid("", inert(heading), 0, out.width):
        _print(out, line, style="bold")
    for line in (line for sentence in told for line in laid("", inert(sentence), 2, out.width)):
        _print(out, line)
    rows = [{key: inert(text) for key, text in row.items()} for row in rows]
    cells = {each.key: [row[each.key] for row in rows] for each in columns}
    held = [each for each in columns if any(text not in ("", "0") for text in cells[each.key])]
    beside = fitting(held, cells, out.width) if held else []
    if len(beside) < len(held):
        beside = fitting([each for each in held if each not in together], cells, out.width)
    below = [each for each in held if each not in beside]
    alike = [each for each in below if not each.right and len(rows) > 1 and len(set(cells[each.key])) == 1]
    below = [each for each in below if each not in alike]
    if alike:
        _under(out, "all of them: ", alike, rows[0])
    wide = {each.key: max(map(cell_len, (each.heading, *cells[each.key]))) for each in beside}
    if rows:
        _print(out, _laid_out(beside, wide, {each.key: each.heading for each in beside}), style="bold")
    for row in rows:
        _print(out, _laid_out(beside, wide, row))
        _under(out, "", below, row)


def _under(out: Console, begin: str, columns: Iterable[Column], row: Cells) -> None:
    """What a row has in these columns, as a sentence."""
    told = "; ".join(f"{each.heading} {row[each.key]}" for each in columns if row[each.key])
    for line in laid("", begin + told, 2, out.width) if told else ():
        _print(out, line)


def _laid_out(columns: Sequence[Column], wide: Mapping[str, int], row: Cells) -> str:
    parts = []
    for each in columns:
        text, blanks = row[each.key], " " * (wide[each.key] - cell_len(row[each.key]))
        parts.append(blanks + text if each.right else text + blanks)
    return "  ".join(parts).rstrip()


def _print(out: Console, line: str, style: str = "") -> None:
    out.print(Text(line, style=style), soft_wrap=True)
