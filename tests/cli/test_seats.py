"""Seats in `status` and `spend`: what went through them here, for whom, and nothing that nobody saw."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from cli.kit import NOW_MS, app, ran, row, settlement
from spendgate.admission import Admit
from spendgate.cli import in_force
from spendgate.config import policies
from spendgate.config.paths import State, prepare
from spendgate.ledger.ledger import Ledger

POLICY = """\
version: 1
owner: tests@acme.example
people: {alice: {groups: [senior]}, bob: {}, carol: {}}
billing:
  seats:
    - {name: senior, match: {group: senior, tool: claude-code}, price: $200 per month, included: $1 per month}
    - {name: plain, match: {tool: claude-code}, price: $20 per month}
    - {name: unused, match: {tool: codex}, price: $30 per year}
"""
CALLS = [
    ("alice", "claude-code", "subscription", 700_000_000),
    ("alice", "claude-code", "subscription", 500_000_000),
    ("alice", "claude-code", "metered", 900_000_000),
    ("bob", "claude-code", "subscription", 100_000_000),
    ("carol", "cursor", "subscription", 100_000_000),
]


@pytest.fixture
def seated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A state directory with plan traffic of a few people, and a key's call."""
    monkeypatch.setattr("spendgate.cli.file_desk.own_account", lambda: "alice")
    found, file = prepare(State(tmp_path / "state")), tmp_path / "policy.yaml"
    file.write_text(POLICY)
    policy = policies.LastGood(found).start(file, NOW_MS).policy
    in_force.tell(
        found, in_force.InForce(policy.hash, str(file), NOW_MS, (), None, "m" * 32, "genai-prices 0", ("regular",))
    )
    with closing(Ledger.open(found.ledger, found.gates, NOW_MS)) as ledger:
        for number, (person, tool, billing, value) in enumerate(CALLS):
            call_id = f"0{number}-call"
            made = replace(row(call_id, number), person=person, tool=tool, billing=billing)
            ledger.hold(made, (), lambda *_: Admit(()), NOW_MS)
            cost = 0 if billing == "subscription" else value
            ledger.settle(call_id, replace(settlement(()), cost_nanos=cost, value_nanos=value))
    return found


def test_each_seat_has_who_was_seen_and_what_went_through(seated: State) -> None:
    """The first seat that fits has a call; what is metered is no seat's; a seat that nobody used says so."""
    senior, plain, unused = json.loads(ran(seated, "status", "--format", "json"))["seats"]

    assert (senior["in_use"], senior["calls"], senior["value_nanos"]) == (1, 2, 1_200_000_000)
    assert (senior["price_in_use_nanos"], senior["own"]["person"], senior["own"]["share"]) == (
        200 * 10**9,
        "alice",
        "120%",
    )
    assert (plain["in_use"], plain["value_nanos"], plain["included_nanos"], plain["own"]) == (
        1,
        100_000_000,
        None,
        None,
    )
    assert (unused["in_use"], unused["value_nanos"], unused["own"]) == (0, 0, None)


def test_people_read_it_in_status_and_in_spend(seated: State) -> None:
    """A line for each seat; the share of what is included for the person; nothing else of others."""
    said = ran(seated, "status")
    assert "senior: 1 in use in " in said
    assert "$200.00 per month; $1.20 of calls at list price went through here" in said
    assert "unused: nobody was seen to use it in year " in said
    assert "120%" in said
    result = CliRunner().invoke(app, ["spend", "--state", str(seated.root)], catch_exceptions=False)
    assert "seat plain: 1 in use in " in result.stderr
    assert "seat plain" not in result.stdout
