"""What bills teach and have besides, over many laptops' ledgers: what a merge takes, leaves and says of it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.kit import NOW_MS, app
from cli.test_counts_billed import CAPTURED, POLICY, ran, taken
from cli.test_merged import merged
from reconcile.taught import CENT, at, event, month, used
from spendgate.cli import in_force
from spendgate.config import policies
from spendgate.config.paths import State, prepare
from spendgate.errors import StateError
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.queries import Reader

LEFT = "not taken over: factors of estimates, and what is billed and not captured"
STALE = "was counted here before these calls came"


def laptop(folder: Path, *minutes: int) -> State:
    """A laptop with calls of three days ago, at 40 cents."""
    found = prepare(State(folder))
    ledger = Ledger.open(found.ledger, found.gates, NOW_MS)
    for minute in minutes:
        used(ledger, at(3, minute), 40, flags=(), basis="reported")
    ledger.close()
    return found


def merging(fleet: State, *laptops: State) -> str:
    """What the command says beside its table."""
    words = ["ledger", "merge", *(str(each.root) for each in laptops), "--into", str(fleet.ledger)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stderr


def not_captured(state: State) -> int:
    rows = json.loads(ran(state, "spend", "--format", "json").stdout)
    return sum(row["not_captured_nanos"] for row in rows)


def test_what_one_laptop_has_not_captured_another_may_have(tmp_path: Path) -> None:
    """So its count is not taken over; counted anew over all calls it is right, and once more after the next laptop came."""
    first, second, third = laptop(tmp_path / "a", 0), laptop(tmp_path / "b", 30), laptop(tmp_path / "c", 60)
    rows = (*CAPTURED, event(at(3, 60), 40), event(at(3, 400), 900))
    said = taken(first, tmp_path, *rows)
    assert "not captured here: $9.80;" in said
    assert not_captured(first) == 980 * CENT
    fleet = merged(tmp_path, first.root)
    said = merging(fleet, second)
    assert LEFT not in said
    assert STALE not in said
    assert not_captured(fleet) == 0
    said = taken(fleet, tmp_path, *rows)
    assert "these very bytes are here already" in said
    assert "not captured here: $9.40; no budget of many ledgers counts it" in said
    assert not_captured(fleet) == 940 * CENT
    assert STALE not in merging(fleet, first, second), "nothing is new"
    assert STALE in merging(fleet, third)
    taken(fleet, tmp_path, *rows)
    assert not_captured(fleet) == 900 * CENT
    assert not_captured(first) == 980 * CENT, "a source is never written to"


def test_a_merge_says_what_it_leaves(tmp_path: Path) -> None:
    first, second = laptop(tmp_path / "a", 0), laptop(tmp_path / "b", 30)
    taken(first, tmp_path, *CAPTURED)
    (tmp_path / "fleet").mkdir()
    assert LEFT in merging(State(tmp_path / "fleet"), first, second)
    with Reader(tmp_path / "fleet" / "ledger.db") as reader:
        assert reader.uncaptured() == ()


def test_no_budget_of_many_ledgers_is_charged(tmp_path: Path) -> None:
    """Also where a policy lies beside it: what a merged ledger is made of are calls."""
    fleet = merged(tmp_path, laptop(tmp_path / "a", 0).root, laptop(tmp_path / "b", 30).root)
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    policy = policies.LastGood(prepare(fleet)).start(file, NOW_MS).policy
    in_force.tell(fleet, in_force.InForce(policy.hash, str(file), NOW_MS, (), None, "m" * 32, "genai-prices 0", ()))
    assert "no budget of many ledgers counts it" in taken(fleet, tmp_path, *CAPTURED, event(at(3, 400), 900))
    assert json.loads(ran(fleet, "status", "--format", "json").stdout)["budgets"] == []
    assert not_captured(fleet) == 900 * CENT
    with closing(sqlite3.connect(fleet.ledger)) as conn:
        assert conn.execute("SELECT count(*) FROM billed_charges").fetchone() == (0,)
        assert conn.execute("SELECT count(*) FROM windows").fetchone() == (0,)


def test_factors_are_learned_over_all_laptops_and_taken_by_each(tmp_path: Path) -> None:
    """Neither laptop has calls enough; together they have, and what is learned goes back as a file."""
    homes = []
    bills = []
    for name, days in (("a", range(2, 5)), ("b", range(5, 9))):
        home = tmp_path / name
        home.mkdir()
        bills.append(month(home, days=days))
        homes.append(State(home))
    policy = tmp_path / "map.yaml"
    policy.write_text("map: 1\npeople:\n  - {person: alice, emails: [alice@acme.example]}\n")
    fleet = merged(tmp_path, *(each.root for each in homes))
    for each in bills:
        ran(fleet, "reconcile", "import", str(each), "--account", each.parent.name)
    words = ("reconcile", "calibrate", "--map", str(policy))
    assert "1 in force" in ran(fleet, *words, "--write").stderr
    factors = tmp_path / "factors.json"
    factors.write_text(ran(fleet, "reconcile", "calibrations", "--format", "json").stdout)
    said = ran(homes[0], "reconcile", "calibrate", "--take", str(factors)).stderr
    assert "cursor, claude-opus-4-5: x2.50" in said
    assert LEFT in merging(State(prepare(State(tmp_path / "again")).root), *homes)
    assert json.loads(ran(State(tmp_path / "again"), "reconcile", "calibrations", "--format", "json").stdout) == []


def test_a_merged_ledger_of_an_older_version_names_what_brings_it_up_to_date(tmp_path: Path) -> None:
    """No gate ever starts on one; merging its sources once more does."""
    first, fleet = laptop(tmp_path / "a", 0), State(tmp_path / "fleet")
    fleet.root.mkdir()
    merging(fleet, first)
    with closing(sqlite3.connect(fleet.ledger, isolation_level=None)) as conn:  # as before this migration
        conn.execute("DROP TABLE statement_parts")
        conn.execute("DELETE FROM _sqlite_migrations WHERE name = 'm026_statement_parts'")
    with pytest.raises(StateError, match="`spendgate ledger merge` its sources into it once more"):
        Reader(fleet.ledger)
    merging(fleet, first)
    Reader(fleet.ledger).close()
