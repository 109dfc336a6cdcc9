"""The security reviewer's papers name tests: each of them exists, so that none promises what nobody checks."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAPERS = ("mdm/README.md", "mdm/threats.md", "mdm/surface.md", "mdm/data.md")
NAMED = re.compile(r"`(tests/[\w./]+)(?:::(\w+))?`")


@cache
def names_in(file: Path) -> frozenset[str]:
    """The names of the tests that a file or the files of a folder have."""
    files = [file] if file.is_file() else sorted(file.rglob("test_*.py"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = (node for each in files for node in ast.walk(ast.parse(each.read_text())))
    return frozenset(node.name for node in found if isinstance(node, functions) and node.name.startswith("test_"))


@pytest.mark.parametrize("paper", PAPERS)
def test_every_test_that_a_paper_names_exists(paper: str) -> None:
    """The file or folder, with tests in it, and the function where one is named."""
    named = NAMED.findall((ROOT / paper).read_text())
    assert named
    for path, name in named:
        found = names_in(ROOT / path)
        assert found, f"{paper} names {path}, which has no test"
        assert not name or name in found, f"{paper} names {path}::{name}, which is not there"


@pytest.mark.parametrize(
    ("paper", "heading"), [("mdm/threats.md", "## Threats"), ("mdm/surface.md", "## What was tried")]
)
def test_every_row_has_its_test_or_says_that_it_has_none(paper: str, heading: str) -> None:
    """In its last cell: a test; words for what was tried by hand; another paper, for what is not held."""
    below = (ROOT / paper).read_text().partition(f"{heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in below.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 20
    for row in rows:
        shown = row.strip("|").split("|")[-1]
        honest = "by hand" in shown or ("**not held**" in row.lower() and "mdm/" in shown)
        assert NAMED.search(shown) or honest, row
