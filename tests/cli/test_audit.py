"""`spendgate audit`: what a reviewer reads, the proof and its exit status, and taking note of what was found."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from cli.kit import NOW_MS, app, ran, row
from ledger.kit import keeper_of
from spendgate.admission import Admit
from spendgate.audit_words import AuditWord
from spendgate.cli.outside import heads_file
from spendgate.config.paths import State
from spendgate.errors import StateError
from spendgate.gate.clock import Clock
from spendgate.ledger.audit_log import Line
from spendgate.ledger.heads_file import SeenClock
from spendgate.ledger.ledger import Ledger


@pytest.fixture
def told(state: State) -> State:
    """The ledger with known calls, two audit lines, and heads that were remembered."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    keeper_of(state.root, ledger).look(SeenClock(NOW_MS))
    ledger.audit(Line(NOW_MS - 86_400_000 * 3, AuditWord.GATE_STARTED, "gate 1", "root"))
    ledger.audit(Line(NOW_MS, AuditWord.GRANT, '$50 for "release week"', "=cto"))
    keeper_of(state.root, ledger).look(SeenClock(NOW_MS))
    ledger.close()
    return state


def edited(state: State, *statements: str) -> None:
    with closing(sqlite3.connect(state.ledger, isolation_level=None)) as conn:
        for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            conn.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            conn.execute(statement)


