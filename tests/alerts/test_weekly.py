"""The digest delivered: once a week to each receiver that is for it, over real HTTP and SMTP, whatever gates come and go."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from alerts.kit import at
from alerts.receiving import Endpoint, Mailbox, endpoint, mailbox, until
from alerts.test_delivery import Process, kept, running
from alerts.weeks import Weeks
from spendgate.alerts import weekly
from spendgate.config.policy_file import parse_policy
from spendgate.digest import Prices
from spendgate.errors import LedgerUnavailable
from spendgate.ledger.outbox import Outbox
from spendgate.ledger.shared_connection import SharedConnection

ZONE = "Europe/Berlin"
MONDAY = at("2026-11-23T08:00", ZONE)
HOUR_MS = 3_600_000
WEEK_MS = 168 * HOUR_MS
SENT = "SELECT value FROM deliveries JOIN alerts ON alerts.id = alert WHERE form = 'digest' AND delivered_ms > 0 ORDER BY 1"
WRITTEN = "SELECT value, window FROM alerts WHERE form = 'digest' ORDER BY id"


def policy(folder: Path, hook: Endpoint, team: Endpoint, box: Mailbox) -> Path:
    """The file's hook and mail are for digests, and so is the hook of one team."""
    file = folder / "policy.yaml"
    file.write_text(
        f"""version: 1
owner: lead@acme.example
timezone: {ZONE}
people: {{alice: {{team: payments}}, bob: {{}}}}
teams: {{payments: {{owner: pay@acme.example, notify: [{{to: "{team.to}", for: [digest]}}]}}, quiet: {{}}}}
budgets: [{{name: person, per: person, limit: $1000 per month}}]
notify:
  - {{to: "{hook.to}", for: [digest]}}
  - {{to: "mailto://127.0.0.1:{box.port}?from=spendgate@acme.example&to=lead@acme.example", for: [digest]}}
  - {{to: "json://127.0.0.1:1/alerts", for: [alert]}}
"""
    )
    return file


def spent(folder: Path, file: Path) -> None:
    """The week before: alice $11.99 (and a cent through the gate), bob $30."""
    weeks = Weeks(folder, parse_policy(file.read_bytes()), at("2026-11-02T00:00", ZONE))
    weeks.spend("alice", at("2026-11-16T00:00", ZONE), 11.99, model="claude-<b>opus")
    weeks.spend("bob", at("2026-11-22T23:59", ZONE), 30)
    weeks.ledger.close()


def seen(gate: Process) -> None:
    """Whatever the gate does each second it has done twice."""
    assert gate.spend(0.01) == "Admitted"
    time.sleep(2.5)


def test_once_a_week_whatever_gates_come_and_go(tmp_path: Path) -> None:
    """Not before Monday 08:00; then once, by two gates on one ledger and by those after them; the next one a week later."""
    with mailbox() as box, endpoint() as hook, endpoint() as team:
        file = policy(tmp_path, hook, team, box)
        spent(tmp_path, file)
        with running(tmp_path, file, at("2026-11-16T08:00", ZONE)) as gate:
            until(lambda: len(kept(tmp_path, SENT)) == 3)
            seen(gate)
        assert kept(tmp_path, WRITTEN) == [("", "week 2026-11-09"), ("payments", "week 2026-11-09")]
        with running(tmp_path, file, MONDAY - HOUR_MS) as gate:
            seen(gate)
        assert len(kept(tmp_path, WRITTEN)) == 2
        with running(tmp_path, file, MONDAY) as gate, running(tmp_path, file, MONDAY + 500) as other:
            until(lambda: len(kept(tmp_path, SENT)) == 6)
            seen(gate)
            seen(other)
        for later in (1, WEEK_MS - HOUR_MS):
            with running(tmp_path, file, MONDAY + later) as gate:
                seen(gate)
        with running(tmp_path, file, MONDAY + WEEK_MS):
            until(lambda: len(kept(tmp_path, SENT)) == 9)
    assert [window for _, window in kept(tmp_path, WRITTEN)] == [
        each for day in ("09", "16", "23") for each in [f"week 2026-11-{day}"] * 2
    ]
    said = [each["message"] for each in hook.heard]
    assert len(said) == len(team.heard) == len(box.mails) == 3
    assert "$42.00 spent" in said[1] and "- bob: $30.00" in said[1] and "- alice: $12.00" in said[1]
    own = team.heard[1]["message"]
    assert "AI spend of payments" in own and "alice" in own and "bob" not in own
    to, text = box.mails[1]
    assert to == ["lead@acme.example"]
    assert "$42.00 spent" in text and "bob" in text
    assert "<td>bob</td><td>$30.00</td>" in box.html[1]
    assert "&lt;b&gt;opus" in box.html[1] and "<b>" not in box.html[1]
    assert not kept(tmp_path, "SELECT 1 FROM deliveries WHERE receiver LIKE 'desktop%' OR receiver LIKE 'mail:%'")
    trail = kept(tmp_path, "SELECT detail FROM audit WHERE what = 'alert' ORDER BY position")
    assert "digest, to json-" in str(trail[0]) and "digest of payments of payments, to json-" in str(trail[1])


