"""What cannot be read as YAML, in the words of the person who wrote it: libyaml's own tell what its scanner expected."""

from __future__ import annotations

from typing import Final

import yaml

from spendgate.config.faults import Place

_REMEDIES: Final = {
    "mapping values are not allowed in this context": (
        "a second colon in one value, or a key that is indented further than its neighbours; put text with `: ` in quotes"
    ),
    "did not find expected key": "the line begins in a column where no key of the sections above does",
    "did not find expected '-' indicator": "the line begins in a column where no entry of the list above does",
    "did not find expected ',' or '}'": "the { was not closed",
    "did not find expected ',' or ']'": "the [ was not closed",
    "did not find expected node content": "a value was expected here",
    "found unexpected end of stream": "the quote was not closed",
    "found unexpected document indicator": "the quote was not closed",
    "could not find expected ':'": "a key is followed by a colon and a space",
    "found unknown escape character": r"in double quotes \ begins an escape; use single quotes",
    "did not find expected hexdecimal number": r"in double quotes \ begins an escape; use single quotes",
    "found invalid Unicode character escape code": r"in double quotes \ begins an escape; use single quotes",
    "did not find expected <document start>": "a policy is one document, without % directives",
    "found unknown directive name": "a % directive; a policy has none",
    "found incompatible YAML document": "a % directive; a policy has none",
    "did not find expected comment or line break": "after | or > the text begins on the next line",
    "did not find expected alphabetic or numeric character": "text that begins with * or & goes in quotes",
    "block sequence entries are not allowed in this context": "a list begins on a line of its own",
}
_CANNOT_START: Final = "found character that cannot start any token"
# The scanner notices these only further on: what is wrong stands where it began to read.
_FROM_THE_START: Final = frozenset(
    {
        "found unexpected end of stream", "found unexpected document indicator", "could not find expected ':'",
        "found unknown directive name",
    }
)  # fmt: skip


def told(fault: yaml.MarkedYAMLError, lines: list[str]) -> tuple[Place, str]:
    """Where it is, and what is wrong with what to do, of a text in these lines."""
    problem = fault.problem or fault.context or "it cannot be read"
    begun, noticed = fault.context_mark, fault.problem_mark
    mark = (begun or noticed) if problem in _FROM_THE_START else (noticed or begun)
    if mark is None:
        return Place(1, 1), f"not YAML: {problem}"
    text = _REMEDIES.get(problem, problem)
    if problem == _CANNOT_START:
        line = lines[mark.line] if mark.line < len(lines) else ""
        text = f"text cannot begin with {line[mark.column : mark.column + 1]}; put it in quotes"
    elif problem.startswith("did not find expected ',' or") and begun is not None:
        text = f"{text}; it stands in line {begun.line + 1}, column {begun.column + 1}"
        if noticed is not None and _has_secret(lines, noticed.line, noticed.column):
            text = "text with ${…} goes in quotes"
    return Place(mark.line + 1, mark.column + 1), f"not YAML: {text}"


def _has_secret(lines: list[str], line: int, column: int) -> bool:
    """Whether this is a `{` behind a `$`, which only quotes keep from being YAML's own."""
    return line < len(lines) and lines[line][max(0, column - 1) : column + 1] == "${"
