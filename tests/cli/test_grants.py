"""`ask` and `grant`: from a refusal to the next call, over one ledger; and every grant that must not count."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from spendgate.cli import in_force, status
from spendgate.cli.main import app
from spendgate.config import policies
from spendgate.config.paths import State, prepare
from spendgate.gate.interface import Admitted, Refused
from spendgate.ledger.ledger import Ledger
from spendgate.minisign_secret import SecretKey

KEY, OTHER = SecretKey.new(bytes(range(40))), SecretKey.new(bytes(range(1, 41)))
NOW_MS = time.time_ns() // 1_000_000
POLICY = f"""\
version: 1
owner: ops@acme.example
people:
  alice: {{team: payments}}
  bob: {{}}
  lead: {{email: lead@acme.example}}
teams:
  payments: {{owner: lead@acme.example}}
budgets:
  - {{name: person, per: person, limit: $1 per month}}
  - {{name: everybody, limit: $100 per month}}
approvers:
  - {{person: lead, key: {KEY.public}, up_to: $500, for: {{team: payments}}}}
"""


@dataclass
class Desk:
    """A state directory, its policy, and an approver's key file."""

    state: State
    policy: Path
    key: Path

    def run(self, *words: str) -> Result:
        """A command over this ledger, whatever becomes of it."""
        return CliRunner().invoke(app, [*words, "--state", str(self.state.root)])

    def ran(self, *words: str) -> str:
        """The output of one that succeeds."""
        result = self.run(*words)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout

    def force(self, text: str = POLICY) -> None:
        """What the gate does when its policy changes."""
        self.policy.write_text(text)
        found = policies.LastGood(self.state).start(self.policy, NOW_MS).policy
        in_force.tell(self.state, in_force.InForce(found.hash, str(self.policy), NOW_MS, (), None, "lt-1", "", ()))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(status, "own_account", lambda: "alice")
    found = Desk(prepare(State(tmp_path / "state")), tmp_path / "policy.yaml", tmp_path / "lead.key")
    found.key.write_bytes(KEY.file())
    found.force()
    Ledger.open(found.state.ledger, found.state.gates, NOW_MS).close()
    return found


def code_of(output: str) -> str:
    """The code that `ask` printed."""
    return re.search(r"spendgate-ask:\S+", output)[0]


def test_ask_then_grant_then_status_shows_it(desk: Desk) -> None:
    """Who is asked, the figures, and after the grant what is more, until when, by whom and why."""
    asked = desk.ran("ask", "50", "--for", "release week", "--budget", "person")
    assert "Asked lead@acme.example for $50.00 more of person for alice" in asked

    text = desk.ran("grant", code_of(asked), "--key", str(desk.key))
    assert text.startswith("spendgate-grant:")

    found = json.loads(desk.ran("status", "--format", "json"))["budgets"][0]
    assert found["limit_nanos"] == 51_000_000_000
    assert re.fullmatch(r"\$50.00 more until \w+ .* UTC by lead: release week", found["limit_from"])
