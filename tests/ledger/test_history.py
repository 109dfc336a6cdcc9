"""History: past calls in the order in which they asked to leave, whoever of them had to wait."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.ledger.kit import open_ledger

from spendgate.ledger.history import Step, steps
from spendgate.ledger.rows import insert_sql

_NAMES = (
    "id", "state", "gate", "started_ms", "booked_ms", "waited_ms", "person", "groups", "machine", "evidence", "provider", "host",
    "path", "kind", "billing", "request_bytes", "text_bytes", "policy_hash",
)  # fmt: skip
_WAITED = st.none() | st.integers(0, 6)


def read(found: list[tuple[int, int | None]], folder: Path, span: tuple[int, int | None]) -> list[Step]:
    """History of a ledger with calls booked at these instants, that had waited so long."""
    path = folder / "ledger.db"
    if not path.exists():
        folder.mkdir()
        open_ledger(folder).close()
    with sqlite3.connect(path, isolation_level=None) as conn:
        conn.execute("BEGIN")
        conn.executemany(
            insert_sql(_NAMES),
            [
                (
                    f"c{number}", "refused", 1, 0, booked_ms, waited_ms, "alice", "", "lt-1", "", "anthropic", "h", "/p", "k",
                    "metered", 0, 0, "x",
                )
                for number, (booked_ms, waited_ms) in enumerate(found)
            ],
        )  # fmt: skip
        read = list(steps(conn, *span))
        conn.execute("ROLLBACK")
    conn.close()
    return read


@example([(5, None), (9, 4), (5, 0), (7, 2), (6, None), (4, None)], 0, None)
@given(
    st.lists(st.tuples(st.integers(0, 12), _WAITED), max_size=12), st.integers(0, 12), st.none() | st.integers(0, 12)
)
def test_calls_come_in_the_order_in_which_they_asked(
    tmp_path_factory: pytest.TempPathFactory, found: list[tuple[int, int | None]], since_ms: int, until_ms: int | None
) -> None:
    """Booked in the span; those of one instant in the order of their rows."""
    asked = [
        (booked_ms - (waited_ms or 0), number)
        for number, (booked_ms, waited_ms) in enumerate(found)
        if since_ms <= booked_ms and (until_ms is None or booked_ms < until_ms)
    ]
    told = read(found, tmp_path_factory.getbasetemp() / "history", (since_ms, until_ms))  # one ledger for all examples
    assert [(step.arrived_ms, step.id) for step in told] == [(at_ms, f"c{number}") for at_ms, number in sorted(asked)]
