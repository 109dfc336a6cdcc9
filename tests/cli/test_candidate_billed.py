"""`explain` of a candidate counts what was billed and not captured, too: as a gate does that takes the policy up."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result as Ran
from typer.testing import CliRunner

from cli.kit import NOW_MS, app
from reconcile.taught import CENT, HEAD, at, event, used
from spendgate.attribution import Attribution, Evidence
from spendgate.cli import in_force
from spendgate.config import policies
from spendgate.config.known import KNOWN
from spendgate.config.paths import State, prepare
from spendgate.gate.gate import Gate
from spendgate.gate.interface import Intent, Refused
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.queries import Reader
from spendgate.pricing import PriceBook
from spendgate.providers.ask import Ask
from spendgate.providers.interface import Kind, Route
from spendgate.providers.unfinished import estimate_usage

BEGIN = """\
version: 1
owner: tests@acme.example
people:
  alice: {email: alice@acme.example, team: payments}
  bob: {email: bob@acme.example, team: payments}
teams: {payments: {owner: tests@acme.example}}
"""
OLD = BEGIN + "budgets: [{name: person, per: person, limit: $20 per rolling 30d, counts: billed}]\n"
EDITS = {
    "unchanged": OLD[len(BEGIN) :],
    "counts billed from now on": "budgets: [{name: other, per: person, limit: $20 per rolling 30d, counts: billed}]",
    "no longer": "budgets: [{name: person, per: person, limit: $20 per rolling 30d}]",
    "another window": "budgets: [{name: person, per: person, limit: $20 per rolling 20d, counts: billed}]",
    "a shorter one": "budgets: [{name: person, per: person, limit: $20 per rolling 5d, counts: billed}]",
    "of nothing billed": "budgets: [{name: person, per: person, limit: $20 per rolling 1d, counts: billed}]",
    "for a life": "budgets: [{name: person, per: person, limit: $20, counts: billed}]",
    "per team": "budgets: [{name: person, per: team, limit: $20 per rolling 30d, counts: billed}]",
    "for all": "budgets: [{name: person, limit: $20 per rolling 30d, counts: billed}]",
    "of a tool": "budgets: [{name: person, match: {tool: claude-code}, limit: $20, counts: billed}]",
    "of a model": "budgets: [{name: person, match: {model: claude-opus-4-5}, limit: $20, counts: billed}]",
    "a mean": "budgets: [{name: person, per: person, limit: 2x mean of 10d per day, at_least: $0.10, at_most: $20,"
    " counts: billed}]",
    "raised": OLD[len(BEGIN) :] + "exceptions: [{budget: person, match: {person: alice}, add: $30, from: 2020-01-01,"
    " until: 2999-01-01, reason: r, approved_by: c}]",
}  # fmt: skip
WORDS = ("--person", "alice", "--tool", "claude-code", "--model", "claude-opus-4-5", "--cost", "$0.05")


@pytest.fixture(name="place")
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A ledger under OLD, with two calls of alice's, and $13 billed on two days and not captured, which its gate has taken in."""
    monkeypatch.setattr("spendgate.cli.file_desk.own_account", lambda: "alice")
    found = prepare(State(tmp_path / "state"))
    file = tmp_path / "policy.yaml"
    file.write_text(OLD)
    policy = policies.LastGood(found).start(file, NOW_MS).policy
    in_force.tell(
        found, in_force.InForce(policy.hash, str(file), NOW_MS, (), None, "m" * 32, "genai-prices 0", ("regular",))
    )
    ledger = Ledger.open(found.ledger, found.gates, NOW_MS)
    for minute in (0, 30):
        used(ledger, at(3, minute), 40, flags=(), basis="reported")
    ledger.close()
    taken(found, event(at(3, 400), 900), event(at(8, 0), 400), event(at(3, 410), 200, email="bob@acme.example"))
    return found


def ran(state: State, *words: str) -> Ran:
    done = CliRunner().invoke(app, [*words, "--state", str(state.root)])
    assert done.exit_code == 0, (done.output, done.exception)
    return done


def taken(state: State, *rows: str) -> None:
    file = state.root.parent / "usage.csv"
    file.write_text(HEAD + "".join((event(at(3, 0), 40), event(at(3, 30), 40), *rows)))
    ran(state, "reconcile", "import", str(file))


