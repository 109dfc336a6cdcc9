"""Lines of a report on a terminal: a label, what belongs to it, and where that goes on when the terminal is narrow.

Rules: a line is broken between words alone, and never in a value: a path, a time, an amount, a command in backticks, a name in
quotes. What goes on stands below what it belongs to. A value that is wider than the room begins further left, and only one wider
than the whole terminal is left to that. Where nobody reads along (a pipe, a file) nothing is broken.
"""

from __future__ import annotations

import os
import re
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from spendgate.cli.output import console, inert
from spendgate.plural import counted

__all__ = ["counted", "laid", "say", "value"]

LABEL: Final = 10
"""Columns of a label, with the blanks behind it."""
_GLUE: Final = "\ue000"
"""A blank of a value, until its line is printed."""
_TIME: Final = r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?(?: (?:[A-Z]{2,5}|[+-]\d\d(?::?\d\d)?)(?![A-Za-z]))?"
_VALUES: Final = re.compile(
    rf"`[^`]+`|(?<!\w)'[^']+'(?!\w)|{_TIME}|[\d.]+x mean of \d+d|\$[\d,.]+ (?:of|per) \S+|\d+ of \d+"
)


def value(text: object) -> str:
    """Text that is one value, whatever blanks it has: it is never broken."""
    return inert(str(text)).replace(" ", _GLUE)


def say(label: str, *parts: str, style: str = "", indent: int = LABEL) -> None:
    """Print parts behind a label, two blanks between them; a part may be a sentence, or a `value`."""
    width = None if not console().is_terminal and not os.environ.get("COLUMNS", "").isdecimal() else console().width
    text = "  ".join(_GLUE.join(map(inert, part.split(_GLUE))) for part in parts if part)
    for line in laid(label, text, indent, width):
        console().print(Text(line, style=style), soft_wrap=True)


def laid(label: str, text: str, indent: int, width: int | None) -> list[str]:
    """The lines, in a terminal of so many columns; None: one line."""
    words = _VALUES.sub(lambda found: found[0].replace(" ", _GLUE), text).split(" ")
    lines: list[str] = []
    line, blanks, empty = label.ljust(indent), "", True
    for word in words:
        if not word:
            blanks += " "
            continue
        if width is not None and cell_len(line + blanks + word) > width:
            if line.strip():
                lines.append(line)
            line, blanks, empty = " " * max(0, min(indent, width - cell_len(word))), "", True
        line, blanks, empty = line + ("" if empty else blanks) + word, " ", False
    return [each.replace(_GLUE, " ").rstrip() for each in (*lines, line)]
