"""What is remembered of a ledger outside it: each way to lose spend is found once, told in the trail and kept."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ledger.kit import NOW, admit, keeper_of, open_ledger, row, scope, settled
from spendgate.audit_words import AuditWord
from spendgate.config.paths import write_private
from spendgate.ledger import Ledger
from spendgate.ledger.audit_log import Line
from spendgate.ledger.heads import Finding, unlike
from spendgate.ledger.heads_file import FINDINGS_MAX, HeadsFile, Remembered, SeenClock, Unreadable
from spendgate.ledger.queries import Reader

CLOCK = SeenClock(NOW, "boot", 5, None)


def started(folder: Path, *, used_before: bool = True) -> tuple[Ledger, tuple[Finding, ...]]:
    """As a gate starts: it looks, then tells of its start."""
    ledger = open_ledger(folder)
    found = keeper_of(folder, ledger, used_before=used_before).look(CLOCK)
    ledger.audit(Line(NOW, AuditWord.GATE_STARTED, "gate"))
    return ledger, found


def ran(folder: Path, calls: int = 2, name: str = "call", *, used_before: bool = True) -> tuple[Finding, ...]:
    """A gate's whole life; what it found at its start."""
    ledger, found = started(folder, used_before=used_before)
    for number in range(calls):
        ledger.hold(row(f"{name}-{number}"), (scope(),), admit(5), NOW)
        ledger.settle(f"{name}-{number}", settled(5, scope()))
    keeper_of(folder, ledger).look(CLOCK)
    ledger.close()
    return found


def kept(folder: Path) -> Remembered:
    found = HeadsFile(folder, write_private).read()
    assert found is not None
    return found


def told(folder: Path) -> list[str]:
    """The findings in the audit trail."""
    with Reader(folder / "ledger.db") as reader:
        return [line["what"] for line in reader.audit() if line["what"] not in ("gate started", "gate died")]


def test_gates_that_come_and_go_find_nothing(tmp_path: Path) -> None:
    """The first start, later ones, and a file that only its owner can read."""
    assert ran(tmp_path, used_before=False) == ()
    assert ran(tmp_path, name="more") == ()
    assert stat.S_IMODE((tmp_path / "heads.json").stat().st_mode) == 0o600
    assert kept(tmp_path).clock == CLOCK
    assert kept(tmp_path).findings == ()


def delete(folder: Path) -> None:
    for path in folder.glob("ledger.db*"):
        path.unlink()


def cut(folder: Path) -> None:
    """The last call, in all that says so."""
    edit(folder, "DELETE FROM chain WHERE position = 2", "DELETE FROM call_rows WHERE id = 'call-1'")


def cut_all(folder: Path) -> None:
    edit(
        folder,
        "DELETE FROM chain",
        "DELETE FROM call_rows",
        "DELETE FROM sums",
        "DELETE FROM windows",
        "DELETE FROM audit",
    )


def edit(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "ledger.db", isolation_level=None)) as conn:
        for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            conn.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            conn.execute(statement)


def exchange(folder: Path) -> None:
    """Another ledger with a call of its own in its place."""
    delete(folder)
    other = folder / "other"
    other.mkdir()
    ran(other, used_before=False)
    shutil.copy(other / "ledger.db", folder / "ledger.db")


def put_back(folder: Path) -> None:
    """An older copy of it."""
    shutil.copy(folder / "older.db", folder / "ledger.db")


def rename(folder: Path) -> None:
    edit(folder, "UPDATE chain SET head = digest WHERE position = 2")


@pytest.mark.parametrize(
    ("tamper", "word", "detail"),
    [
        (delete, AuditWord.LEDGER_NEW, "with 2 calls"),
        (cut, AuditWord.LEDGER_SHRUNKEN, "1 calls where 2 were"),
        (cut_all, AuditWord.LEDGER_SHRUNKEN, "0 calls where 2 were"),
        (exchange, AuditWord.LEDGER_OTHER, "was here"),
        (put_back, AuditWord.LEDGER_SHRUNKEN, "0 calls where 2 were"),
        (rename, AuditWord.LEDGER_ALTERED, "number 2 of its calls"),
    ],
)
def test_what_was_done_to_a_ledger_is_found_once(
    tmp_path: Path, tamper: Callable[[Path], None], word: AuditWord, detail: str
) -> None:
    """At the next start, with a line in the trail; it is kept, and the start after that finds nothing more."""
    open_ledger(tmp_path).close()
    shutil.copy(tmp_path / "ledger.db", tmp_path / "older.db")
    ran(tmp_path, used_before=False)
    tamper(tmp_path)
    (found,) = ran(tmp_path, name="later")
    assert (found.what, detail in found.detail, found.at_ms) == (word, True, NOW)
    assert ran(tmp_path, name="again") == ()
    (left,) = kept(tmp_path).findings
    assert (left.what, left.written) == (word, True)
    assert told(tmp_path) == [word]


