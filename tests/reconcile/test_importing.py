"""`reconcile import`, on a ledger: a statement is a version of its own, and the same bytes twice are one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from ledger.kit import NOW, open_ledger
from spendgate.ledger import statements
from spendgate.ledger.merge import merge
from spendgate.ledger.packed import Part, packed
from spendgate.ledger.queries import Reader
from spendgate.ledger.statements import StatementBook
from spendgate.statement import DAY_MS, Line, Statement
from spendgate.usage import Usage

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


def test_imports_of_one_moment_have_an_order_that_a_merge_keeps(path: Path) -> None:
    """In that of their taking, not of their random names."""
    with StatementBook(path) as book:
        made = [book.take(replace(ONE, sha256=f"{at:064x}"), "alice", NOW)[0] for at in range(6)]
    merged = path.with_name("merged.db")
    list(merge(merged, [path], NOW))
    with closing(Reader(merged)) as reader:
        assert [each.name for each in reader.imports()] == [each.name for each in made]
    assert [each.at_ms for each in made] == [NOW + at for at in range(6)]


def test_what_was_imported_is_never_changed(path: Path) -> None:
    with StatementBook(path) as book:
        taken, _ = book.take(ONE, "alice", NOW)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("INSERT INTO statement_lines VALUES (?, 9, 0, 1, '{}')", (taken.seq,))
        for words in (
            "UPDATE imports SET lines = 0",
            "DELETE FROM imports",
            "UPDATE statement_lines SET line = ''",
            "DELETE FROM statement_lines",
            "UPDATE statement_parts SET lines = x''",
            "DELETE FROM statement_parts",
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


MANY = tuple(
    Line(
        START + at % 2 * DAY_MS + at,
        START + 2 * DAY_MS,
        "cursor",
        "gpt-5",
        usage=Usage(at, output_tokens=7),
        billed_nanos=at,
    )
    for at in range(3000)
)


def test_many_lines_take_less_than_a_file_of_them_would(path: Path) -> None:
    """A row for each was a kilobyte and a page beside it; all of them come back, in their order, and those of a day alone."""
    before = path.stat().st_size
    with StatementBook(path) as book:
        taken, _ = book.take(replace(ONE, lines=MANY), "alice", NOW)
    assert path.stat().st_size - before < 64 * len(MANY)
    with closing(Reader(path)) as reader:
        assert reader.statement_lines(taken, 0, START + 9 * DAY_MS) == MANY
        assert reader.statement_lines(taken, START + DAY_MS, START + 2 * DAY_MS) == MANY[1::2]
        assert reader.statement_lines(taken, START + DAY_MS + 2001, START + DAY_MS + 2004) == MANY[2001:2004:2]
        assert reader.statement_lines(taken, 0, START) == ()


def test_gates_do_not_wait_while_lines_are_packed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate's patience is two seconds, which a large file takes."""

    def meanwhile(lines: tuple[Line, ...]) -> tuple[Part, ...]:
        with closing(sqlite3.connect(path, timeout=0)) as gate:
            gate.execute("BEGIN IMMEDIATE")
        return packed(lines)

    monkeypatch.setattr(statements, "packed", meanwhile)
    with StatementBook(path) as book:
        assert book.take(ONE, "alice", NOW)[1]


def test_lines_of_older_imports_are_read_as_they_were_written(path: Path, tmp_path: Path) -> None:
    """A row for each, every field told; also in a file that many ledgers are merged into."""
    with StatementBook(path) as book:
        taken, _ = book.take(replace(ONE, lines=()), "alice", NOW)
    old = (
        '{"starts_ms":%d,"ends_ms":%d,"provider":"anthropic","model":null,"product":null,"who":{"organization":null,'
        '"workspace":null,"key":null,"key_name":null,"key_hint":null,"user":null,"email":null},"axes":{"tier":null,"speed":null,'
        '"geo":null,"context":null},"charge":"tokens","token_class":null,"usage":{"input_tokens":null,"cache_read_tokens":null,'
        '"cache_write_5m_tokens":null,"cache_write_1h_tokens":null,"cache_write_tokens":null,"output_tokens":null,'
        '"reasoning_tokens":null,"input_audio_tokens":null,"output_audio_tokens":null,"web_searches":null},"requests":null,'
        '"quantity":null,"unit":null,"billed_nanos":5,"list_nanos":null,"billed":"metered","response_id":null,'
        '"request_id":null,"amount":""}'
    )  # fmt: skip
    with closing(sqlite3.connect(path)) as conn, conn:
        row = (taken.seq, START, START + DAY_MS, old % (START, START + DAY_MS))
        conn.execute("INSERT INTO statement_lines VALUES (?, 0, ?, ?, ?)", row)
    with StatementBook(path) as book:
        newer, _ = book.take(replace(ONE, sha256="cd" * 32), "alice", NOW + 1)
    out = tmp_path / "out.db"
    assert [each.outcome for each in merge(out, (path,), NOW + 2)] == ["taken"]
    for ledger in (path, out):
        with closing(Reader(ledger)) as reader:
            found = {each.name: reader.statement_lines(each, START, START + 9 * DAY_MS) for each in reader.imports()}
        assert found == {taken.name: ONE.lines[:1], newer.name: ONE.lines}
