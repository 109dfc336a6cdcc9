"""The audit trail and what proves it: whatever is changed in it, in a settled call, or in their chains is found and named."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from ledger.kit import NOW, admit, open_ledger, row, scope, settled
from spendgate.audit_words import AuditWord
from spendgate.ledger import audit_log, check, migrations
from spendgate.ledger.audit_log import Line
from spendgate.ledger.fault import Fault
from spendgate.ledger.heads import Heads, of, unlike
from spendgate.ledger.queries import Reader
from spendgate.ledger.verify import verify

MACHINERY = {("call_rows", "resized"), ("call_rows", "gate")}
"""Columns that say nothing about a call: `resized` and `gate` are no evidence."""


def history(folder: Path, calls: int = 3) -> Heads:
    """A ledger with as many settled calls, an audit line before each, and one after all; its heads."""
    ledger = open_ledger(folder)
    for number in range(calls):
        ledger.audit(Line(NOW + number, AuditWord.POLICY_IN_FORCE, f"policy {number}", "alice"))
        call = f"call-{number}"
        ledger.hold(row(call), (scope(),), admit(5), NOW + number)
        ledger.settle(call, settled(5, scope()))
    ledger.audit(Line(NOW + calls, AuditWord.GATE_STOPPED, "gate 1"))
    heads = ledger.heads()
    ledger.close()
    return heads


def opened(folder: Path) -> sqlite3.Connection:
    """The file without what refuses edits, as somebody who owns it can have it."""
    conn = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        conn.execute(f"DROP TRIGGER {name}")
    return conn


def faults(conn: sqlite3.Connection, seen: Heads | None = None) -> list[Fault]:
    return list(verify(conn, seen))


def test_an_untouched_ledger_holds(tmp_path: Path) -> None:
    """Both chains, against what was seen of it then and before."""
    heads = history(tmp_path)
    with closing(opened(tmp_path)) as conn:
        assert faults(conn, heads) == []
        assert of(conn) == heads
        assert (heads.audit.position, heads.calls.position) == (4, 3)


def test_a_balance_lowered_as_if_less_than_nothing_were_purged(tmp_path: Path) -> None:
    """It has room again, and agrees with its calls but for that: `audit verify` and the running gate's hourly look both tell."""
    history(tmp_path)
    with closing(opened(tmp_path)) as conn:
        conn.execute("UPDATE windows SET purged_nanos = -3 WHERE budget = 'person/day'")
        conn.execute("UPDATE sums SET settled = settled - 3 WHERE id = (SELECT id FROM windows WHERE purged_nanos < 0)")
    with closing(Reader(tmp_path / "ledger.db")) as reader:
        (told,) = [str(fault) for fault in reader.verify(None)]
    assert "(person/day alice 2026-11-22) is (12, 0, 0, 0), its calls make (15, 0, 0, 0)" in told
    (found,) = check.beside(tmp_path / "ledger.db", lambda: False)
    assert found.startswith("balance 1 (person/day alice 2026-11-22) differs from its calls by -$0.000000003 settled")


def test_a_balance_lowered_by_a_charge_of_somebody_elses_call(tmp_path: Path) -> None:
    """As filling adds one, but for less than nothing: the sums agree, and both looks tell."""
    history(tmp_path)
    ledger = open_ledger(tmp_path)
    ledger.hold(row("of-bob", person="bob"), (scope(value="bob"),), admit(5), NOW)
    ledger.settle("of-bob", settled(5, scope(value="bob")))
    ledger.close()
    with closing(opened(tmp_path)) as conn:
        conn.execute("INSERT INTO charges SELECT seq, 1, booked_ms, 'expected', -4 FROM call_rows WHERE id = 'of-bob'")
        conn.execute("UPDATE sums SET settled = settled - 4 WHERE id = 1")
    with closing(Reader(tmp_path / "ledger.db")) as reader:
        told = [str(fault) for fault in reader.verify(None)]
    said = "balance 1 has a charge of call of-bob that takes from it"
    assert told == [f"sums: {said}"]
    assert check.beside(tmp_path / "ledger.db", lambda: False) == (said,)