def test_killed_while_it_is_sent(tmp_path: Path) -> None:
    """The hook is down, the gate is killed: it is there once, from what was written on Monday."""
    with mailbox() as box, endpoint() as team:
        with endpoint() as hook:
            pass  # its port is free again
        file = policy(tmp_path, hook, team, box)
        spent(tmp_path, file)
        with running(tmp_path, file, MONDAY):
            until(lambda: kept(tmp_path, "SELECT 1 FROM deliveries WHERE error IS NOT NULL"))
            until(lambda: len(kept(tmp_path, SENT)) == 2)
        with endpoint(hook.port) as back:
            for later in (3_600_000, 7_200_000):
                with running(tmp_path, file, MONDAY + later) as gate:
                    until(lambda: len(kept(tmp_path, SENT)) == 3)
                    seen(gate)
        assert len(back.heard) == len(box.mails) == len(team.heard) == 1


@pytest.mark.parametrize("moment", ["before", "between", "after"])
def test_a_death_at_every_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Of two digests: before the first is written, between them, after both. The next process writes what is missing."""
    with mailbox() as box, endpoint() as hook, endpoint() as team:
        file = policy(tmp_path, hook, team, box)
    spent(tmp_path, file)
    shared = SharedConnection(tmp_path / "ledger.db")
    outbox = Outbox(shared)
    written = Outbox.write_letter
    left = {"before": 0, "between": 1, "after": 2}[moment]

    def dies(self: Outbox, *row: object) -> bool:
        nonlocal left
        if not left:
            raise LedgerUnavailable("it died")
        left -= 1
        return written(self, *row)

    found, prices = parse_policy(file.read_bytes()), Prices("as shipped", None)
    monkeypatch.setattr(Outbox, "write_letter", dies)
    first = weekly.Weekly(tmp_path / "ledger.db", "lt-1", lambda: prices)
    first.look(outbox, found, MONDAY)
    monkeypatch.setattr(Outbox, "write_letter", written)
    assert first.look(outbox, found, MONDAY + 1) == 0  # a failure is not tried again each second
    then = weekly.Weekly(tmp_path / "ledger.db", "lt-1", lambda: prices)
    assert then.look(outbox, found, MONDAY + 1) == {"before": 2, "between": 1, "after": 0}[moment]
    shared.close()
    assert kept(tmp_path, WRITTEN) == [("", "week 2026-11-16"), ("payments", "week 2026-11-16")]


@pytest.mark.parametrize(("purpose", "began"), [("notice", "2026-11-02T00:00"), ("digest", "2026-11-23T00:00")])
def test_nobody_wants_it_or_the_ledger_is_younger(tmp_path: Path, purpose: str, began: str) -> None:
    """Then nothing is written: a ledger that began after the week has nothing to say of it."""
    with mailbox() as box, endpoint() as hook, endpoint() as team:
        file = policy(tmp_path, hook, team, box)
    found = parse_policy(file.read_text().replace("digest", purpose).encode())
    Weeks(tmp_path, found, at(began, ZONE)).ledger.close()
    shared = SharedConnection(tmp_path / "ledger.db")
    outbox = Outbox(shared)
    look = weekly.Weekly(tmp_path / "ledger.db", "lt-1", lambda: Prices("as shipped", None))
    assert look.look(outbox, found, MONDAY) == 0
    shared.close()
    assert kept(tmp_path, WRITTEN) == []


def test_a_fault_in_it_does_not_stop_alerts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said by its class alone, once, and tried again after ten minutes."""
    with mailbox() as box, endpoint() as hook, endpoint() as team:
        file = policy(tmp_path, hook, team, box)
    spent(tmp_path, file)
    found = parse_policy(file.read_bytes())

    def fails() -> Prices:
        raise ValueError("what a file holds")

    shared = SharedConnection(tmp_path / "ledger.db")
    outbox = Outbox(shared)
    look = weekly.Weekly(tmp_path / "ledger.db", "lt-1", fails)
    for later in range(3):
        assert look.look(outbox, found, MONDAY + later) == 0
    assert [each.rpartition(": ")[2] for each in caplog.messages] == ["ValueError"]
    look.look(outbox, found, MONDAY + weekly.AGAIN_MS)
    assert len(caplog.messages) == 2
    shared.close()
