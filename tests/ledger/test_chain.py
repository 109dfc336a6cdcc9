"""The hash chain: a changed, removed or swapped row is found, and an untouched ledger is not accused."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.kit import NOW, ROW, admit, keeper_of, open_ledger, refuse, row, scope, settled, standing_of
from spendgate.ledger import Ledger, chain, rows
from spendgate.ledger.chain import canonical
from spendgate.ledger.heads_file import SeenClock
from spendgate.ledger.verify import links
from spendgate.ledger.verify import newest as verify_newest


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A ledger with one settled, one refused and one free call, its append-only triggers taken off."""
    ledger = open_ledger(tmp_path)
    ledger.hold(row("settled", account="org-1"), (scope(),), admit(5), NOW)
    ledger.sent("settled", NOW)
    ledger.settle("settled", settled(7, scope(), account="org-2"))
    ledger.refused(row("refused"), refuse(standing_of(ledger, scope()), 9), now_ms=NOW, waited_ms=3, http_status=429)
    ledger.recorded(
        row("free"),
        "free",
        ended_ms=NOW,
        http_status=200,
        request_bytes=1,
        response_bytes=1,
        duration_ms=1,
        first_byte_ms=1,
    )
    ledger.close()
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as opened:
        for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            opened.execute(f"DROP TRIGGER {name}")
        yield opened


def verify(conn: sqlite3.Connection) -> tuple[str, ...]:
    """Every fault of the calls' chain, in words."""
    return tuple(map(str, links(conn)))


def test_untouched_chain_holds(conn: sqlite3.Connection) -> None:
    """Every ended call is in the chain, and the chain follows."""
    assert verify(conn) == ()
    assert chain.head(conn).rows == 3


@pytest.mark.parametrize(
    ("back", "opened", "added"),
    [
        (9, rows.OPENED_FIRST, "parent_agent"),
        (6, rows.OPENED_SECOND, "size"),
        (3, rows.OPENED_THIRD, "also_requested"),
    ],
)
def test_links_of_an_earlier_form_still_hold(
    conn: sqlite3.Connection, back: int, opened: tuple[str, ...], added: str
) -> None:
    """A ledger from before a row said more of a call's beginning is not accused, and nothing is added to it unseen."""
    before = chain.FIRST
    for position, call, form in conn.execute("SELECT position, call, form FROM chain ORDER BY position").fetchall():
        earlier = form - back
        columns = ", ".join((*opened, *chain.FORMS[earlier]))
        values = conn.execute(f"SELECT {columns} FROM call_rows WHERE seq = ?", (call,)).fetchone()  # noqa: S608 - column names
        digest = hashlib.sha256(json.dumps(values, separators=(",", ":")).encode()).digest()
        before = hashlib.sha256(before + digest).digest()
        written = (earlier, digest, before, position)
        conn.execute("UPDATE chain SET form = ?, digest = ?, head = ? WHERE position = ?", written)
    assert verify(conn) == ()
    conn.execute(f"UPDATE call_rows SET {added} = 'a' WHERE id = 'free'")  # noqa: S608 - a column's own name
    assert any(f"{added} that was not chained" in fault for fault in verify(conn))


def test_each_column_is_covered(conn: sqlite3.Connection) -> None:
    """No column that says something about a call can be changed unseen, in any kind of ended row."""
    columns = [column[1] for column in conn.execute("PRAGMA table_info(call_rows)")]
    machinery = {"seq", "gate", "opening", "resized"}
    for call in ("settled", "refused", "free"):
        for column in set(columns) - machinery:
            conn.execute("BEGIN")
            conn.execute(f"UPDATE call_rows SET {column} = '99' WHERE id = ?", (call,))  # noqa: S608 - a column's own name
            assert verify(conn) != (), f"{column} of a {call} call"
            conn.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        ("DELETE FROM call_rows WHERE id = 'refused'", "link 2: its call, row 2, is missing"),
        ("DELETE FROM chain WHERE position = 2", "number 2 is missing"),
        ("DELETE FROM chain WHERE position = 3", "1 ended calls are in no link"),
        ("UPDATE chain SET head = digest WHERE position = 1", "call settled): does not follow"),
    ],
)
def test_edit_is_named(conn: sqlite3.Connection, edit: str, fault: str) -> None:
    """The fault says which link."""
    conn.execute(edit)
    assert any(fault in found for found in verify(conn))


@pytest.mark.parametrize("name", ["Jürgen", '\x7f\x01\n\t"\\\\/', "\u2028 \N{GRINNING FACE}", "a\x00b"])
def test_a_text_that_sqlite_writes_otherwise_holds(tmp_path: Path, name: str) -> None:
    """And is not left out of the comparison."""
    ledger = open_ledger(tmp_path)
    ledger.hold(row("one", person=name, session=name), (scope(),), admit(5), NOW)
    ledger.settle("one", settled(1, scope()))
    ledger.close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as conn:
        assert verify(conn) == ()
        conn.execute("DROP TRIGGER call_rows_no_update")
        conn.execute("UPDATE call_rows SET session = session || 'a'")
        assert [fault.partition(": ")[2] for fault in verify(conn)] == ["is not what was chained"]


