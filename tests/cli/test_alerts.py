"""`alerts list`, `test` and `ack` as a person meets them."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from alerts.receiving import endpoint
from cli.kit import NOW_MS, POLICY, app, ran
from spendgate.cli import in_force
from spendgate.config.paths import State
from spendgate.config.policies import LastGood
from spendgate.errors import SpendgateError, StateError, UsageError
from spendgate.ledger import outbox
from spendgate.ledger.interface import AlertRow
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.outbox import Outbox
from spendgate.ledger.queries import Reader
from spendgate.ledger.shared_connection import SharedConnection

ALERT = AlertRow(
    "person/day 80%", "threshold", "alice", "2026-11-22", "alert", NOW_MS, None, "alice", ("payments",), "lead@acme.example",
    800_000_000, 800_000_000, None, None, "person/day of alice: $0.80 of $1.00 is spent, 80% and more",
    "spendgate calls --since 2026-11-22T00:00:00.000Z --where person=alice", "abc",
)  # fmt: skip


@pytest.fixture
def told(state: State) -> State:
    """One alert: there for one receiver, not for another."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    with closing(SharedConnection(state.ledger)) as shared:
        box = Outbox(shared)
        outbox.write(shared.conn, [ALERT], NOW_MS)
        box.route(1, ["slack-11111111", "json-22222222"], NOW_MS)
        here, there = sorted(box.due(NOW_MS, NOW_MS + 1, 10), key=lambda due: due.receiver)
        box.delivered(there, NOW_MS + 5)
        box.failed(here, "SPENDGATE_SECRET_AI is not set where it is sent from", NOW_MS + 9, NOW_MS + 5)
    ledger.close()
    return state


def test_the_list_names_owner_rule_figures_and_command(told: State) -> None:
    """And what became of each message."""
    (row,) = json.loads(ran(told, "alerts", "list", "--format", "json"))
    assert row["rule"] == "person/day 80%"
    assert (row["owner"], row["team"], row["spent_nanos"]) == ("lead@acme.example", ["payments"], 800_000_000)
    assert row["command"].startswith("spendgate calls --since")
    assert row["sent"] == (
        "json-22222222: SPENDGATE_SECRET_AI is not set where it is sent from, again soon; slack-11111111: there"
    )
    assert [each["attempts"] for each in row["deliveries"]] == [1, 1]
    table = ran(told, "alerts", "list")
    assert "$0.80 of $1.00 is spent" in table
    assert json.loads(ran(told, "alerts", "list", "--since", "2999-01-01", "--format", "json")) == []
    assert ran(told, "alerts", "list", "--format", "csv").splitlines()[0].startswith("name,at,rule,form,value")


@pytest.mark.parametrize("width", ["60", "80", "160"])
def test_one_long_alert_hides_no_other(told: State, monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    """What an alert says is what its list is for: it is wrapped on a narrow terminal, never left out."""
    long = "person/day of alice: " + " ".join(f"word{number}" for number in range(60))
    with closing(SharedConnection(told.ledger)) as shared:
        outbox.write(shared.conn, [replace(ALERT, window="another", text=long)], NOW_MS)
    monkeypatch.setenv("COLUMNS", width)
    table = ran(told, "alerts", "list")
    assert max(map(len, table.splitlines())) <= int(width)
    assert [word for word in (*long.split(), "$0.80", "spent,") if word not in table] == []


def test_status_says_what_is_not_there(told: State) -> None:
    """One clear error where a secret is not set."""
    found = json.loads(ran(told, "status", "--format", "json"))["alerts"]
    assert found["undelivered"] == 1
    assert found["why"] == ["json-22222222: SPENDGATE_SECRET_AI is not set where it is sent from"]
    assert "1 message not delivered (json-22222222: SPENDGATE_SECRET_AI is not set" in ran(told, "status")


def test_status_tells_the_person(told: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has neither mail nor a desktop reads it there, until somebody has seen it."""
    monkeypatch.setattr("time.time_ns", lambda: (NOW_MS + 1) * 1_000_000)
    assert re.search(r"\balert \d{4}-\d\d-\d\d ", ran(told, "status"))
    assert "$0.80 of $1.00 is spent" in ran(told, "status")
    (row,) = json.loads(ran(told, "status", "--format", "json"))["alerts"]["unseen"]
    ran(told, "alerts", "ack", row["name"])
    assert "$0.80 of $1.00 is spent" not in ran(told, "status")


def test_who_has_seen_it_is_in_the_audit_trail(told: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the beginning of its id; nothing more is sent of it; once."""
    monkeypatch.setattr("spendgate.cli.file_desk.own_account", lambda: "alice")
    (row,) = json.loads(ran(told, "alerts", "list", "--format", "json"))
    ran(told, "alerts", "ack", row["name"][:6])
    ran(told, "alerts", "ack", row["name"])
    (row,) = json.loads(ran(told, "alerts", "list", "--format", "json"))
    assert row["acked_by"] == "alice"
    with closing(SharedConnection(told.ledger)) as shared:
        box = Outbox(shared)
        assert not box.any_due(NOW_MS * 2)
    with Reader(told.ledger) as reader:
        lines = [(line["detail"], line["who"]) for line in reader.audit() if line["what"] == "alert acknowledged"]
    assert lines == [(row["name"], "alice")]
    answer = CliRunner().invoke(app, ["alerts", "ack", "nothing", "--state", str(told.root)])
    assert isinstance(answer.exception, StateError)


def in_force_with(state: State, folder: Path, notify: str) -> None:
    """Another policy is in force."""
    file = folder / "notify.yaml"
    file.write_text(f"{POLICY}notify: [{notify}]\n")
    said = in_force.told(state)
    assert said is not None
    policy = LastGood(state).start(file, NOW_MS).policy
    in_force.tell(state, in_force.InForce(policy.hash, str(file), NOW_MS, (), None, said.machine, said.prices, ()))


def test_a_test_says_what_happened_at_each_receiver(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real hook takes it; one whose secret is missing is named; exit 1, since not all have it."""
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    with endpoint() as hook:
        in_force_with(
            state,
            tmp_path,
            f'{{to: "{hook.to}", for: [alert]}}, {{to: "slack://${{SPENDGATE_SECRET_NO}}", for: [page]}}',
        )
        answer = CliRunner().invoke(app, ["alerts", "test", "--state", str(state.root), "--format", "json"])
        only = CliRunner().invoke(app, ["alerts", "test", "--to", "json", "--state", str(state.root)])
        none = CliRunner().invoke(app, ["alerts", "test", "--to", "teams", "--state", str(state.root)])
    assert isinstance(answer.exception, SpendgateError)
    assert [row["result"] for row in json.loads(answer.stdout)] == [
        "taken", "SPENDGATE_SECRET_NO is not set where it is sent from",
    ]  # fmt: skip
    assert only.exit_code == 0
    assert isinstance(none.exception, UsageError)
    assert len(hook.heard) == 2
    assert "A test of" in hook.heard[0]["message"]


def test_a_test_where_no_gate_has_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no policy that could be edited."""
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    none = CliRunner().invoke(app, ["alerts", "test", "--state", str(tmp_path)])
    assert str(none.exception) == f"no gate has run with {tmp_path} yet: start one, or name its directory with --state"


def test_a_test_that_nobody_would_receive_says_what_to_do(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether or not a receiver was named, a policy without any is told to name one."""
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    for words in ([], ["--to", "teams"]):
        none = CliRunner().invoke(app, ["alerts", "test", *words, "--state", str(state.root)])
        assert isinstance(none.exception, UsageError)
        assert str(none.exception) == "the policy in force has no receiver; give it one under `notify`"
