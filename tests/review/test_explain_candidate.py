"""`explain` of a candidate counts what its windows already hold: as the gate does on taking it up, and as replay does."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.replay.virtual import START_MS, Scripted, again, play, refused_live
from typer.testing import CliRunner

from cli.kit import app
from ledger.kit import admit, row
from spendgate.config.policy_file import parse_policy
from spendgate.gate.past import counted, scopes_of
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.review.asked import asked
from spendgate.review.explain import explain
from spendgate.standing import Scope, Standing
from spendgate.window import HOUR_MS

BEGIN = "version: 1\nowner: lead@acme.example\n"
BASE = BEGIN + "budgets:\n  - {name: tiny, per: person, limit: $0.30 per day}\n"
NEW_TEAM = "into a team"
"""What was spent before somebody joined it is not the team's."""
EDITS = {
    "renamed": "budgets: [{name: person, per: person, limit: $0.30 per day}]",
    "another window": "budgets: [{name: tiny, per: person, limit: $0.30 per month}]",
    "match added": "budgets: [{name: tiny, per: person, match: {tool: codex}, limit: $0.30 per day}]",
    "match on a model": "budgets: [{name: tiny, per: person, match: {model: claude-opus-4-5}, limit: $0.30 per day}]",
    "except added": "budgets: [{name: tiny, per: person, except: {tool: cursor}, limit: $0.30 per day}]",
    "per removed": "budgets: [{name: tiny, limit: $0.30 per day}]",
    "per changed": "budgets: [{name: tiny, per: [person, tool], limit: $0.30 per day}]",
    "account moved": "budgets: [{name: tiny, per: person, limit: $0.30 per day}]\npeople: {ally: {accounts: [alice]}}",
    NEW_TEAM: "budgets: [{name: tiny, per: team, limit: $0.30 per day}]\npeople: {alice: {team: pay}}\nteams: {pay: {}}",
    "rolling": "budgets: [{name: tiny, per: person, limit: $0.30 per rolling 24h}]",
    "a shorter one": "budgets: [{name: tiny, per: person, limit: $0.30 per rolling 2h}]",
    "timezone": "timezone: Europe/Berlin\nbudgets: [{name: tiny, per: person, limit: $0.30 per day}]",
    "for a life": "budgets: [{name: tiny, per: person, limit: $0.30}]",
    "by ceiling": "budgets: [{name: most, per: person, limit: $0.30 per day, hold: ceiling}]",
    "two": "budgets: [{name: a, per: person, limit: $9 per day}, {name: b, per: machine, limit: $0.30 per week}]",
    "a mean": "budgets: [{name: tiny, per: person, limit: 2x mean of 3d per day, at_least: $0.10, at_most: $0.20}]",
    "an exception": "budgets: [{name: more, per: person, limit: $0.10 per day}]\nexceptions: [{budget: more, match:"
    " {person: alice}, add: $0.20, from: 2026-01-01, until: 2027-01-01, reason: r, approved_by: c}]",
    "unchanged": BASE[len(BEGIN) :],
}
SPENT = (
    Scripted(0, "alice", 0.12, 500, tool="codex", session="a"),
    Scripted(60_000, "bob", 0.02, 500, tool="codex", session="b"),
    Scripted(HOUR_MS, "alice", 0.11, 500, tool="codex", session="a"),
    Scripted(3 * HOUR_MS, "alice", 0.12, 500, tool="codex", session="c"),
)
AT_MS = 3 * HOUR_MS + 60_000
"""From the start."""
WORDS = {"person": "alice", "tool": "codex", "model": "claude-opus-4-5", "session": "d", "machine": "lt-1"}


def candidate(edit: str) -> Policy:
    return parse_policy((BEGIN + EDITS[edit]).encode())


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of some hours under BASE, where alice has $0.35 spent: played once, for whoever takes a copy."""
    folder = tmp_path_factory.mktemp("played")
    play(folder, parse_policy(BASE.replace("$0.30", "$5").encode()), SPENT)
    return folder


@pytest.fixture(scope="module")
def spent(played: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with one call that still runs."""
    folder = shutil.copytree(played, tmp_path_factory.mktemp("spent") / "state")
    base = parse_policy(BASE.replace("$0.30", "$5").encode())
    at_ms = START_MS + AT_MS - 1_000
    ledger = Ledger.open(folder / "ledger.db", folder / "gates", at_ms)
    runs = row(
        "runs", started_ms=at_ms, tool="codex", session="c", model_requested="claude-opus-4-5", ceiling_nanos=70_000_000
    )
    facts = asked(base, WORDS, at_ms).facts
    scopes: list[Scope] = []
    explain(
        base, facts, at_ms, 1, lambda found: (scopes.extend(found), tuple(Standing(e, 0, 0, 0, 0, 0) for e in found))[1]
    )
    ledger.hold(runs, tuple(scopes), admit(40_000_000), at_ms)
    ledger.close()
    return folder


def figures(standings: tuple[Standing, ...]) -> list[tuple[object, ...]]:
    return [
        (
            each.scope.budget, each.scope.value, each.settled_nanos, each.held_nanos, each.ceiling_nanos, each.open_calls,
            each.limit,
        )
        for each in standings
    ]  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_its_figures_are_those_of_a_gate_that_takes_the_policy_up(spent: Path, tmp_path: Path, edit: str) -> None:
    """Settled, held, by ceiling and open, of every balance that the call draws on, and its limit; nothing is written."""
    policy, at_ms = candidate(edit), START_MS + AT_MS
    folder = tmp_path / "taken-up"
    shutil.copytree(spent, folder)
    before = (folder / "ledger.db").read_bytes()
    found: dict[str, list[tuple[object, ...]]] = {}

    def ask(who: str) -> None:
        with Reader(folder / "ledger.db") as reader:

            def standings(scopes: tuple[Scope, ...]) -> tuple[Standing, ...]:
                made = (
                    reader.standings_filled(scopes, counted(policy, at_ms), scopes_of(policy), at_ms)
                    if who == "explain"
                    else reader.standings(scopes, at_ms)
                )
                found[who] = figures(made)
                return made

            explain(policy, asked(policy, WORDS, at_ms).facts, at_ms, 1, standings)

    ask("explain")
    assert (folder / "ledger.db").read_bytes() == before
    ledger = Ledger.open(folder / "ledger.db", folder / "gates", at_ms)
    ledger.prepare(counted(policy, at_ms), scopes_of(policy), at_ms)
    ledger.close()
    ask("gate")
    assert found["explain"] == found["gate"]
    assert any(spent_nanos or held for _, _, spent_nanos, held, *_ in found["gate"]) or edit == NEW_TEAM
    ask("explain")
    assert found["explain"] == found["gate"], "what is filled is not counted twice"


@pytest.mark.parametrize("edit", EDITS)
def test_explain_replay_and_the_gate_name_one_end(played: Path, tmp_path: Path, edit: str) -> None:
    """Alice's next call under the candidate: what `explain` says of it, the gate does, and the replay of that ledger says."""
    policy, at_ms = candidate(edit), START_MS + AT_MS
    state = shutil.copytree(played, tmp_path / "state")
    file = tmp_path / "candidate.yaml"
    file.write_text(BEGIN + EDITS[edit])
    words = ["policy", "explain", str(file), "--person", "alice", "--tool", "codex", "--model", "claude-opus-4-5"]
    more = [
        "--with",
        "machine=lt-1",
        "--with",
        "session=d",
        "--at",
        datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(),
    ]
    done = CliRunner().invoke(app, [*words, *more, "--cost", "$0.05", "--state", str(state), "--format", "json"])
    end = json.loads(done.stdout)[-1]["says"]

    play(
        state,
        policy,
        [Scripted(0, "alice", 0.05, 500, tool="codex", session="d")],
        wall_ms=lambda ms: ms + AT_MS,
        first=len(SPENT),
    )
    live = refused_live(state)
    _, replayed = again(state, policy, at_ms)
    by = next((rule for rule, *_ in live.values()), None)
    assert end.startswith(f"is refused by {by}: ") if by else end == "leaves", end
    assert (by is None) == (edit in ("a shorter one", NEW_TEAM))
    if edit == NEW_TEAM:  # a replay asks what the roster would have done had it held all along
        assert [rule for rule, *_ in replayed.values()] == ["tiny"]
        return
    assert [each[:4] for each in replayed.values()] == [each[:4] for each in live.values()]


def test_a_moment_that_is_past_counts_what_had_left_by_then(played: Path, tmp_path: Path) -> None:
    """`--at` before the last calls: what came later is not counted, in a kept budget and in a candidate's."""
    state = shutil.copytree(played, tmp_path / "state")
    at_ms = START_MS + 2 * HOUR_MS
    for edit in ("unchanged", "renamed", "another window", "rolling"):
        file = tmp_path / "candidate.yaml"
        file.write_text(BEGIN + EDITS[edit])
        at = ["--at", datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()]
        words = ["policy", "explain", str(file), "--person", "alice", "--tool", "codex", *at]
        done = CliRunner().invoke(app, [*words, "--state", str(state), "--format", "json"])
        (spent_nanos,) = [line["spent_nanos"] for line in json.loads(done.stdout) if line["kind"] == "budget"]
        assert spent_nanos == 230_000_000, edit
        assert "what was booked by then" in done.stderr