def ran_out(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def test_the_trail_is_listed(told: State) -> None:
    """For people, for programs, and since a time."""
    table = ran(told, "audit", "list")
    assert "gate started" in table
    assert '$50 for "release week"' in table
    both = json.loads(ran(told, "audit", "list", "--format", "json"))
    assert [(line["position"], line["what"], line["who"]) for line in both] == [
        (1, "gate started", "root"),
        (2, "grant", "=cto"),
    ]
    assert both[1]["calls"] == 2
    (late,) = json.loads(ran(told, "audit", "list", "--since", "2d", "--format", "json"))
    assert late["what"] == "grant"
    assert late["at"].endswith("Z")
    rows = list(csv.DictReader(io.StringIO(ran(told, "audit", "list", "--format", "csv"))))
    assert [row["who"] for row in rows] == ["root", "'=cto"]


def test_an_untouched_ledger_verifies(told: State, tmp_path: Path) -> None:
    """In its place, with what is remembered; a copy of it, without."""
    assert "2 audit lines, 2 ended calls; as remembered outside it" in ran(told, "audit", "verify")
    copy = tmp_path / "copy" / "ledger.db"
    copy.parent.mkdir()
    shutil.copy(told.ledger, copy)
    result = ran_out("audit", "verify", str(copy))
    assert (result.exit_code, "nothing is remembered outside it" in result.stdout) == (0, True)


@pytest.mark.parametrize(
    ("edit", "first"),
    [
        ("UPDATE audit SET detail = '$5' WHERE position = 2", "audit line 2 ("),
        ("UPDATE call_rows SET cost_nanos = 1 WHERE id LIKE '0a1b%'", "link 1 ("),
        ("DELETE FROM call_rows WHERE id LIKE '0c1b%'", "link 2: its call"),
        ("DELETE FROM audit WHERE position = 1", "audit line 1: number 1 is missing"),
        ("DELETE FROM audit WHERE position = 2", "heads (ledger shrunken): "),
        ("UPDATE sums SET settled = 0", "sums: balance 1 (person/day"),
    ],
)
def test_the_first_fault_is_named(told: State, edit: str, first: str) -> None:
    """By number, time and what it is; exit status 1."""
    edited(told, edit)
    result = ran_out("audit", "verify", "--state", str(told.root))
    assert result.exit_code == 1
    assert result.stdout.startswith(f"first fault: {first}"), result.stdout


def test_many_faults_are_counted(told: State) -> None:
    """Twenty are shown."""
    ledger = Ledger.open(told.ledger, told.gates, NOW_MS)
    for number in range(40):
        ledger.audit(Line(NOW_MS, AuditWord.ALERT, str(number)))
    ledger.close()
    edited(told, "UPDATE audit SET who = 'mallory' WHERE position > 2")
    shown = ran_out("audit", "verify", "--state", str(told.root)).stdout
    assert shown.splitlines()[-1].strip() == "and 20 more"


@pytest.mark.parametrize("at", [16, 4096, 8192])
def test_a_damaged_file_is_told(told: State, at: int) -> None:
    """Whatever SQLite makes of it: a line and exit status 1, never a fault of our own."""
    with closing(sqlite3.connect(told.ledger)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = bytearray(told.ledger.read_bytes())
    whole[at : at + 200] = bytes(200)
    told.ledger.write_bytes(whole)
    result = ran_out("audit", "verify", "--state", str(told.root))
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit | StateError), result.exception


def test_no_such_ledger(tmp_path: Path) -> None:
    """Named."""
    result = ran_out("audit", "verify", str(tmp_path / "nothing.db"))
    assert isinstance(result.exception, StateError)
    assert "nothing.db is not there" in str(result.exception)


def test_what_was_found_stays_in_status_until_it_is_acknowledged(told: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """By `status` itself before a gate has found it, then as found; `ack` is a line that says who."""
    monkeypatch.setattr("spendgate.cli.file_desk.own_account", lambda: "alice")
    edited(told, "DELETE FROM audit WHERE position = 2")
    assert "ledger shrunken: ledger" in ran(told, "status")
    (found,) = json.loads(ran(told, "status", "--format", "json"))["ledger"]["findings"]
    assert (found["what"], found["found_at"]) == ("ledger shrunken", None)

    ledger = Ledger.open(told.ledger, told.gates, NOW_MS)
    keeper_of(told.root, ledger).look(SeenClock(NOW_MS, off_ms=86_400_000))
    ledger.close()
    shown = ran(told, "status")
    assert "1 audit lines where 2 were" in shown
    assert "spendgate audit ack" in shown
    assert "clock is +86400 s off: windows do not follow it" in shown
    said = json.loads(ran(told, "status", "--format", "json"))
    assert said["ledger"]["findings"][0]["found_at"] is not None
    assert said["clock"] == {"windows_follow": "providers", "off_ms": 86_400_000}

    ran(told, "audit", "ack")
    assert "ledger shrunken" not in ran(told, "status")
    assert json.loads(ran(told, "status", "--format", "json"))["ledger"]["findings"] == []
    lines = json.loads(ran(told, "audit", "list", "--format", "json"))
    assert [(line["what"], line["who"]) for line in lines[-2:]] == [("ledger shrunken", ""), ("acknowledged", "alice")]
    assert "1 audit lines where 2 were" in lines[-1]["detail"]
    assert "holds" in ran(told, "audit", "verify")
    assert "nothing is to be acknowledged" in ran_out("audit", "ack", "--state", str(told.root)).stderr


@pytest.mark.parametrize("findings", ["emptied", "removed"])
def test_whoever_empties_the_memory_has_acknowledged_nothing(told: State, findings: str) -> None:
    """The trail says what was found, and that nobody took note of it."""
    edited(told, "DELETE FROM audit WHERE position = 2")
    ledger = Ledger.open(told.ledger, told.gates, NOW_MS)
    keeper_of(told.root, ledger).look(SeenClock(NOW_MS))
    ledger.close()
    file = heads_file(told)
    kept = file.read()
    assert kept is not None
    if findings == "emptied":
        file.write(replace(kept, findings=()))
    else:
        file.path.unlink()
    assert "1 audit lines where 2 were" in ran(told, "status")
    ran(told, "audit", "ack")
    assert "1 audit lines where 2 were" not in ran(told, "status")


def test_status_shows_the_windows_that_the_gate_goes_by(told: State) -> None:
    """By the providers' time it is more than a year later than by this machine's clock: another day, another month."""
    kept = heads_file(told).read()
    assert kept is not None
    ahead_ms = Clock().now_ms() - Clock().boot_ms() + 400 * 86_400_000
    spent = {
        row["budget"]: row["spent_nanos"] for row in json.loads(ran(told, "status", "--format", "json"))["budgets"]
    }
    assert spent["person/day"] > 0
    heads_file(told).write(replace(kept, clock=SeenClock(NOW_MS, Clock().boot(), ahead_ms)))
    later = {
        row["budget"]: row["spent_nanos"] for row in json.loads(ran(told, "status", "--format", "json"))["budgets"]
    }
    assert later["person/day"] == 0


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs another account's directory")
def test_only_the_account_of_the_directory_acknowledges(told: State) -> None:
    """What root wrote there its gate could not read."""
    os.chown(told.root, 65534, 65534)
    result = ran_out("audit", "ack", "--state", str(told.root))
    assert isinstance(result.exception, StateError)
    assert "belongs to uid 65534" in str(result.exception)


@pytest.mark.parametrize("words", [("status",), ("spend",), ("audit", "list"), ("audit", "verify")])
def test_a_ledger_that_is_gone_is_said_by_every_reading_command(told: State, words: tuple[str, ...]) -> None:
    """Not `run a command first`: one was there."""
    for path in told.root.glob("ledger.db*"):
        path.unlink()
    result = ran_out(*words, "--state", str(told.root))
    assert isinstance(result.exception, StateError)
    assert "ledger.db is gone, and heads.json beside it remembers one" in str(result.exception)


def test_a_memory_that_is_spoilt_is_shown(told: State) -> None:
    """In `status`; `verify` refuses to call a ledger right that it cannot compare."""
    heads_file(told).path.write_text("{")
    assert "heads missing: " in ran(told, "status")
    result = ran_out("audit", "verify", "--state", str(told.root))
    assert result.exit_code == 1
    assert "heads.json is not what a gate has written" in str(result.exception)


def test_verify_reads_a_ledger_while_a_gate_writes(told: State) -> None:
    """One snapshot: a call that ends meanwhile is no fault."""
    ledger = Ledger.open(told.ledger, told.gates, NOW_MS)
    ledger.hold(row("while", 9), (), lambda _s, _k: Admit(()), NOW_MS)
    assert "holds" in ran(told, "audit", "verify")
    ledger.close()
