"""`sent` is in the ledger's file before a head may leave, also while another process writes to it."""

from __future__ import annotations

import asyncio
import sqlite3

from msgspec.structs import replace

from gate.test_failure import broken
from gate.world import budget, end, house, intent, policy
from spendgate.errors import LedgerBusy, LedgerUnavailable
from spendgate.providers.reading import Reading


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


async def test_a_call_that_leaves_at_once_is_sent_from_its_hold(tmp_path):
    """The connection is open: the row says `sent` in the transaction of the hold, and `sent` itself writes nothing more."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        call = replace(intent(), leaves=lambda: True)
        await place.gate.hold(call)
        held = place.rows.calls()[0]
        assert held["state"] == "open" and held["sent_at"] is not None

        assert place.gate.sent(call.call_id) is True
        assert place.rows.calls()[0] == held


async def test_what_was_to_leave_and_did_not_is_free(tmp_path):
    """The connection closed between the answer and the head: nothing was sent, nothing is charged, and the row says so."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        call = replace(intent(), leaves=lambda: True)
        await place.gate.hold(call)
        place.gate.settle(call.call_id, Reading(), end(sent=False, complete=False, error="server"))
        await place.gate.stop()

        row = place.rows.calls()[0]
        assert (row["state"], row["cost_nanos"], row["sent_at"]) == ("failed", 0, None)


async def test_leaves_is_asked_by_the_try_that_holds(tmp_path, monkeypatch):
    """While another gate writes, the provider closes: the row that is then written does not say `sent`."""
    async with house(tmp_path, policy(budget(1.0))) as place:
        up, hold, tries = [True], place.ledger.hold, iter(range(9))

        def busy_first(*given, **words):
            if next(tries) < 3:
                up[0] = False
                raise LedgerBusy("another gate writes")
            return hold(*given, **words)

        monkeypatch.setattr(place.ledger, "hold", busy_first)
        await place.gate.hold(replace(intent(), leaves=lambda: up[0]))
        assert place.rows.calls()[0]["sent_at"] is None
