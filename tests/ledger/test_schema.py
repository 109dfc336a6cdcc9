"""Opening: from nothing, from an older file, never from a newer one; and a file that refuses edits."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from itertools import combinations
from pathlib import Path

import pytest
from sqlite_utils import Database

from ledger.kit import DAY, NOW, ROW, admit, open_ledger, row, scope, settled
from spendgate.audit_words import AuditWord
from spendgate.errors import StateError
from spendgate.ledger import Ledger, migrations, schema
from spendgate.ledger.audit_log import Line
from spendgate.ledger.check import check
from spendgate.ledger.counted import Counted
from spendgate.ledger.purge import Purge, run
from spendgate.ledger.queries import Reader

BESIDE = ("m017_purging", "m018_letters", "m020_statements")
STEPS = tuple(step.name for step in migrations.migration._migrations)
SHIPPED = 24
SHIPPED_SHA256 = "28ae0e6b51446c5e85f81e73a819717cafe379dbd616ca4a3952f5dd047517fe"
"""Of the first so many steps. Where there are more, both may be raised; that of fewer never changes."""


def tables(path: Path) -> dict[str, str]:
    """The schema as SQLite keeps it."""
    with closing(sqlite3.connect(path)) as conn:
        return dict(conn.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))


@pytest.mark.parametrize("reached", STEPS)
def test_old_file_is_brought_up_to_date(tmp_path: Path, reached: str) -> None:
    """A ledger that stopped at any earlier step ends with the tables of a new one."""
    fresh, old = tmp_path / "fresh", tmp_path / "old"
    for folder in (fresh, old):
        folder.mkdir()
    open_ledger(fresh).close()
    with closing(sqlite3.connect(old / "ledger.db", isolation_level=None)) as conn:
        migrations.migration.apply(Database(conn), stop_before=reached)
    open_ledger(old).close()
    assert tables(old / "ledger.db") == tables(fresh / "ledger.db")


def test_what_has_shipped_is_never_edited() -> None:
    """Names, order and tables of the steps that ledgers have. One that is renamed makes each of them a newer version's."""
    found = hashlib.sha256()
    for count, name in enumerate(STEPS[:SHIPPED], 1):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
            migrations.migration.apply(Database(conn), stop_before=STEPS[count:])
            made = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%sqlite_%' ORDER BY name"
            found.update(repr((name, conn.execute(made).fetchall())).encode())
    assert found.hexdigest() == SHIPPED_SHA256, "a change is a new step: ledgers do not take the same one again"


