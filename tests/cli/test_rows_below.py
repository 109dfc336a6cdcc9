"""Rows with what does not fit beside them under them: on no terminal is anything left out, cut or run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from spendgate.cli.output import Column
from spendgate.cli.rows_below import show_rows

_COUNTS = (Column("input", "input", right=True), Column("output", "output", right=True))
_COLUMNS = (
    Column("at", "at", weight=0),
    *_COUNTS,
    Column("tool", "tool", weight=2),
    Column("money", "cost", right=True, weight=0),
)
_ROWS = (
    {"at": "05:05:06", "input": "1,234,567", "output": "89", "tool": "a-tool", "money": "$1.00"},
    {"at": "05:05:07", "input": "9", "output": "", "tool": "a-tool", "money": "$0.02"},
)


def shown(width: int, rows: tuple[dict[str, str], ...] = _ROWS, told: tuple[str, ...] = ()) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False, no_color=True)
    show_rows(console, "2 calls", _COLUMNS, rows, together=_COUNTS, told=told)
    return out.getvalue().splitlines()[1:]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (60, ["2 calls", "at            input  output  tool     cost", "05:05:06  1,234,567      89  a-tool  $1.00",
              "05:05:07          9          a-tool  $0.02"]),
        (30, ["2 calls", "at        tool     cost", "05:05:06  a-tool  $1.00", "  input 1,234,567; output 89",
              "05:05:07  a-tool  $0.02", "  input 9"]),
        (20, ["2 calls", "  all of them: tool", "  a-tool", "at         cost", "05:05:06  $1.00", "  input 1,234,567;",
              "  output 89", "05:05:07  $0.02", "  input 9"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_stands_below(width: int, lines: list[str]) -> None:
    """Counts all or none, for a person adds them up; what all rows have in common once."""
    assert shown(width) == lines


def test_no_control_character_reaches_the_terminal() -> None:
    evil = "x\x1b[31m[bold]"
    told = "\n".join(shown(200, ({**_ROWS[0], "tool": evil},), (evil,)))
    assert "\x1b" not in told
    assert told.count("x·[31m[bold]") == 2
