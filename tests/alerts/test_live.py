"""From a running gate to a real receiver: told before anybody is refused, once, whatever dies or is down meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from alerts.receiving import Endpoint, endpoint, until
from gate.world import House, house, intent, serve
from spendgate.alerts.courier import Courier
from spendgate.config.policy_file import parse_policy
from spendgate.exceptions import Granted
from spendgate.gate.alerting import Alerting
from spendgate.gate.looking import Looking
from spendgate.ledger.ended_calls import EndedCalls
from spendgate.ledger.interface import AlertRow
from spendgate.ledger.messages import EVIDENCE
from spendgate.ledger.outbox import write
from spendgate.ledger.shared_connection import SharedConnection
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.policy import Policy
from spendgate.selector import exactly


def rules(*receivers: Endpoint, more: str = "") -> Policy:
    """A dollar a day for each person."""
    entries = ", ".join(f'{{to: "{each.to}", for: [alert]}}' for each in receivers)
    return parse_policy(
        f"""version: 1
owner: lead@acme.example
notify: [{entries}]
budgets:
  - {{name: person, per: person, limit: $1 per day, alerts: [50%, 80%]}}
{more}""".encode()
    )


def alerting(folder: Path, at: House, policy: Policy) -> Alerting:
    """What `serving` puts together."""
    courier = Courier(at.time.now_ms, lambda: 0.0, "lt-1")
    return Alerting(folder / "ledger.db", folder / "gates", policy, at.time.now_ms, courier)


def kept(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "ledger.db")) as conn:
        return conn.execute(sql).fetchall()


async def test_a_threshold_reaches_a_web_hook(tmp_path: Path) -> None:
    """The thinnest whole path: a call settles, its owner hears."""
    with endpoint() as hook:
        policy = rules(hook)
        async with house(tmp_path, policy) as at:
            looking = alerting(tmp_path, at, policy)
            looking.start()
            await serve(at.gate, intent(), 0.55)
            at.gate.backlog.write_out()
            await asyncio.to_thread(until, lambda: kept(tmp_path, "SELECT 1 FROM deliveries WHERE delivered_ms > 0"))
            looking.stop()
    (heard,) = hook.heard
    assert heard["title"] == "Spendgate alert: person 50%"
    assert "person of alice: $0.55 of $1.00 is spent, 50% and more" in heard["message"]
    assert "\nOn the machine: lt-1\nAnswers for it: lead@acme.example" in heard["message"]
    assert "spendgate calls --since" in heard["message"]


async def test_evidence_names_its_machine(tmp_path: Path) -> None:
    """Its owner has many, and nothing else in it says which ledger the command is for."""
    with endpoint() as hook:
        policy = rules(hook)
        async with house(tmp_path, policy) as at:
            row = AlertRow(
                EVIDENCE, EVIDENCE, "policy refused", "2026-11-22 signature", "alert", at.time.now_ms(), None, None, (),
                policy.owner, None, None, None, None, "policy refused: 1 fault: signature", "spendgate audit list", policy.hash,
            )  # fmt: skip
            with closing(sqlite3.connect(tmp_path / "ledger.db")) as conn, conn:
                write(conn, [row], at.time.now_ms())
            looking = alerting(tmp_path, at, policy)
            looking.start()
            await asyncio.to_thread(until, lambda: kept(tmp_path, "SELECT 1 FROM deliveries WHERE delivered_ms > 0"))
            looking.stop()
    (heard,) = hook.heard
    assert (
        "policy refused: 1 fault: signature.\nOn the machine: lt-1\nAnswers for it: lead@acme.example\n"
        in heard["message"]
    )


async def test_a_refusal_comes_with_the_first_threshold(tmp_path: Path) -> None:
    """Written in the refusal's own transaction, also where nothing has looked at what was settled; told once."""
    policy = rules(Endpoint())
    async with house(tmp_path, policy) as at:
        await serve(at.gate, intent(), 1)
        assert await serve(at.gate, intent(), 0.5) == "spent"
        at.gate.backlog.write_out()
        assert kept(tmp_path, "SELECT rule FROM alerts") == [("person 50%",)]
        with closing(SharedConnection(tmp_path / "ledger.db")) as shared:
            Looking(EndedCalls(shared)).look(policy, at.time.now_ms(), keeps=True)
        assert kept(tmp_path, "SELECT rule FROM alerts") == [("person 50%",), ("person 80%",)]


