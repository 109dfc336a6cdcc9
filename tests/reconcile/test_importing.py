"""`reconcile import`, on a ledger: a statement is a version of its own, and the same bytes twice are one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from ledger.kit import NOW, open_ledger
from spendgate.ledger import statements
from spendgate.ledger.queries import Reader
from spendgate.ledger.statements import StatementBook
from spendgate.statement import DAY_MS, Line, Statement

START = NOW // DAY_MS * DAY_MS
ONE = Statement(
    "anthropic", "anthropic", "", START, START + 2 * DAY_MS, "ab" * 32, "api.anthropic.com", START + DAY_MS,
    (Line(START, START + DAY_MS, "anthropic", billed_nanos=5), Line(START + DAY_MS, START + 2 * DAY_MS, "anthropic", requests=3)),
    ("a column was new",),
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    open_ledger(tmp_path).close()
    return tmp_path / "ledger.db"


def test_versions_stand_side_by_side_and_the_newest_is_in_force(path: Path) -> None:
    revised = replace(ONE, sha256="cd" * 32, lines=(replace(ONE.lines[0], billed_nanos=7),), until_ms=START + DAY_MS)
    with StatementBook(path) as book:
        first, new = book.take(ONE, "alice", NOW)
        again, newer = book.take(ONE, "alice", NOW + 1)
        second, newest = book.take(revised, "alice", NOW + 2)
    assert (new, newer, newest) == (True, False, True)
    assert again == first
    with closing(Reader(path)) as reader:
        assert reader.imports() == (first, second)
        assert reader.statement_lines(first, START, START + 9 * DAY_MS) == ONE.lines
        assert reader.statement_lines(first, START + DAY_MS, START + 9 * DAY_MS) == ONE.lines[1:]
    assert first.notes == ("a column was new",)
    versions = (first, second)
    assert statements.in_force(versions, START) == {("anthropic", ""): (second, first)}
    assert statements.in_force(versions, START + DAY_MS) == {("anthropic", ""): (first,)}, (
        "the later one does not reach it"
    )
    assert statements.in_force(versions, START + 2 * DAY_MS) == {}


def test_what_was_imported_is_never_changed(path: Path) -> None:
    with StatementBook(path) as book:
        book.take(ONE, "alice", NOW)
    with closing(sqlite3.connect(path)) as conn:
        for words in (
            "UPDATE imports SET lines = 0",
            "DELETE FROM imports",
            "UPDATE statement_lines SET line = ''",
            "DELETE FROM statement_lines",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                conn.execute(words)


def test_it_is_in_the_audit_trail(path: Path) -> None:
    with StatementBook(path) as book:
        taken, _ = book.take(ONE, "alice", NOW)
    with closing(Reader(path)) as reader:
        line = reader.audit()[-1]
        assert not list(reader.verify(None))
    assert (line["what"], line["who"]) == ("statement imported", "alice")
    assert taken.name in line["detail"]
    assert ONE.sha256 in line["detail"]