def test_bytes_in_a_table_made_anew_are_told_by_their_call(conn: sqlite3.Connection) -> None:
    """No JSON can be made of them; the other calls are still compared."""
    (sql,) = conn.execute("SELECT sql FROM sqlite_schema WHERE name = 'call_rows'").fetchone()
    for (view,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'view'").fetchall():
        conn.execute(f"DROP VIEW {view}")
    conn.execute("ALTER TABLE call_rows RENAME TO before_")
    conn.execute(sql.replace(") STRICT", ")"))
    conn.execute("INSERT INTO call_rows SELECT * FROM before_")
    assert verify(conn) == ()
    conn.execute("UPDATE call_rows SET person = x'ff00' WHERE id = 'refused'")
    conn.execute("UPDATE call_rows SET host = 'other' WHERE id = 'free'")
    assert [fault.split(": ")[0].split("Z, ")[1] for fault in verify(conn)] == ["call refused)", "call free)"]


def test_order_of_endings_is_the_order_of_links(tmp_path: Path) -> None:
    """Two gates write one chain."""
    first, second = open_ledger(tmp_path), open_ledger(tmp_path)
    first.hold(ROW, (scope(),), admit(5), NOW)
    second.hold(row("b"), (scope(),), admit(5), NOW)
    second.settle("b", settled(1, scope()))
    first.settle(ROW.id, settled(1, scope()))
    assert first.head() == second.head()
    assert first.head().rows == 2
    first.close()
    second.close()


values = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=[])))


@given(values.map(tuple))
@example(("\x7f",))
@example(("caf\u00e9", "\x7f", "\\u007f", "\u2028", "\ud800", '"', 2**63))
def test_what_is_digested_is_plain_json(row: tuple[object, ...]) -> None:
    """Whichever encoder writes it, it is what Python's own writes: ASCII, without spaces."""
    assert canonical(row) == json.dumps(row, separators=(",", ":")).encode()


def ended(ledger: Ledger, calls: int) -> None:
    """So many settled calls."""
    for number in range(calls):
        ledger.hold(row(f"call-{number}"), (scope(),), admit(5), NOW)
        ledger.settle(f"call-{number}", settled(7, scope()))


@pytest.mark.parametrize("newest", [1, 3, 200, 201, 10_000])
def test_the_newest_calls_are_read_again(tmp_path: Path, newest: int) -> None:
    """As many as are asked for, from wherever that begins; an untouched ledger is not accused, a stopped look says nothing."""
    ledger = open_ledger(tmp_path)
    ended(ledger, 201)
    ledger.close()
    path = tmp_path / "ledger.db"
    assert verify_newest(path, newest, lambda: False) == ()
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            conn.execute(f"DROP TRIGGER {name}")
        conn.execute("UPDATE call_rows SET cost_nanos = 0 WHERE id IN ('call-0', 'call-200')")
        found = verify_newest(path, newest, lambda: False)
        assert [fault.what for fault in found] == (["call call-0"] if newest >= 201 else []) + ["call call-200"]
        assert verify_newest(path, newest, lambda: True) == ()
        conn.execute("DELETE FROM chain WHERE position = 150")
        gone = [fault.fault for fault in verify_newest(path, 200, lambda: False)]
        assert gone == ["number 150 is missing", "does not follow from the one before", "is not what was chained"]


def test_a_call_that_was_made_cheaper_with_its_sums_is_found_once(tmp_path: Path) -> None:
    """The gate finds it by itself: a budget has room again by it."""
    ledger = open_ledger(tmp_path)
    ended(ledger, 3)
    keeper = keeper_of(tmp_path, ledger)
    keeper.look(SeenClock(NOW))
    assert keeper.recompute(SeenClock(NOW), lambda: False) == ()
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            conn.execute(f"DROP TRIGGER {name}")
        conn.execute("UPDATE call_rows SET cost_nanos = 0, holds = NULL WHERE id = 'call-1'")
        conn.execute("UPDATE sums SET settled = settled - 7 WHERE id IN (SELECT id FROM windows WHERE budget <> '')")
    (found,) = keeper.recompute(SeenClock(NOW + 1), lambda: False)
    assert (found.what.value, "link 2" in found.detail, "is not what was chained" in found.detail) == (
        "ledger altered", True, True,
    )  # fmt: skip
    assert keeper.recompute(SeenClock(NOW + 2), lambda: False) == ()
    ledger.close()
