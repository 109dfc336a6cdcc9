"""`spendgate purge` and `me`: what goes and what stays is shown; an account sees all that is kept about it, of nobody else."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.kit import NOW_MS, app
from ledger.kit import DAY
from ledger.kit import row as call_row
from ledger.kit import settled as ended
from spendgate.admission import Admit
from spendgate.audit_words import AuditWord
from spendgate.cli import file_desk, in_force
from spendgate.cli.moments import iso
from spendgate.config import policies
from spendgate.config.paths import State, prepare
from spendgate.fitting import enforces, scopes
from spendgate.ledger import outbox
from spendgate.ledger.audit_log import Line
from spendgate.ledger.gates import Gates
from spendgate.ledger.interface import AlertRow
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.purgeable import before
from spendgate.ledger.queries import Reader
from spendgate.selector import Facts

POLICY = """\
version: 1
owner: ops@acme.example
people:
  alice: {email: alice@acme.example, team: payments, accounts: [alice]}
  bob: {team: payments}
unknown_people: shared
teams: {payments: {owner: lead@acme.example}}
budgets:
  - {name: person, per: person, limit: [$100 per day, $900 per month], alerts: [80%]}
  - {name: session, per: session, limit: $500}
notify:
  - {to: "json://${SPENDGATE_SECRET_HOOK}", for: [alert, page]}
privacy: {keep: 40 days, process: none}
"""


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A hundred days of alice, bob, and of two accounts that nobody lists."""
    monkeypatch.setattr(file_desk, "own_account", lambda: "alice")
    found = prepare(State(tmp_path / "state"))
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    policy = policies.LastGood(found).start(file, NOW_MS).policy
    said = in_force.InForce(policy.hash, str(file), NOW_MS, (), None, "m" * 32, "genai-prices 0", ("regular",))
    in_force.tell(found, said)
    with closing(Ledger.open(found.ledger, found.gates, NOW_MS)) as ledger:
        for number in range(100):
            when = NOW_MS - (100 - number) * DAY
            for person, account in (("alice", "alice"), ("bob", "bob"), ("shared", "quentin"), ("shared", "mallory")):
                call, session = f"{account}-{number}", f"{account}-session-{number % 3}"
                facts = Facts.of(model="gpt-5", person=person, team="payments", session=session)
                drawn = scopes(policy, facts, when, enforces(policy, facts))
                opened = call_row(
                    call, started_ms=when, person=person, account_os=account, session=session, model_requested="gpt-5",
                    kind="k", tool="codex",
                )  # fmt: skip
                held = Admit(tuple((scope, 10**9) for scope in drawn))
                ledger.hold(opened, drawn, lambda _s, _k, held=held: held, when)
                ledger.settle(call, ended(10**9, *drawn, ended_ms=when + 5))
        ledger.audit(Line(NOW_MS, AuditWord.GRANT, "g1 taken in: alice has $5.00 more of person"))
        ledger.audit(Line(NOW_MS, AuditWord.GRANT, "grant-2 to alice-b: $5", "bob"))
    return found


