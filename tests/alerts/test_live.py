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
from spendgate.gate.alerting import Alerting, Looking
from spendgate.ledger.outbox import Outbox
from spendgate.policy import Policy


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
    courier = Courier(folder / "ledger.db", at.time.now_ms, lambda: 0.0)
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
    assert "Answers for it: lead@acme.example" in heard["message"]
    assert "spendgate calls --since" in heard["message"]


async def test_a_refusal_comes_with_the_first_threshold(tmp_path: Path) -> None:
    """Written in the refusal's own transaction, also where nothing has looked at what was settled; told once."""
    policy = rules(Endpoint())
    async with house(tmp_path, policy) as at:
        await serve(at.gate, intent(), 1)
        assert await serve(at.gate, intent(), 0.5) == "spent"
        at.gate.backlog.write_out()
        assert kept(tmp_path, "SELECT rule FROM alerts") == [("person 50%",)]
        with closing(Outbox(tmp_path / "ledger.db")) as outbox:
            Looking(outbox).look(policy, at.time.now_ms(), keeps=True)
        assert kept(tmp_path, "SELECT rule FROM alerts") == [("person 50%",), ("person 80%",)]
