"""What an ask is made of: amounts, ends, whose allowance, whom to ask, and the command in a refusal."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gate.world import House, house, intent, serve
from spendgate.cli.asking import amount_of, ask_command, asked_of, own_values, until_of, values_of
from spendgate.config import paths
from spendgate.config.policy_file import parse_policy
from spendgate.errors import StateError, UsageError
from spendgate.gate.interface import Refused
from spendgate.ledger.queries import Reader
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.roster import PersonMatch

NOW = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
POLICY = parse_policy(
    b"""\
version: 1
owner: ops@acme.example
people: {alice: {team: eu}, bob: {}}
teams:
  commerce: {owner: vp@acme.example}
  payments: {parent: commerce, owner: lead@acme.example}
  eu: {parent: payments}
budgets:
  - {name: person, per: person, limit: $20 per month}
  - {name: both, per: [person, session], limit: $5}
  - {name: project, per: project, missing: shared, limit: $5}
  - {name: pay, match: {team: payments}, limit: $50 per month}
  - {name: team, per: team, limit: $50 per month}
  - {name: all, limit: $500 per month}
"""
)
BUDGETS = {each.name: each for each in POLICY.budgets}


def refused(settled: int, hold: int, limit: int) -> dict[str, int]:
    """A refusal's figures in dollars."""
    names = ("refused_settled_nanos", "refused_hold_nanos", "refused_limit_nanos")
    return {name: nanos * NANOS_PER_DOLLAR for name, nanos in zip(names, (settled, hold, limit), strict=True)}


@pytest.mark.parametrize(
    ("text", "row", "limit", "dollars"),
    [
        ("50", None, 20, 50), ("$1,000", None, 20, 1000), (None, None, 20, 4), (None, None, 3, 1),
        (None, refused(20, 1, 20), 20, 4), (None, refused(20, 9, 20), 20, 9),
    ],
)  # fmt: skip
def test_amounts(text: str | None, row: dict[str, int] | None, limit: int, dollars: int) -> None:
    """As typed; else a fifth of the limit, and no less than was lacking, in whole dollars."""
    assert amount_of(text, row, limit * NANOS_PER_DOLLAR) == dollars * NANOS_PER_DOLLAR


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("8h", "2026-11-27T23:00Z"), ("3d", "2026-11-30T15:00Z"), ("2w", "2026-12-11T15:00Z"),
        ("2026-11-27", "2026-11-27T23:00Z"), ("2026-12-04T18:00", "2026-12-04T17:00Z"),
        ("2026-12-04T18:00Z", "2026-12-04T18:00Z"),
    ],
)  # fmt: skip
def test_ends(text: str, instant: str) -> None:
    """A day is to its end in the policy's zone."""
    assert until_of(text, BERLIN, NOW) == int(datetime.fromisoformat(instant).timestamp() * 1000)


@pytest.mark.parametrize("text", ["", "8", "7y", "yesterday", "2026-11-26", "2026-13-01", "9999-12-31", "tomorrow"])
def test_no_ends(text: str) -> None:
    """What is over, or no time at all."""
    with pytest.raises(UsageError, match="--until"):
        until_of(text, BERLIN, NOW)


def test_whose_allowance() -> None:
    """From the key that the ledger keeps; a value may have the letters that keys are made of."""
    assert values_of(BUDGETS["person"], "alice") == {"person": "alice"}
    assert values_of(BUDGETS["both"], "alice|a%7Cb%25c") == {"person": "alice", "session": "a|b%c"}
    assert values_of(BUDGETS["all"], "") == {}
    with pytest.raises(StateError, match="only the policy can raise that"):
        values_of(BUDGETS["project"], "(no project)")
    with pytest.raises(StateError, match="kept otherwise now"):
        values_of(BUDGETS["both"], "alice")
    who = PersonMatch(person="alice", team=("eu", "payments", "commerce"))
    assert own_values(BUDGETS["team"], who, "lt-1") == {"team": "eu"}
    with pytest.raises(UsageError, match="has not refused you yet"):
        own_values(BUDGETS["both"], who, "lt-1")


@pytest.mark.parametrize(
    ("budget", "team", "owner"),
    [
        ("person", ("eu", "payments", "commerce"), "lead@acme.example"), ("person", (), "ops@acme.example"),
        ("pay", (), "lead@acme.example"), ("team", ("commerce",), "vp@acme.example"),
        ("all", ("eu", "payments", "commerce"), "ops@acme.example"),
    ],
)  # fmt: skip
def test_who_is_asked(budget: str, team: tuple[str, ...], owner: str) -> None:
    """The nearest owner of the team whose budget it is; else the file's."""
    assert asked_of(POLICY, BUDGETS[budget], team) == owner


@pytest.mark.skipif(os.name != "posix", reason="paths as POSIX has them")
def test_the_command_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing where a shell finds the state by itself; SPENDGATE_STATE of the gate is not the developer's."""
    monkeypatch.delenv(paths.VARIABLE, raising=False)
    assert ask_command(paths.find(None)) == "spendgate ask"
    monkeypatch.setenv(paths.VARIABLE, str(tmp_path / "my state"))
    assert ask_command(paths.find(None)) == f"spendgate ask --state '{tmp_path}/my state'"


async def test_the_refusal_ends_with_the_command(tmp_path: Path) -> None:
    """Where money is missing and the policy's help names no command; the ledger then has what an ask is made of."""
    head = "version: 1\nowner: ops@acme.example\nbudgets: [{name: person, per: person, limit: $20 per month}]\nhelp: "
    helped, own = (parse_policy(f"{head}'{text}'".encode()) for text in ("Ask in #ai.", "Run: spendgate ask"))
    async with house(tmp_path, helped, asks="spendgate ask") as place:
        assert (await _message(place)).endswith("UTC. Ask in #ai. To ask for more, run: `spendgate ask`")
        await place.gate.set_policy(own)
        assert (await _message(place)).endswith("UTC. Run: spendgate ask")
        with Reader(tmp_path / "ledger.db") as reader:
            found = reader.latest_refusal("alice", None)
            assert found is not None
            assert (found["refused_by"], found["refused_value"]) == ("person", "alice")
            assert reader.latest_refusal("alice", "other") is None
            assert reader.latest_refusal("bob", None) is None


async def _message(place: House) -> str:
    """A refusal of alice's."""
    await serve(place.gate, intent(), 20.0, seconds=0)
    answer = await place.gate.hold(intent())
    assert isinstance(answer, Refused)
    return answer.message