def other(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    return value + 1 if isinstance(value, int) else f"{value}~"


@pytest.mark.parametrize("table", ["audit", "chain", "call_rows"])
def test_each_field_of_each_row_is_covered(tmp_path: Path, table: str) -> None:
    """Another value in any field of any row of the trail, of the links and of settled calls is a fault of that very row."""
    history(tmp_path)
    with closing(opened(tmp_path)) as conn:
        cursor = conn.execute(f"SELECT * FROM {table} LIMIT 1")  # noqa: S608 - three words
        columns = [column[0] for column in cursor.description if (table, column[0]) not in MACHINERY]
        key = "seq" if table == "call_rows" else "position"
        rows = [number for (number,) in conn.execute(f"SELECT {key} FROM {table}").fetchall()]  # noqa: S608 - as above
        for number in rows:
            for column in columns:
                where = f"WHERE {key} = {number}"
                value = conn.execute(f"SELECT {column} FROM {table} {where}").fetchone()[0]  # noqa: S608 - as above
                conn.execute("PRAGMA defer_foreign_keys = 1")
                new = other("" if value is None else value)
                if column == key:
                    new = 1_000 + number
                changed = Change(table, column, number)
                try:
                    conn.execute(f"UPDATE {table} SET {column} = ? {where}", (new,))  # noqa: S608 - as above
                except sqlite3.IntegrityError:
                    conn.execute(f"UPDATE {table} SET {column} = 99 {where}")  # noqa: S608 - a number, where it was NULL
                    new = 99
                found = faults(conn)
                conn.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?",  # noqa: S608 - as above
                             (value, new if column == key else number))  # fmt: skip
                assert found, changed
                assert changed.named_in(found), (changed, [str(each) for each in found])
        assert faults(conn) == []


class Change:
    """One edit, and what must name it."""

    def __init__(self, table: str, column: str, number: int) -> None:
        self.table, self.column, self.number = table, column, number

    def __repr__(self) -> str:
        return f"{self.table}.{self.column} of {self.number}"

    def named_in(self, found: list[Fault]) -> bool:
        """The first fault is of that line, or of that call; the audit line after a link contradicts it first."""
        if self.table == "audit":
            return found[0].where == "audit" and found[0].number in (self.number, self.number + 1)
        return any(each.where == "calls" and each.number in (self.number, self.number + 1) for each in found)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_line_that_was_written_anew_with_its_digest_is_named(tmp_path: Path, number: int) -> None:
    """Who knows the form can make a line follow from the one before; the next one does not then, or what was remembered."""
    heads = history(tmp_path)
    with closing(opened(tmp_path)) as conn:
        rewrite(conn, number, "policy of somebody's own")
        found = faults(conn, heads)
        assert (found[0].where, found[0].number) == ("audit", number + 1)
        assert "does not follow" in str(found[0])
        assert found[0].at_ms == NOW + number


def rewrite(conn: sqlite3.Connection, number: int, detail: str) -> None:
    """Another detail, with the digest and head that are right for it."""
    import hashlib

    values = conn.execute(
        "SELECT position, at_ms, what, who, detail, calls, calls_head FROM audit WHERE position = ?", (number,)
    ).fetchone()
    digest = audit_log.digest((*values[:4], detail, *values[5:]))
    before = conn.execute("SELECT head FROM audit WHERE position = ?", (number - 1,)).fetchone()
    head = hashlib.sha256((before[0] if before else audit_log.first(conn)) + digest).digest()
    written = (detail, digest, head, number)
    conn.execute("UPDATE audit SET detail = ?, digest = ?, head = ? WHERE position = ?", written)


def test_a_trail_that_was_written_anew_to_its_end_is_not_what_was_seen(tmp_path: Path) -> None:
    """Every head is right; the remembered one is not there."""
    heads = history(tmp_path)
    with closing(opened(tmp_path)) as conn:
        for number in range(1, 5):
            rewrite(conn, number, "nothing happened")
        assert faults(conn) == []
        (fault,) = faults(conn, heads)
        assert (fault.where, fault.what) == ("heads", AuditWord.LEDGER_ALTERED)


