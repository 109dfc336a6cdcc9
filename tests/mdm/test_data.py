"""The data inventory, `mdm/data.md`, against a ledger that was just made and the places that the product names."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cli.kit import NOW_MS
from spendgate.ledger.ledger import Ledger
from spendgate.mdm.notice import KEPT, NEVER

PAGE = (Path(__file__).parents[2] / "mdm/data.md").read_text()
SOURCE = Path(__file__).parents[2] / "addon/spendgate"
OURS = re.compile(
    r"/(?:var/(?:lib|log|cache|spool)|run|etc|Library/Application Support|Library/Logs)/[Ss]pendgate[\w-]*"
)
TABLES = re.compile(r"^### `(\w+)`\n(.*?)(?=^##)", re.M | re.S)


def told() -> dict[str, list[str]]:
    """Each table or view with the columns that the page names, in whatever order."""
    return {name: [*columns(text)] for name, text in TABLES.findall(PAGE)}


def columns(text: str) -> Iterator[str]:
    """The words in code of the cell that lists columns: the last of three, the first of two."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and "`" in line:
            yield from re.findall(r"`(\w+)`", cells[0] if len(cells) == 2 else cells[2])


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Of a ledger of this version."""
    folder = tmp_path_factory.mktemp("ledger")
    Ledger.open(folder / "ledger.db", folder / "gates", NOW_MS).close()
    with closing(sqlite3.connect(folder / "ledger.db")) as conn:
        names = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
        return {name: {row[1] for row in conn.execute(f"PRAGMA table_info({name})")} for name in names}


def test_every_table_is_told_and_none_is_invented(schema):
    """SQLite's own is named in a sentence."""
    assert "`sqlite_sequence` is SQLite's own" in PAGE
    assert {*told()} == {*schema} - {"sqlite_sequence"}


def test_every_column_is_told_once_and_none_is_invented(schema):
    """A row of `call_rows` is told by the view, and what it has beside it."""
    found = told()
    assert not [name for name, listed in found.items() if len(listed) != len({*listed})]
    beside = {*found.pop("call_rows")}
    assert beside == schema["call_rows"] - schema["calls"]
    for name, listed in found.items():
        assert {*listed} == schema[name], name


def test_each_table_says_whose_and_how_long():
    """In the words that the page explains."""
    for name, text in TABLES.findall(PAGE):
        said = re.search(r"\*\*Whose:\*\* .+\. \*\*How long:\*\* (\w+)", text)
        assert said, name
        assert said[1] in ("keep", "window", "good", "moment", "with"), name


def test_every_place_of_ours_is_told_and_none_is_invented():
    """Folders and files of a machine that bear our name, wherever the product's own text has them."""
    named = {place for path in SOURCE.rglob("*.py") for place in OURS.findall(path.read_text())}
    told_of = re.findall(r"`([^`]+)`", PAGE.partition("## Beside the state directory")[2].partition("\n## ")[0])
    assert named == {place for place in told_of if OURS.fullmatch(place)}


def test_a_call_is_told_in_the_words_of_the_page_for_the_people():
    """One list for both."""
    for about, what, listed in KEPT:
        assert f"| {about} | {what} | {', '.join(f'`{each}`' for each in listed)} |" in PAGE
    for never in NEVER:
        assert f"- {never}\n" in PAGE