async def test_a_share_is_one_of_the_raised_limit(tmp_path: Path) -> None:
    """With a grant of a dollar 80% of the budget are $1.60, and the sentence says so."""
    plain = rules(Endpoint())
    more = Granted(
        budget="person", match=exactly({"person": "alice"}), add_nanos=NANOS_PER_DOLLAR, once=True, from_ms=0,
        until_ms=2**42, reason="r", approved_by="lead", grant="1", told="until later by lead: r",
    )  # fmt: skip
    policy = plain.granting((more,))
    async with house(tmp_path, policy) as at:
        await serve(at.gate, intent(), 0.90)
        await serve(at.gate, intent(), 0.65)
        at.gate.backlog.write_out()
        with closing(SharedConnection(tmp_path / "ledger.db")) as shared:
            looking = Looking(EndedCalls(shared))
            looking.look(policy, at.time.now_ms(), keeps=True)
            assert kept(tmp_path, "SELECT rule FROM alerts") == [("person 50%",)]
            await serve(at.gate, intent(), 0.05)
            at.gate.backlog.write_out()
            looking.look(policy, at.time.now_ms(), keeps=True)
    ((text,),) = kept(tmp_path, "SELECT text FROM alerts WHERE rule = 'person 80%'")
    assert str(text).startswith("person of alice: $1.60 of $2.00 is spent, 80% and more")


async def test_one_gate_looks_and_another_takes_over(tmp_path: Path) -> None:
    """Of two gates on one ledger one looks at what both end; when it is gone the other one does."""
    with endpoint() as hook:
        policy = rules(hook)
        async with house(tmp_path, policy) as first, house(tmp_path, policy) as second:
            one, two = alerting(tmp_path, first, policy), alerting(tmp_path, second, policy)
            one.start()
            await asyncio.to_thread(until, (tmp_path / "gates" / "alerts.one").exists)
            two.start()
            await serve(second.gate, intent(), 0.55)
            second.gate.backlog.write_out()
            await asyncio.to_thread(until, lambda: kept(tmp_path, "SELECT 1 FROM deliveries WHERE delivered_ms > 0"))
            await asyncio.to_thread(one.stop)
            await serve(first.gate, intent(), 0.30)
            first.gate.backlog.write_out()
            await asyncio.to_thread(until, lambda: len(hook.heard) == 2)
            await asyncio.to_thread(two.stop)
    assert [each["title"].rpartition(" ")[2] for each in hook.heard] == ["50%", "80%"]


async def test_another_policy_takes_force(tmp_path: Path) -> None:
    """What was told stays told; a rule of the new file tells; its receivers are those that hear."""
    with endpoint() as old, endpoint() as new:
        policy = rules(old)
        async with house(tmp_path, policy) as at:
            looking = alerting(tmp_path, at, policy)
            looking.start()
            await serve(at.gate, intent(), 0.55)
            at.gate.backlog.write_out()
            await asyncio.to_thread(until, lambda: old.heard)
            changed = rules(new, more="alerts: [{name: burn, burn: $0.60 in 1h, per: person}]\n")
            await at.gate.set_policy(changed)
            looking.follow(changed)
            await serve(at.gate, intent(), 0.10)
            at.gate.backlog.write_out()
            await asyncio.to_thread(until, lambda: new.heard)
            await asyncio.to_thread(looking.stop)
    assert [each["title"] for each in old.heard] == ["Spendgate alert: person 50%"]
    assert [each["title"] for each in new.heard] == ["Spendgate alert: burn"]