def test_a_history_of_calls_that_was_written_anew_contradicts_the_lines(tmp_path: Path) -> None:
    """The calls' own chain is whole; the line that was written after the second of them names another head."""
    history(tmp_path)
    changed = tmp_path / "changed"
    changed.mkdir()
    cheaper = open_ledger(changed)
    for number in range(3):
        cheaper.hold(row(f"call-{number}"), (scope(),), admit(5), NOW + number)
        cheaper.settle(f"call-{number}", settled(1, scope()))
    cheaper.close()
    with closing(opened(tmp_path)) as conn:
        conn.execute("ATTACH ? AS cheaper", (str(changed / "ledger.db"),))
        for table in ("call_rows", "chain"):
            conn.execute(f"DELETE FROM {table}")  # noqa: S608 - two words
            conn.execute(f"INSERT INTO {table} SELECT * FROM cheaper.{table}")  # noqa: S608 - two words
        found = faults(conn)
        assert {each.where for each in found} == {"audit"}
        assert (found[0].number, found[0].at_ms, found[0].what) == (2, NOW + 1, "policy in force")
        assert "link 1 of the calls is not the one" in str(found[0])


@pytest.mark.parametrize(
    ("edit", "word", "fault"),
    [
        ("DELETE FROM audit WHERE position = 4", AuditWord.LEDGER_SHRUNKEN, "3 audit lines where 4 were"),
        ("DELETE FROM audit", AuditWord.LEDGER_SHRUNKEN, "0 audit lines where 4 were"),
        ("DELETE FROM chain WHERE position = 3", AuditWord.LEDGER_SHRUNKEN, "2 calls where 3 were"),
        ("DELETE FROM chain", AuditWord.LEDGER_SHRUNKEN, "0 calls where 3 were"),
        ("UPDATE ledger SET id = 'another'", AuditWord.LEDGER_OTHER, "with 3 calls and 4 audit lines was here"),
        ("UPDATE ledger SET created_ms = 1", AuditWord.LEDGER_OTHER, "was here"),
        ("UPDATE chain SET head = x'00' WHERE position = 3", AuditWord.LEDGER_ALTERED, "number 3 of its calls"),
    ],
)
def test_what_was_seen_is_not_there_any_more(tmp_path: Path, edit: str, word: AuditWord, fault: str) -> None:
    """The end of either chain, all of it, or the ledger's name: by a look that costs nothing, and by the whole check."""
    heads = history(tmp_path)
    with closing(opened(tmp_path)) as conn:
        conn.execute(edit)
        found = unlike(conn, heads)
        assert found is not None
        assert (found.what, fault in found.detail) == (word, True)
        assert faults(conn, heads)[0].where == "heads"


def test_missing_lines_are_named_by_number_and_time(tmp_path: Path) -> None:
    """In the middle and at the beginning, where only the ledger's own head tells."""
    history(tmp_path)
    with closing(opened(tmp_path)) as conn:
        conn.execute("DELETE FROM audit WHERE position = 3")
        first = faults(conn)[0]
        assert (first.number, first.at_ms) == (3, NOW + 1)
        assert str(first).startswith("audit line 3 (2026-11-22T")
        conn.execute("DELETE FROM audit WHERE position < 3")
        assert "numbers 1 to 3 are missing" in str(faults(conn)[0])


def test_lines_of_another_ledger_are_none_of_this_one(tmp_path: Path) -> None:
    """A trail that is whole, put into another ledger: its first line does not follow from that ledger's name."""
    for name in ("mine", "other"):
        (tmp_path / name).mkdir()
        ledger = open_ledger(tmp_path / name)
        ledger.audit(Line(NOW, AuditWord.GATE_STARTED, name))
        ledger.close()
    with closing(opened(tmp_path / "mine")) as conn:
        conn.execute("ATTACH ? AS other", (str(tmp_path / "other" / "ledger.db"),))
        conn.execute("DELETE FROM audit")
        conn.execute("INSERT INTO audit SELECT * FROM other.audit")
        assert "does not follow" in str(faults(conn)[0])


@given(flip=st.integers(min_value=0), bit=st.integers(0, 7))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_in_a_line_or_call_is_found(tmp_path_factory: Any, flip: int, bit: int) -> None:
    """Anywhere in the stored text of a line or a settled call: the file itself, past SQLite."""
    folder = flipped_folder(tmp_path_factory)
    whole = (folder / "ledger.db").read_bytes()
    words = (b"policy 0", b"policy 2", b"alice", b"call-1", b"claude-opus-4-5", b"claude-code|opus", b"policy in force")
    places = [place for word in words for start in _all(whole, word) for place in range(start, start + len(word))]
    place = places[flip % len(places)]
    copy = folder / f"flipped-{random.getrandbits(64):x}.db"
    copy.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
    with closing(sqlite3.connect(f"{copy.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)) as conn:
        found = faults(conn) or balances(conn)
    copy.unlink()
    assert found, whole[place - 20 : place + 20]


_folders: list[Path] = []


def flipped_folder(factory: Any) -> Path:
    """One ledger for all examples."""
    if not _folders:
        _folders.append(factory.mktemp("flipped"))
        history(_folders[0])
    return _folders[0]


def balances(conn: sqlite3.Connection) -> tuple[str, ...]:
    """What only sums can tell: a balance's own words."""
    from spendgate.ledger.check import sums

    return sums(conn)


def _all(whole: bytes, word: bytes) -> list[int]:
    found, start = [], whole.find(word)
    while start >= 0:
        found.append(start)
        start = whole.find(word, start + 1)
    return found


# Words of a purge alone have a form, which `verify` holds them to.
SAID = tuple(word for word in AuditWord if word is not AuditWord.PURGED)


@given(texts=st.lists(st.tuples(st.sampled_from(SAID), st.text(), st.text(max_size=40)), max_size=20))
@settings(max_examples=40, deadline=None)
def test_whatever_is_said_is_chained(tmp_path_factory: Any, texts: list[tuple[AuditWord, str, str]]) -> None:
    """Any text in detail and name, lone surrogates and NUL too: written, read back in order, and verified."""
    folder = tmp_path_factory.mktemp("said")
    ledger = open_ledger(folder)
    for number, (word, detail, who) in enumerate(texts):
        ledger.audit(Line(NOW + number, word, detail, who))
    with Reader(folder / "ledger.db") as reader:
        assert [line["what"] for line in reader.audit()] == [word.value for word, _, _ in texts]
        assert list(reader.verify(ledger.heads())) == []
    ledger.close()


def test_lines_of_before_the_chain_are_chained_as_they_were(tmp_path: Path) -> None:
    """A ledger of an earlier version keeps its lines, in their order; from the migration on they cannot change unseen."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        migrations.migration.apply(Database(conn), stop_before="m014_audit_chain")
        conn.execute("INSERT INTO ledger VALUES (1, 'old', 1)")
        for number in range(3):
            conn.execute(
                "INSERT INTO audit (at_ms, what, detail) VALUES (?, 'clock', ?)", (NOW + number, f"line {number}")
            )
    ledger = open_ledger(tmp_path)
    ledger.audit(Line(NOW + 9, AuditWord.GATE_STARTED, "gate 1"))
    heads = ledger.heads()
    ledger.close()
    with Reader(path) as reader:
        told = "the 3 lines before this one are of a version that did not chain them, and chained as now found"
        assert [line["detail"] for line in reader.audit()] == ["line 0", "line 1", "line 2", told, "gate 1"]
        assert list(reader.verify(heads)) == []
    with closing(opened(tmp_path)) as conn:
        conn.execute("UPDATE audit SET detail = 'line' WHERE position = 2")
        assert (faults(conn)[0].number, faults(conn)[0].at_ms) == (2, NOW + 1)


def test_two_gates_append_at_once(tmp_path: Path) -> None:
    """Both write lines and settle calls from threads of their own: one chain of each, no line lost or doubled."""
    ledgers = [open_ledger(tmp_path), open_ledger(tmp_path)]

    def append(which: int) -> None:
        for number in range(60):
            patiently(lambda number=number: ledgers[which].audit(Line(NOW, AuditWord.ALERT, f"{which} {number}")))
            call = f"call-{which}-{number}"
            patiently(lambda call=call: ledgers[which].hold(row(call), (scope(),), admit(1), NOW))
            patiently(lambda call=call: ledgers[which].settle(call, settled(1, scope())))

    threads = [threading.Thread(target=append, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Reader(tmp_path / "ledger.db") as reader:
        said = [line["detail"] for line in reader.audit()]
        assert list(reader.verify(ledgers[0].heads())) == []
    assert sorted(said) == sorted(f"{which} {number}" for which in (0, 1) for number in range(60))
    for ledger in ledgers:
        ledger.close()


def patiently(write: Any) -> None:
    """As a gate does: again, while the other one writes."""
    from spendgate.errors import LedgerBusy

    async def again() -> None:
        while True:
            try:
                write()
                return
            except LedgerBusy:
                await asyncio.sleep(0.001)

    asyncio.run(again())