@pytest.mark.parametrize("missing", [each for size in (1, 2, 3) for each in combinations(BESIDE, size)], ids="+".join)
def test_a_file_of_a_version_in_between_is_brought_up_to_date(
    tmp_path: Path, missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has later steps and lacks earlier ones, as versions had that were made side by side: it meters, and purges."""
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    open_ledger(fresh).close()
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn, monkeypatch.context() as patch:
        steps = migrations.migration._migrations
        some = [step for step in steps if step.name not in missing and step.name < "m021"]  # later ones stand on all
        patch.setattr(migrations.migration, "_migrations", some)
        schema.migrate(Database(conn), NOW - DAY)
    ledger = open_ledger(tmp_path)
    for number in range(3):
        ledger.hold(row(f"c{number}"), (scope(),), admit(5), NOW + number)
        ledger.settle(f"c{number}", settled(5, scope(), ended_ms=NOW + number))
    ledger.close()
    assert tables(tmp_path / "ledger.db") == tables(fresh / "ledger.db")
    with Purge(tmp_path / "ledger.db", tmp_path / "gates", patience_ms=1_000) as purge:
        calls, _ = run(purge, 30, NOW + 60 * DAY, paused=lambda: False)
    with Reader(tmp_path / "ledger.db") as reader:
        assert (calls, reader.check(), list(reader.verify(None))) == (2, (), [])


def test_lines_from_before_the_chain_are_told_apart(tmp_path: Path) -> None:
    """They are chained as they stand when the ledger is brought up to date; a line says how many, and where the proof begins.
    A new ledger has no such line."""
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        migrations.migration.apply(Database(conn), stop_before="m014_audit_chain")
        conn.execute("INSERT INTO ledger (one, id, created_ms) VALUES (1, 'abc', ?)", (NOW - DAY,))
        for at_ms in (NOW - DAY, NOW - 5):
            conn.execute("INSERT INTO audit (at_ms, what, detail) VALUES (?, 'gate started', 'as it was')", (at_ms,))
    for _ in range(2):
        open_ledger(tmp_path).close()
    with Reader(tmp_path / "ledger.db") as reader:
        told = [(line["position"], line["at_ms"], line["what"], line["detail"]) for line in reader.audit()]
        assert list(reader.verify(None)) == []
        assert reader.chained_from() == (3, NOW)
    said = "the 2 lines before this one are of a version that did not chain them, and chained as now found"
    assert told[-1] == (3, NOW, "trail chained", said)
    (tmp_path / "new").mkdir()
    open_ledger(tmp_path / "new").close()
    with Reader(tmp_path / "new" / "ledger.db") as reader:
        assert (reader.audit(), reader.chained_from()) == ((), None)


def test_sums_of_an_older_file_are_kept(tmp_path: Path) -> None:
    """A ledger whose balances were rows with their names: each is as it was, under its number, and counts what comes."""
    older = [
        (
            7,
            "person/day",
            "",
            "alice",
            scope().window,
            0,
            scope().starts_ms,
            scope().ends_ms,
            None,
            9,
            0,
            0,
            0,
            0,
            9,
            0,
        ),
        (8, "gone", "w", "bob", "2024", 0, 1, 2, None, 3, 0, 0, 0, 0, 3, 0),
        (12, "person/24h", "", "alice", "rolling", DAY, NOW - DAY, None, NOW - DAY, 0, 0, 0, 0, 0, 0, 0),
        (13, "", "", ROW.kind, "", 0, 0, None, None, 0, 0, 0, 0, 4, 0, 4),
    ]
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        migrations.migration.apply(Database(conn), stop_before="m022_narrow_sums")
        conn.executemany(f"INSERT INTO balances VALUES ({', '.join('?' * 16)})", older)  # noqa: S608 - only marks
    ledger = open_ledger(tmp_path)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as conn:
        assert conn.execute("SELECT * FROM balances ORDER BY id").fetchall() == older
        budgets = (scope(), scope("person/24h", rolling_ms=DAY), scope("new"))
        ledger.hold(ROW, budgets, admit(5), NOW)
        ledger.settle(ROW.id, settled(6, *budgets))
        sums = "SELECT id, settled, held, open_calls, settled_calls FROM balances WHERE id <> 8 ORDER BY id"
        assert conn.execute(sums).fetchall() == [
            (7, 15, 0, 0, 0), (12, 6, 0, 0, 0), (13, 0, 0, 0, 5), (14, 6, 0, 0, 0)
        ]  # fmt: skip
        assert check(conn) == ()
    ledger.close()


def test_a_gate_of_the_version_before_still_ends_its_calls(tmp_path: Path) -> None:
    """Its statement changes what are columns of a view since: the sums of its open calls come out right."""
    ledger = open_ledger(tmp_path)
    ledger.hold(ROW, (scope(),), admit(5), NOW)
    ledger.hold(row("another"), (scope(),), admit(3), NOW)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        conn.executemany(
            """UPDATE balances SET settled = settled + ?, held = held + ?, ceiling = ceiling + ?,
            open_calls = open_calls + ?, settled_calls = settled_calls + ? WHERE id = ?""",
            [(5, -5, -5, -1, 0, number) for (number,) in conn.execute("SELECT id FROM windows WHERE budget <> ''")],
        )
        conn.execute("UPDATE balances SET edge_ms = 1, purged_nanos = purged_nanos + 2 WHERE budget <> ''")
        found = "SELECT settled, held, ceiling, open_calls, edge_ms, purged_nanos FROM balances WHERE budget <> ''"
        assert conn.execute(found).fetchall() == [(5, 3, 3, 1, 1, 2)]
        conn.execute("DELETE FROM balances WHERE budget <> ''")
        assert conn.execute("SELECT (SELECT count(*) FROM sums), (SELECT count(*) FROM windows)").fetchall() == [(1, 1)]
    ledger.close()


def test_reopened_ledger_is_the_same(tmp_path: Path) -> None:
    """Opening again changes neither id nor rows."""
    first = open_ledger(tmp_path)
    first.recorded(
        ROW, "free", ended_ms=NOW, http_status=200, request_bytes=1, response_bytes=1, duration_ms=1, first_byte_ms=1
    )
    head = first.head()
    first.close()
    again = open_ledger(tmp_path, NOW + 1)
    assert (again.head(), head.rows) == (head, 1)
    again.close()


def test_failed_migration_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of a migration and what it did share a transaction: a fault half-way leaves an empty file."""

    def broken(_: Database) -> None:
        raise sqlite3.OperationalError("a fault half-way")

    monkeypatch.setattr(migrations.migration._migrations[-1], "fn", broken)
    with pytest.raises(StateError, match="half-way"):
        open_ledger(tmp_path)
    assert tables(tmp_path / "ledger.db") == {}


def test_newer_ledger_is_refused(tmp_path: Path) -> None:
    """A file that a newer version has changed is not opened half-understood, for writing or reading."""
    open_ledger(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        conn.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('spendgate-ledger', 'm999_future', '')"
        )
    with pytest.raises(StateError, match=r"newer Spendgate \(it has m999_future\)"):
        open_ledger(tmp_path)
    with pytest.raises(StateError, match="newer Spendgate"):
        Reader(tmp_path / "ledger.db")


def test_other_files_are_refused(tmp_path: Path) -> None:
    """What is no ledger is named, not overwritten."""
    (tmp_path / "ledger.db").write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(StateError, match=r"ledger\.db"):
        open_ledger(tmp_path)
    with pytest.raises(StateError, match="cannot be read"):
        Reader(tmp_path / "nowhere.db")
    with closing(sqlite3.connect(tmp_path / "other.db")) as conn:
        conn.execute("CREATE TABLE t (a)")
    with pytest.raises(StateError, match="not a ledger"):
        Reader(tmp_path / "other.db")


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE call_rows SET cost_nanos = 1 WHERE id = 'call-1'",
        "UPDATE call_rows SET state = 'open' WHERE id = 'call-1'",
        "DELETE FROM call_rows WHERE id = 'call-1'",
        "DELETE FROM call_rows WHERE id = 'still-open'",
        "UPDATE call_rows SET holds = NULL WHERE id = 'call-1'",
        "UPDATE call_rows SET holds = replace(holds, '5', '6') WHERE id = 'call-1'",
        "UPDATE charges SET charged_nanos = 1",
        "DELETE FROM charges",
        "UPDATE chain SET digest = x'00'",
        "DELETE FROM chain",
        "UPDATE audit SET detail = ''",
        "DELETE FROM audit",
        "UPDATE ledger SET id = 'another'",
    ],
)
def test_what_has_ended_cannot_be_changed(ledger: Ledger, tmp_path: Path, edit: str) -> None:
    """The file itself refuses an edit of what has ended, whoever tries."""
    ledger.hold(ROW, (scope(),), admit(5), NOW)
    ledger.settle(ROW.id, settled(5, scope()))
    ledger.hold(row("still-open"), (scope(),), admit(5), NOW)
    ledger.prepare((Counted("new", "", NOW - DAY),), lambda _: (scope("new"),), NOW)
    ledger.audit(Line(NOW, AuditWord.CLOCK_STEPPED, "+3000 ms"))
    with (
        closing(sqlite3.connect(tmp_path / "ledger.db")) as conn,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        conn.execute(edit)


@pytest.mark.parametrize(
    "verb", ["UPDATE", "UPDATE OR IGNORE", "UPDATE OR FAIL", "UPDATE OR REPLACE", "UPDATE OR ROLLBACK"]
)
def test_an_edit_of_what_has_ended_takes_its_whole_transaction_with_it(
    ledger: Ledger, tmp_path: Path, verb: str
) -> None:
    """However the edit says that faults are to be borne: nothing of what came with it is left, and the calls are as they were."""
    ledger.hold(ROW, (scope(),), admit(5), NOW)
    ledger.settle(ROW.id, settled(5, scope()))
    ledger.hold(row("still-open"), (scope(),), admit(5), NOW)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        before = conn.execute("SELECT * FROM call_rows").fetchall(), conn.execute("SELECT * FROM balances").fetchall()
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("UPDATE call_rows SET sent_ms = 1 WHERE id = 'still-open'")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            conn.execute(f"{verb} call_rows SET cost_nanos = 1 WHERE id IN ('still-open', ?)", (ROW.id,))
        assert not conn.in_transaction
        assert before == (
            conn.execute("SELECT * FROM call_rows").fetchall(),
            conn.execute("SELECT * FROM balances").fetchall(),
        )
        assert check(conn) == ()


def test_check_finds_a_balance_that_was_changed(tmp_path: Path) -> None:
    """A counter that is not the sum of its calls is named with both figures."""
    ledger = open_ledger(tmp_path)
    ledger.hold(ROW, (scope(),), admit(5), NOW)
    ledger.close()
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        conn.execute("UPDATE balances SET held = 4")
        (fault,) = check(conn)
    assert "person/day alice" in fault
    assert "(0, 4, 5, 1), its calls make (0, 5, 5, 1)" in fault
