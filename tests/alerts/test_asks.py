"""An ask reaches whoever can answer it, and a grant whoever asked: over real HTTP and SMTP, with no gate up, and one killed."""

from __future__ import annotations

import json
import re
import shlex
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alerts.receiving import endpoint, mailbox, until
from alerts.test_delivery import kept, running
from cli.kit import app
from spendgate.alerts import courier
from spendgate.cli import file_desk, in_force
from spendgate.config import policies
from spendgate.config.paths import State, prepare
from spendgate.ledger.ledger import Ledger
from spendgate.minisign_secret import SecretKey

KEY = SecretKey.new(bytes(range(40)))
NOW_MS = time.time_ns() // 1_000_000
SENT = "SELECT receiver FROM deliveries WHERE delivered_ms > 0 ORDER BY receiver"


class Desk:
    """Alice's machine, whose budget has refused her; and her lead's key."""

    def __init__(self, folder: Path, hook: str, smtp: int, more: str = "") -> None:
        self.state, self.policy, self.key = (
            prepare(State(folder / "state")),
            folder / "policy.yaml",
            folder / "lead.key",
        )
        self.key.write_bytes(KEY.file())
        mail = f"mailto://127.0.0.1:{smtp}?from=spendgate@acme.example&to=ops@acme.example"
        self.policy.write_text(
            f"""version: 1
owner: ops@acme.example
people:
  alice: {{team: payments, email: alice@acme.example}}
  lead: {{email: lead@acme.example}}
  other: {{email: other@acme.example}}
teams: {{payments: {{owner: lead@acme.example, notify: [{{to: "{hook}", for: [alert]}}]}}, ops: {{}}}}
budgets:
  - {{name: person, per: person, limit: $1 per month}}
approvers:
  - {{person: lead, key: {KEY.public}, up_to: $500, for: {{team: payments}}}}
notify: [{{to: "{mail}", for: [page]}}]
{more}"""
        )
        found = policies.LastGood(self.state).start(self.policy, NOW_MS).policy
        in_force.tell(self.state, in_force.InForce(found.hash, str(self.policy), NOW_MS, (), None, "lt-1", "", ()))
        Ledger.open(self.state.ledger, self.state.gates, NOW_MS).close()

    def ran(self, *words: str) -> str:
        """The output of a command that succeeds."""
        result = CliRunner().invoke(app, [*words, "--state", str(self.state.root)])
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout


@pytest.fixture(autouse=True)
def _alice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # a narrower one has no room for whom an ask reached
    monkeypatch.setattr(file_desk, "own_account", lambda: "alice")


def test_from_the_ask_to_the_grant(tmp_path: Path) -> None:
    """The hook of the team and the approver's own mail have it: who, what, why, the figures, and a command that grants it as it
    stands. The person reads whom it reached; that the grant is there comes by mail and in `status`."""
    with mailbox() as box, endpoint() as hook:
        desk = Desk(tmp_path, hook.to, box.port)
        with running(desk.state.root, desk.policy, NOW_MS) as gate:
            assert gate.spend(0.97) == "Admitted"
            assert gate.spend(0.10) == "Admitted"
            assert gate.spend(0.10) == "Refused"
        said = desk.ran("ask", "50", "--for", "release week")
        assert "No gate runs: the next one tells them" in said
        assert "a running gate sends it" in desk.ran("ask", "list")
        with running(desk.state.root, desk.policy, NOW_MS):
            until(lambda: len(kept(desk.state.root, SENT)) == 2)
            listed = json.loads(desk.ran("ask", "list", "--format", "json"))[0]["reached"]
            assert re.fullmatch(r"delivered to json-\w{8}, mail:lead", listed)
            assert "delivered to json-" in desk.ran("status")
            (message,) = [each["message"] for each in hook.heard]
            assert "alice asks for $50.00 more of person until" in message
            assert ": release week. When it refused: $1.07 spent of $1.00." in message
            assert "Answers for it: lead@acme.example" in message
            (to, mailed) = box.mails[-1]
            assert to == ["lead@acme.example"] and "Grants it: spendgate grant spendgate-ask:" in mailed
            words = shlex.split(re.search(r"Grants it: spendgate (.*)", message)[1].replace("KEYFILE", str(desk.key)))
            text = CliRunner().invoke(app, [*words, "--state", str(tmp_path / "elsewhere")]).stdout.strip()
            desk.ran("grant", "accept", text)
            until(lambda: len(kept(desk.state.root, SENT)) == 3)
            assert box.mails[-1][0] == ["alice@acme.example"]
            assert "alice has $50.00 more of person until" in box.mails[-1][1]
        assert "alice has $50.00 more of person until" in desk.ran("status")
        assert [each["asks"] for each in [json.loads(desk.ran("status", "--format", "json"))]] == [[]]
    assert len(hook.heard) == 1


