"""The end of a call is written with whatever comes next: nothing that is decided misses it, and no fault loses it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gate.world import House, budget, costing, dollars, end, house, intent, policy, used
from spendgate.errors import LedgerBusy, LedgerUnavailable
from spendgate.gate.backlog import Backlog
from spendgate.gate.interface import Admitted, Refused
from spendgate.ledger.interface import Settlement


async def ended(place: House, cost: float) -> str:
    """A call that has just ended: its id."""
    call = intent()
    assert isinstance(await place.gate.hold(call), Admitted)
    place.gate.sent(call.call_id)
    place.gate.settle(call.call_id, costing(cost), end())
    return call.call_id


def written(place: House) -> int:
    """Ended calls on file, without writing out what waits."""
    return place.ledger.head().rows


async def test_the_next_hold_decides_by_it(tmp_path: Path) -> None:
    """A budget that the last call has spent refuses the very next one, and both are on file."""
    async with house(tmp_path, policy(budget(1.00))) as place:
        await ended(place, 1.00)
        assert written(place) == 0
        refused = await place.gate.hold(intent())

        assert isinstance(refused, Refused)
        assert refused.refuse.settled_nanos == dollars(1.00)
        assert place.rows.states() == {"settled": 1, "refused": 1}


async def test_a_running_calls_correction_goes_by_it(tmp_path: Path) -> None:
    """A stream is cut by what its budget has left now."""
    async with house(tmp_path, policy(budget(1.00, cut=True))) as place:
        running = await opened(place)
        await ended(place, 1.00)
        assert place.gate.progress(running, used(final=False, input_tokens=1_000, output_tokens=1)) is not None
        assert written(place) == 1
        place.gate.settle(running, costing(0.01), end())


async def test_a_handshake_goes_by_it(tmp_path: Path) -> None:
    """A socket is not opened on money that the last call has spent."""
    async with house(tmp_path, policy(budget(1.00))) as place:
        await ended(place, 1.00)
        assert isinstance(await place.gate.spent(intent(), writes=False), Refused)


async def test_it_waits_for_nobody_long(tmp_path: Path) -> None:
    """Where nothing else comes it is written by itself, in the loop's turn after next."""
    async with house(tmp_path, policy(budget(1.00))) as place:
        await ended(place, 0.10)
        assert written(place) == 0
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert written(place) == 1


async def test_ends_that_come_together_are_one_commit(tmp_path: Path) -> None:
    """As when many streams end in one turn of the loop."""
    async with house(tmp_path, policy(budget(10.00))) as place:
        calls = [await opened(place) for _ in range(5)]
        statements: list[str] = []
        place.ledger._store.conn.set_trace_callback(statements.append)
        for call_id in calls:
            place.gate.settle(call_id, costing(0.10), end())
        place.gate.backlog.write_out()
        place.ledger._store.conn.set_trace_callback(None)

        assert statements.count("COMMIT") == 1
        assert written(place) == len(calls)


async def test_a_gate_that_stops_writes_it(tmp_path: Path) -> None:
    """And counts nothing as lost."""
    async with house(tmp_path, policy(budget(1.00))) as place:
        await ended(place, 0.10)
        assert await place.gate.stop() == 0
        assert written(place) == 1


async def test_an_end_that_the_ledger_refuses_keeps_nobody_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose fault it was does not show: the hold is made by itself, and the other ends are written."""
    async with house(tmp_path, policy(budget(10.00))) as place:
        settle = place.ledger.settle

        def refuses_one(call_id: str, settlement: Settlement) -> bool:
            if call_id == bad:
                raise ValueError("not believed")
            return settle(call_id, settlement)

        monkeypatch.setattr(place.ledger, "settle", refuses_one)
        first, bad = await opened(place), await opened(place)
        for call_id in (first, bad):
            place.gate.settle(call_id, costing(0.10), end())

        assert isinstance(await place.gate.hold(intent()), Admitted)
        assert (written(place), place.gate.backlog.refused) == (1, 1)
        monkeypatch.undo()


async def opened(place: House) -> str:
    """A call that runs."""
    call = intent()
    assert isinstance(await place.gate.hold(call), Admitted)
    place.gate.sent(call.call_id)
    return call.call_id


async def test_a_busy_ledger_is_tried_again_with_it() -> None:
    """Nothing has run: both are still to be done, together."""
    ran: list[str] = []
    busy = True

    def together[T](work: object) -> T:
        if busy:
            raise LedgerBusy("another process is writing to the ledger")
        return work()  # type: ignore[operator,no-any-return]

    backlog = Backlog(None, together)  # type: ignore[arg-type]
    backlog.soon(lambda: ran.append("end"))
    with pytest.raises(LedgerBusy):
        backlog.joined(lambda: ran.append("hold"))
    assert (ran, len(backlog)) == ([], 1)
    busy = False
    backlog.joined(lambda: ran.append("hold"))
    assert (ran, len(backlog)) == (["end", "hold"], 0)


async def test_behind_a_queue_it_keeps_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that fails has everything later, the hold of a call before its end."""
    async with house(tmp_path, policy(budget(10.00))) as place:
        hold = place.ledger.hold

        def fails(*_: object, **__: object) -> None:
            raise LedgerUnavailable("the ledger's disk is full: free some room")

        monkeypatch.setattr(place.ledger, "hold", fails)
        await ended(place, 0.10)
        assert written(place) == 0
        monkeypatch.setattr(place.ledger, "hold", hold)
        assert await place.gate.stop() == 0
        assert place.rows.states() == {"settled": 1}