def ran(state: State, *words: str) -> str:
    """What the command prints on stdout."""
    done = CliRunner().invoke(app, [*words, "--state", str(state.root)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_dry_run_changes_nothing_and_says_what_would_go(kept: State) -> None:
    """How many calls, from when to when; then the purge takes just those, and totals are what they were."""
    would = json.loads(ran(kept, "purge", "--dry-run", "--format", "json"))
    assert (would["keep_days"], would["purged_calls"]) == (40, 0)
    assert would["last_at"] < would["before"]
    with closing(Reader(kept.ledger)) as reader:
        assert reader.purged_until_ms() is None
    did = json.loads(ran(kept, "purge", "--format", "json"))
    assert did["purged_calls"] == did["calls"] == would["calls"] > 200
    was, now = did["totals"]
    assert {**was, "when": ""} == {**now, "when": ""} == {**would["totals"][0], "when": ""}
    assert json.loads(ran(kept, "purge", "--format", "json"))["purged_calls"] == 0
    assert "holds" in ran(kept, "audit", "verify")
    assert " purged by privacy.keep" in ran(kept, "audit", "verify")


def test_reading_commands_say_what_is_a_sum(kept: State) -> None:
    """`spend` has all of it; `status` and `calls` say from when on there are rows."""
    whole = ran(kept, "spend", "--by", "person", "--format", "json")
    done = CliRunner().invoke(app, ["purge", "--state", str(kept.root)])
    assert re.search(r"\d+ calls from 20\S+ to 20\S+ became sums by day in", done.stderr), done.stderr
    assert ran(kept, "spend", "--by", "person", "--format", "json") == whole
    day = iso(before(NOW_MS, 40))[:10]
    assert f"before {day} there are sums by day" in ran(kept, "status")
    for words in ("calls --limit 999", "spend --by session", "policy replay --since 90d", "spend --where project=x"):
        said = CliRunner().invoke(app, [*words.split(), "--state", str(kept.root)])
        assert f"before {day}" in said.stderr, (words, said.output)
    for name in ("team", "session"):  # a sum has no session, and none of these calls a team
        [without] = json.loads(ran(kept, "spend", "--by", name, "--where", f"{name}=", "--format", "json"))
        of_all = json.loads(ran(kept, "spend", "--by", name, "--format", "json"))
        assert without in of_all and without[name] is None
    for words in ("calls", "spend --by day,model", "policy replay"):
        said = CliRunner().invoke(app, [*words.split(), "--state", str(kept.root)])
        assert said.exit_code == 0
        assert "sums by day" not in said.stderr, words


def test_without_keep_nothing_goes(state: State) -> None:
    """And that is said."""
    done = CliRunner().invoke(app, ["purge", "--state", str(state.root)])
    assert done.exit_code == 0
    assert "kept for good" in done.stderr


def test_another_policy_in_force_stops_it(kept: State) -> None:
    """A living gate that has not said the same: its windows may be longer."""
    gate = Gates(kept.gates)
    done = CliRunner().invoke(app, ["purge", "--state", str(kept.root)])
    assert done.exit_code == 1
    assert "different policies" in str(done.exception)
    gate.leave(ended=True)
    ran(kept, "purge")


def test_me_shows_everything_of_the_account_and_nothing_of_others(kept: State) -> None:
    """Rows, sums, balances, alerts and audit lines of alice; no other name anywhere in it."""
    with closing(Ledger.open(kept.ledger, kept.gates, NOW_MS)) as ledger:
        alert = AlertRow(
            "person/day 80%", "threshold", "alice", "2026-11-22", "alert", NOW_MS, None, "alice", ("payments",),
            "lead@acme.example", 1, 1, 1, 1, "text", "command", "hash",
        )  # fmt: skip
        ledger._store.write(lambda known: outbox.write(known.conn, (alert,), NOW_MS))
    ran(kept, "purge")
    said = json.loads(ran(kept, "me", "--format", "json"))
    tables = {each["table"]: each for each in said["kept"]}
    assert {name for name, each in tables.items() if each["rows"]} == {
        "calls", "day_sums", "balances", "alerts", "audit",
    }  # fmt: skip
    assert tables["calls"]["rows"] + sum(each["calls"] for each in tables["day_sums"]["content"]) == 100
    assert {each["person"] for each in tables["calls"]["content"]} == {"alice"}
    assert {each["value"] for each in tables["balances"]["content"]} == {
        "alice", "alice-session-0", "alice-session-1", "alice-session-2",
    }  # fmt: skip
    assert [each["detail"] for each in tables["audit"]["content"]] == ["g1 taken in: alice has $5.00 more of person"]
    assert (said["person"], said["email"], said["team"]) == ("alice", "alice@acme.example", ["payments"])
    assert said["policy"]["privacy"] == {"keep_days": 40, "project": "repository", "process": "none"}
    text = json.dumps(said)
    assert not {name for name in ("bob", "quentin", "mallory") if name in text}
    assert tables["calls"]["until"].startswith("40 days: the last until 20")
    assert tables["audit"]["until"] == "for good"


def test_who_is_not_listed_sees_its_own_calls_alone(kept: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """An allowance that unlisted accounts share has rows of others."""
    monkeypatch.setattr(file_desk, "own_account", lambda: "quentin")
    ran(kept, "purge")
    said = json.loads(ran(kept, "me", "--format", "json"))
    tables = {each["table"]: each for each in said["kept"]}
    assert {each["account_os"] for each in tables["calls"]["content"]} == {"quentin"}
    assert tables["day_sums"]["rows"] == 0
    assert not {name for name in ("alice", "bob", "mallory") if name in json.dumps(said)}


def test_me_says_what_the_company_sees(kept: State) -> None:
    """No hub: nothing leaves but alerts, to the receivers that the policy names, without what is secret in their addresses."""
    said = ran(kept, "me")
    assert "there is no hub: no row, sum or balance leaves this machine; what leaves it:" in said
    assert re.search(
        r"json-[0-9a-f]{8}: the text of alerts about you: .*\(person/day at 80%, person/month at 80%\)", said
    )
    assert "SPENDGATE_SECRET" not in said
    assert "rows      kept for 40 days, then sums by day; project: repository; process: none" in said