def test_a_ledger_that_is_deleted_with_what_was_remembered(tmp_path: Path) -> None:
    """Something else in the state directory says that a gate has run; nothing does in a fresh one."""
    ran(tmp_path, used_before=False)
    delete(tmp_path)
    (tmp_path / "heads.json").unlink()
    (found,) = ran(tmp_path)
    assert (found.what, "a gate has run here before" in found.detail) == (AuditWord.LEDGER_NEW, True)


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b'{"version": 2}', b'{"heads": {"id": 1}}', b"\xff" * 99, b"[" * 99_999]
)
def test_a_memory_that_is_gone_or_spoilt_is_told(tmp_path: Path, content: bytes | None) -> None:
    """And begins anew."""
    ran(tmp_path, used_before=False)
    file = tmp_path / "heads.json"
    file.unlink() if content is None else file.write_bytes(content)
    if content is not None:
        with pytest.raises(Unreadable):
            HeadsFile(tmp_path, write_private).read()
    (found,) = ran(tmp_path, name="later")
    assert found.what is AuditWord.HEADS_MISSING
    assert kept(tmp_path).heads is not None
    assert ran(tmp_path, name="again") == ()


def test_a_ledger_of_before_is_not_accused(tmp_path: Path) -> None:
    """An earlier version remembered nothing: its ledger has calls and lines, no gate of it told of its start."""
    ledger = open_ledger(tmp_path)
    ledger.audit(Line(NOW, AuditWord.POLICY_IN_FORCE, "abc"))
    ledger.close()
    assert ran(tmp_path) == ()


def test_a_ledger_that_is_removed_under_a_gate(tmp_path: Path) -> None:
    """Told once, with what was remembered left as it is; the next gate finds a new ledger."""
    ledger, _ = started(tmp_path, used_before=False)
    ledger.hold(row("call"), (scope(),), admit(5), NOW)
    ledger.settle("call", settled(5, scope()))
    keeper = keeper_of(tmp_path, ledger)
    assert keeper.look(CLOCK) == ()
    before = kept(tmp_path).heads
    delete(tmp_path)
    assert [each.what for each in keeper.look(CLOCK)] == [AuditWord.LEDGER_GONE]
    assert keeper.look(CLOCK) == ()
    assert not (tmp_path / "ledger.db").exists()
    ledger.close()
    assert kept(tmp_path).heads == before
    (found,) = ran(tmp_path)
    assert (found.what, "with 1 calls" in found.detail) == (AuditWord.LEDGER_NEW, True)
    assert [each.what for each in kept(tmp_path).findings] == [AuditWord.LEDGER_GONE, AuditWord.LEDGER_NEW]


def test_two_gates_remember_together(tmp_path: Path) -> None:
    """Each look goes on from the other's; neither accuses the other."""
    first, _ = started(tmp_path, used_before=False)
    second, found = started(tmp_path)
    assert found == ()
    keepers = (keeper_of(tmp_path, first), keeper_of(tmp_path, second))
    for number in range(10):
        gate = (first, second)[number % 2]
        gate.hold(row(f"call-{number}"), (scope(),), admit(5), NOW)
        gate.settle(f"call-{number}", settled(5, scope()))
        assert keepers[1 - number % 2].look(CLOCK) == ()
    heads = kept(tmp_path).heads
    assert heads is not None
    assert heads.calls.position == 10
    first.close()
    second.close()


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    """The first findings stay."""
    many = tuple(Finding(AuditWord.HEADS_MISSING, str(number), NOW, written=True) for number in range(FINDINGS_MAX + 9))
    assert Remembered().with_findings(many) == many[:FINDINGS_MAX]


def test_a_look_costs_the_same_however_old_the_ledger_is(tmp_path: Path) -> None:
    """Counted in SQLite's own steps: of five calls and of three hundred."""
    steps = []
    for calls in (5, 300):
        folder = tmp_path / str(calls)
        folder.mkdir()
        ran(folder, calls, used_before=False)
        heads = kept(folder).heads
        assert heads is not None
        with closing(sqlite3.connect(folder / "ledger.db")) as conn:
            unlike(conn, heads)  # what is read once for each connection
            steps.append(0)

            def count() -> int:
                steps[-1] += 1
                return 0

            conn.set_progress_handler(count, 1)
            assert unlike(conn, heads) is None
            conn.set_progress_handler(None, 1)
    assert 0 < steps[1] <= 2 * steps[0]  # one walk through three hundred rows is many times that
