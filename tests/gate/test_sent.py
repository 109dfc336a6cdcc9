"""`sent` is in the ledger's file before a head may leave, also while another process writes to it."""

from __future__ import annotations

import asyncio
import sqlite3

from gate.test_failure import broken
from gate.world import budget, house, intent, policy
from spendgate.errors import LedgerUnavailable


async def test_sent_is_on_disk_when_it_says_so(tmp_path):
    """True means: another process that opens the file now reads it."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        call = intent()
        await place.gate.hold(call)

        assert place.gate.sent(call.call_id) is True
        assert place.rows.calls()[0]["sent_at"] is not None


async def test_a_busy_ledger_is_waited_for(tmp_path):
    """False while another process writes; `noted` ends once the file has it, and not before."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        call = intent()
        await place.gate.hold(call)
        other = sqlite3.connect(place.rows.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert place.gate.sent(call.call_id) is False
        waiting = asyncio.create_task(place.gate.noted(call.call_id))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not waiting.done()
        assert place.rows.calls()[0]["sent_at"] is None
        other.execute("ROLLBACK")
        other.close()
        await waiting

        assert place.rows.calls()[0]["sent_at"] is not None


async def test_a_broken_ledger_keeps_no_admitted_call_back(tmp_path, monkeypatch):
    """A ledger that cannot be written at all is `on_failure`'s business: the call that was admitted goes."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        call = intent()
        await place.gate.hold(call)
        with broken(place.ledger, LedgerUnavailable("the disk is gone"), monkeypatch):
            assert place.gate.sent(call.call_id) is False
            await asyncio.wait_for(place.gate.noted(call.call_id), 60)


async def test_a_call_that_has_ended_is_not_waited_for(tmp_path):
    """Nothing is written for a call that the gate does not know."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        assert place.gate.sent("nobody") is True