def explained(state: State, file: Path, *more: str) -> list[dict]:
    return json.loads(ran(state, "policy", "explain", str(file), *WORDS, *more, "--format", "json").stdout)


async def taken_up(state: State, file: Path) -> str:
    """A gate that has just taken this policy up: what it says to alice's call, "" where it leaves."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    gate = Gate(ledger, PriceBook(), policies.load(file, KNOWN), estimate=estimate_usage)
    who = Attribution(
        person="alice",
        team="payments",
        teams=("payments",),
        machine="lt-1",
        tool="claude-code",
        person_evidence=Evidence.SOCKET_OWNER,
    )
    route = Route("anthropic", "anthropic-messages", Kind.BILLABLE, "/v1/messages")
    asked = Ask(model="claude-opus-4-5", text_bytes=2_000, output_tokens_max=1_000)
    await gate.start()
    answer = await gate.hold(Intent("call", NOW_MS, "api.anthropic.com", route, asked, who, 2_000))
    await gate.stop()
    ledger.close()
    return f"{answer.refuse.rule}: {answer.message}" if isinstance(answer, Refused) else ""


@pytest.mark.parametrize("edit", EDITS)
async def test_a_candidate_says_what_a_gate_does_that_takes_it_up(place: State, tmp_path: Path, edit: str) -> None:
    file = tmp_path / "candidate.yaml"
    file.write_text(BEGIN + EDITS[edit].replace("limit: $20", "limit: $9.60"))
    before = place.ledger.read_bytes()
    first = explained(place, file)
    assert place.ledger.read_bytes() == before, "nothing is written"
    other = State(tmp_path / "taken-up")
    shutil.copytree(place.root, other.root)
    said = await taken_up(other, file)
    rule = said.partition(":")[0]
    end = first[-1]["says"]
    assert end == "leaves" if not said else end.startswith(f"is refused by {rule}: "), (end, said)
    assert ("billed by the provider and not captured here)" in end) == ("and not captured here)" in said)
    with Reader(other.ledger) as reader:
        assert reader.check() == ()


@pytest.mark.parametrize("edit", EDITS)
async def test_its_figures_are_those_of_the_gate(place: State, tmp_path: Path, edit: str) -> None:
    file = tmp_path / "candidate.yaml"
    file.write_text(BEGIN + EDITS[edit])
    first = figures(explained(place, file))
    ledger = Ledger.open(place.ledger, place.gates, NOW_MS)
    gate = Gate(ledger, PriceBook(), policies.load(file, KNOWN), estimate=estimate_usage)
    await gate.start()
    await gate.stop()
    ledger.close()
    assert first == figures(explained(place, file)), "what is taken in is not counted twice"
    if edit not in ("a mean", "of nothing billed", "of a tool"):
        assert any(spent for _, spent, *_ in first)
    status = json.loads(ran(place, "spend", "--format", "json").stdout)
    assert {row["person"]: row["not_captured_nanos"] for row in status} == {"alice": 1_300 * CENT, "bob": 200 * CENT}


def figures(lines: list[dict]) -> list[tuple[object, ...]]:
    return [
        (each["rule"], each["spent_nanos"], each["held_nanos"], each["limit_nanos"], each["left_nanos"])
        for each in lines
        if each["kind"] == "budget"
    ]


def test_of_the_past_only_what_was_billed_by_then(place: State, tmp_path: Path) -> None:
    """$4 of eight days ago, before the other $9; captured or not, and whether a gate has taken it in or not."""
    four_ago = datetime.fromtimestamp(at(4, 0) / 1000, UTC).isoformat()
    for edit in ("unchanged", "counts billed from now on", "for a life"):
        file = tmp_path / "candidate.yaml"
        file.write_text(BEGIN + EDITS[edit])
        (found,) = figures(explained(place, file, "--at", four_ago))
        assert found[1] == 400 * CENT, edit
        (now,) = figures(explained(place, file))
        assert now[1] == (1_300 + 80) * CENT or edit == "unchanged", edit


def test_what_a_newer_import_takes_back_is_not_counted(place: State, tmp_path: Path) -> None:
    """No gate has followed since: the balance still has what the older import said."""
    file = tmp_path / "candidate.yaml"
    file.write_text(BEGIN + EDITS["counts billed from now on"])
    taken(place, event(at(3, 400), 100))
    (found,) = figures(explained(place, file))
    assert found[1] == (80 + 100 + 400) * CENT
