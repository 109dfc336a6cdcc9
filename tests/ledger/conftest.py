"""A ledger in a folder of its own, checked against itself at the end of each test that used it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger.kit import open_ledger
from spendgate.ledger import Ledger
from spendgate.ledger.check import check
from spendgate.ledger.queries import Reader


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """One gate's ledger. After the test: every balance equals the sum over its calls, and the chain holds."""
    opened = open_ledger(tmp_path)
    yield opened
    opened.close()
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        assert check(conn) == ()


@pytest.fixture
def reader(ledger: Ledger, tmp_path: Path) -> Iterator[Reader]:
    """What people read of that ledger."""
    with Reader(tmp_path / "ledger.db") as opened:
        yield opened
