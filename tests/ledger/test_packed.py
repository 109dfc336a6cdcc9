"""A statement's lines in a row: there and back, in bounded memory whoever made the row."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from ledger.kit import NOW, open_ledger
from spendgate.errors import StateError
from spendgate.ledger import packed
from spendgate.ledger.merge import merge
from spendgate.ledger.merge_one import Outcome
from spendgate.ledger.statements import StatementBook
from spendgate.statement import DAY_MS, Line, Statement

LINES = tuple(Line(at, at + 1, "anthropic", model="x" * 50, billed_nanos=at) for at in range(600))
BOMB = zlib.compress(b"[" + b" " * (packed.UNPACKED_MAX + 1) + b"]")


def test_there_and_back() -> None:
    parts = packed.packed(LINES)
    assert len(parts) == 3
    assert [line for part in parts for line in packed.unpacked(part.lines, 1, 599)] == list(LINES[1:599])


def test_long_lines_are_in_more_rows_and_too_long_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "UNPACKED_MAX", 5_000)
    parts = packed.packed(LINES)
    assert len(parts) > 12
    assert [line for part in parts for line in packed.lines_of(part.lines)] == list(LINES)
    with pytest.raises(StateError, match="more than the 5,000 that a ledger keeps of one"):
        packed.packed([Line(0, 1, "x" * 5_000)])


@pytest.mark.parametrize(
    ("row", "says"),
    [(BOMB, "unpack to more than 16 MB"), (zlib.compress(b"[]")[:-3], "cut off"), (b"no", "cannot be read"),
     (zlib.compress(b"{}"), "cannot be read")],
    ids=["bomb", "cut off", "not packed", "no lines"],
)  # fmt: skip
def test_a_row_that_is_none_is_one_fault(row: bytes, says: str) -> None:
    with pytest.raises(StateError, match=says):
        packed.lines_of(row)


def test_a_merge_takes_nothing_of_a_ledger_with_such_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One clear fault there, not in each report afterwards."""
    open_ledger(tmp_path).close()
    said = Statement("anthropic", "anthropic", "", 0, DAY_MS, "ab" * 32, "x", None, LINES)
    monkeypatch.setattr("spendgate.ledger.statements.packed", lambda _: (packed.Part(0, 1, BOMB),))
    with StatementBook(tmp_path / "ledger.db") as book:
        book.take(said, "admin", NOW)
    (taking,) = merge(tmp_path / "out.db", [tmp_path / "ledger.db"], NOW)
    assert (taking.outcome, taking.imports) == (Outcome.BROKEN, 0)
    assert "unpack to more than 16 MB: no Spendgate has written them" in taking.fault
