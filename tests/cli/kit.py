"""What the tests of the reading commands share: a ledger with known calls, and how a command is run over it."""

from __future__ import annotations

import time
from functools import cache

from typer import testing
from typer.testing import CliRunner

from spendgate.admission import Admit, RefusalKind, Refuse
from spendgate.cli.commands import application
from spendgate.config.paths import State
from spendgate.fitting import enforces, scopes
from spendgate.ledger.interface import CallRow, Settlement
from spendgate.ledger.ledger import Ledger
from spendgate.policy import Policy
from spendgate.selector import Facts
from spendgate.standing import Scope
from spendgate.usage import Usage

app = application()
"""The command line with every command."""
# typer's runner would build all of them anew for each line that a test types, which takes longer than most lines do.
testing._get_command = cache(testing._get_command)  # type: ignore[attr-defined]  # its own import: no way round it is public
NOW_MS = time.time_ns() // 1_000_000
POLICY = """\
version: 1
owner: tests@acme.example
budgets:
  - {name: person, per: person, limit: [$1 per day, $10 per month]}
  - {name: session, per: session, limit: $5}
"""


def drawn_by_alice(policy: Policy) -> tuple[Scope, ...]:
    """The balances that alice's calls draw on."""
    facts = Facts.of(model="claude-sonnet-4-5", person="alice", session="s1")
    return scopes(policy, facts, NOW_MS, enforces(policy, facts))


def fill(ledger: Ledger, policy: Policy) -> None:
    """One settled, one open and one refused call of alice's."""
    drawn = drawn_by_alice(policy)
    for number, call_id in enumerate(("0a1b2c3d-settled", "0b1b2c3d-open")):
        held = Admit(tuple((scope, 250_000_000) for scope in drawn))
        ledger.hold(row(call_id, number), drawn, lambda _s, _k, held=held: held, NOW_MS)
    ledger.settle("0a1b2c3d-settled", settlement(drawn))
    refuse = Refuse(
        RefusalKind.SPENT,
        "person/day",
        "the budget is spent",
        settled_nanos=1,
        held_nanos=0,
        hold_nanos=2,
        limit_nanos=2,
    )
    ledger.refused(row("0c1b2c3d-refused", 2), refuse, now_ms=NOW_MS, waited_ms=0, http_status=429)


def row(call_id: str, number: int) -> CallRow:
    """A call of alice's, so many milliseconds after the first."""
    return CallRow(
        id=call_id,
        started_ms=NOW_MS + number,
        person="alice",
        machine="m",
        provider="anthropic",
        host="api.anthropic.com",
        path="/v1/messages",
        tool="claude-code",
        session="s1",
        model_requested="claude-sonnet-4-5",
        ceiling_nanos=400_000_000,
    )


def settlement(drawn: tuple[Scope, ...]) -> Settlement:
    """A reported end that charges these scopes."""
    return Settlement(
        state="settled",
        basis="reported",
        usage=Usage(input_tokens=1000, cache_read_tokens=200, output_tokens=30),
        cost_nanos=123_456_789,
        value_nanos=123_456_789,
        charges=tuple((scope, 123_456_789) for scope in drawn),
        ended_ms=NOW_MS + 5,
        model="claude-sonnet-4-5",
        http_status=200,
    )


def ran(state: State, *words: str) -> str:
    """The output of a command that succeeds."""
    result = CliRunner().invoke(app, [*words, "--state", str(state.root)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout
