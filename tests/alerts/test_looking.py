"""What a look costs: as much as there is new, however old the ledger is; nothing where no rule could tell of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from alerts.kit import nanos, read
from alerts.test_restarts import START, charge
from ledger.kit import open_ledger
from spendgate.gate.looking import Looking
from spendgate.ledger.ended_calls import EndedCalls
from spendgate.ledger.shared_connection import SharedConnection

DAY_MS = 86_400_000
SILENT = read("budgets: [{name: person, per: person, limit: $100 per day}]\n")
WATCHED = read("budgets: [{name: person, per: person, limit: $100 per day, alerts: [90%]}]\n")
SPIKE = read(
    "budgets: [{name: person, per: person, limit: $100 per day}]\n"
    "alerts: [{name: spike, spike: 3x over 3d, per: person}]\n"
)


def steps_of_a_look(folder: Path, age: int) -> int:
    """How many instructions SQLite runs to see one new call in a ledger of this many."""
    ledger, steps = open_ledger(folder, START), [0]
    who = ("alice", "claude-opus-4-5")
    for number in range(age):
        charge(ledger, WATCHED, number, who, at_ms=START + number, cost=nanos(0.01))
    with closing(SharedConnection(folder / "ledger.db")) as shared:
        looking = Looking(EndedCalls(shared))
        looking.look(WATCHED, START + age, keeps=True)
        charge(ledger, WATCHED, age, who, at_ms=START + age, cost=nanos(0.01))

        def count() -> None:
            steps[0] += 1

        shared.conn.set_progress_handler(count, 1)
        looking.look(WATCHED, START + age)
    ledger.close()
    return steps[0]


def test_a_look_does_not_cost_more_in_an_old_ledger(tmp_path: Path) -> None:
    """Else a gate would read every call there ever was each second."""
    young, old = tmp_path / "young", tmp_path / "old"
    young.mkdir()
    old.mkdir()

    few, many = steps_of_a_look(young, 50), steps_of_a_look(old, 1_000)

    assert many < 1.5 * few


def test_what_no_rule_looks_at_is_known_to_a_later_one(tmp_path: Path) -> None:
    """Under a policy that can tell nothing, calls are passed over; a rule that comes afterwards has their days all the same."""
    ledger, who = open_ledger(tmp_path, START), ("alice", "claude-opus-4-5")
    with closing(SharedConnection(tmp_path / "ledger.db")) as shared:
        ended = EndedCalls(shared)
        looking = Looking(ended)
        for number in range(3):
            charge(ledger, SILENT, number, who, at_ms=START + number * DAY_MS, cost=nanos(2))
            assert looking.look(SILENT, START + number * DAY_MS, keeps=True) == 0
        assert ended.state()[0] == ended.head() == 3
        charge(ledger, SPIKE, 10, who, at_ms=START + 3 * DAY_MS, cost=nanos(5.99))
        assert looking.look(SPIKE, START + 3 * DAY_MS) == 0
        charge(ledger, SPIKE, 11, who, at_ms=START + 3 * DAY_MS + 1, cost=nanos(0.01))
        assert looking.look(SPIKE, START + 3 * DAY_MS + 1) == 1
    ledger.close()