def test_the_hook_is_down_and_the_gate_killed(tmp_path: Path) -> None:
    """It waits in the ledger, `ask list` says why, and it is there once."""
    with mailbox() as box:
        with endpoint() as hook:
            pass  # its port is free again: nobody listens there now
        desk = Desk(tmp_path, hook.to, box.port)
        desk.ran("ask", "50", "--budget", "person", "--for", "release week")
        with running(desk.state.root, desk.policy, NOW_MS):
            until(lambda: kept(desk.state.root, "SELECT 1 FROM deliveries WHERE error IS NOT NULL"))
            until(lambda: len(kept(desk.state.root, SENT)) == 1)
        found = json.loads(desk.ran("ask", "list", "--format", "json"))[0]["reached"]
        assert re.fullmatch(
            r"delivered to mail:lead; could not be delivered yet to json-\w{8} \(could not be reached\)", found
        )
        with endpoint(hook.port) as back:
            for later in (600_000, 1_200_000):
                with running(desk.state.root, desk.policy, NOW_MS + later):
                    until(lambda: len(kept(desk.state.root, SENT)) == 2)
        assert len(back.heard) == 1
    assert [to for to, _ in box.mails] == [["lead@acme.example"]]


def test_an_answer_comes_before_the_message(tmp_path: Path) -> None:
    """What is granted already is asked of nobody."""
    with mailbox() as box, endpoint() as hook:
        desk = Desk(tmp_path, hook.to, box.port)
        desk.ran("ask", "50", "--budget", "person", "--for", "release week")
        (asked,) = json.loads(desk.ran("ask", "list", "--format", "json"))
        desk.ran("grant", asked["id"], "--key", str(desk.key))
        with running(desk.state.root, desk.policy, NOW_MS):
            until(lambda: box.mails)
        assert not hook.heard
    assert [to for to, _ in box.mails] == [["alice@acme.example"]]


def test_nobody_may_approve(tmp_path: Path) -> None:
    """Then the message has the exception that does it, as a policy takes it."""
    with mailbox() as box, endpoint() as hook:
        desk = Desk(tmp_path, hook.to, box.port)
        text = re.sub(r"approvers:\n.*\n", "", desk.policy.read_text())
        desk.policy.write_text(text)
        found = policies.LastGood(desk.state).start(desk.policy, NOW_MS).policy
        in_force.tell(desk.state, in_force.InForce(found.hash, str(desk.policy), NOW_MS, (), None, "lt-1", "", ()))
        desk.ran("ask", "50", "--budget", "person", "--for", 'the "big" release')
        with running(desk.state.root, desk.policy, NOW_MS):
            until(lambda: hook.heard)
    line = re.search(r"by a signature\): (exceptions: .*)", hook.heard[0]["message"])[1]
    desk.policy.write_text(f"{text}{line}\n")
    (made,) = policies.load(desk.policy).exceptions
    assert (made.add_nanos, made.reason, made.match.as_data()) == (
        50 * 10**9,
        'the "big" release',
        {"person": ["alice"]},
    )


def test_the_desktop_shows_text_and_no_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody typed is in it: the body of a notification is markup, its head is not."""
    player, shown = tmp_path / "notify-send", tmp_path / "shown.txt"
    player.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {shlex.quote(str(shown))}\n')
    player.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert courier.show("R&D", 'a & b <a href="https://x.example">here</a>', "notice") is None
    assert shown.read_text().splitlines()[-2:] == ["R&D", 'a &amp; b &lt;a href="https://x.example"&gt;here&lt;/a&gt;']


def test_the_desktop_shows_a_grant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the gate's own session, by `notify-send`, which is played here: the person's grant, and nothing of the ask."""
    (tmp_path / "bin").mkdir()
    player, shown = tmp_path / "bin" / "notify-send", tmp_path / "shown.txt"
    player.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {shlex.quote(str(shown))}\n')
    player.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    with mailbox() as box, endpoint() as hook:
        desk = Desk(tmp_path, hook.to, box.port)
        desk.ran("ask", "50", "--budget", "person", "--for", "release week")
        with running(desk.state.root, desk.policy, NOW_MS):
            until(lambda: len(kept(desk.state.root, SENT)) == 2)
            (asked,) = json.loads(desk.ran("ask", "list", "--format", "json"))
            desk.ran("grant", asked["id"], "--key", str(desk.key))
            until(lambda: shown.exists() and "alice has $50.00 more" in shown.read_text())
    assert shown.read_text().splitlines()[:4] == [
        "--app-name=Spendgate", "--urgency=low", "--", "Spendgate: alice has more",
    ]  # fmt: skip
    assert "asks for" not in shown.read_text()
