"""YAML as a policy may use it: mappings, lists and text, each with its place. Nothing is typed here.

`node_builder` says which of YAML that is. Beside it, the bytes are bounded, and must be UTF-8 without characters that nobody
sees (`lettering`).
"""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import islice

import yaml

from spendgate.config.faults import FAULTS_MAX, Faults, Place
from spendgate.config.lettering import not_utf8, odd_characters
from spendgate.config.node_builder import REFUSED, Builder, GivesUp
from spendgate.config.nodes import Node
from spendgate.config.not_yaml import told

BYTES_MAX = 1024 * 1024
"""About ten thousand people."""


def read(data: bytes, faults: Faults) -> Node | None:
    """The one document in `data`. None where it cannot be read as YAML at all; then, too, `faults` says why."""
    start = Place(1, 1)
    if len(data) > BYTES_MAX:
        faults.add(
            start,
            "",
            f"the file is too long; at most {BYTES_MAX:,} bytes are read",
        )
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line, column, wrong = not_utf8(data, fault.start)
        faults.add(Place(line, column), "", wrong)
        return None
    if "\0" in text[:2]:
        faults.add(Place(1, text.index("\0") + 1), "", "the text is UTF-16 or UTF-32; save the file as UTF-8")
        return None
    odd = list(islice(odd_characters(text), FAULTS_MAX + 1))
    if odd:
        _read_past(text, odd, faults)
        return None
    # A mark's line counts by these; other line breaks are refused above.
    lines = re.split("\r\n|\n", text)
    try:
        return Builder(text, lines, faults).document()
    except yaml.MarkedYAMLError as fault:
        faults.add(*_not_yaml(fault, lines))
    except yaml.YAMLError as fault:
        faults.add(start, "", f"not YAML: {fault}")
    except GivesUp:
        pass
    return None


def _read_past(text: str, odd: list[tuple[int, str]], faults: Faults) -> None:
    """Name these characters, and what else a reviewer could misread in the rest of the text: nothing is built from it."""
    letters, line, begins = list(text), 1, 0
    for at, wrong in odd:
        line += text.count("\n", begins, at)
        begins = max(begins, text.rfind("\n", begins, at) + 1)
        # Of a run of them, as in front of a line, the first is told.
        if not (at and letters[at - 1] == REFUSED and text[at - 1] == text[at]):
            faults.add(Place(line, at - begins + 1), "", wrong)
        letters[at] = REFUSED
    # Of more than are told, the rest could be a break of lines, by which places would be wrong.
    if len(odd) <= FAULTS_MAX:
        whole = "".join(letters)
        with suppress(yaml.YAMLError, GivesUp):
            Builder(whole, re.split("\r\n|\n", whole), Faults(""), letters=faults).document()


def _not_yaml(fault: yaml.MarkedYAMLError, lines: list[str]) -> tuple[Place, str, str]:
    place, text = told(fault, lines)
    return place, "", text
