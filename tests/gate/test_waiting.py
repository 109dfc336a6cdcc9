"""Who waits: first come first served, for as long as the budget says, and nobody for a client that has gone."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from gate.world import budget, end, house, intent, policy, prove
from spendgate.admission import RefusalKind
from spendgate.gate.interface import Admitted, Gone, Refused
from spendgate.providers.reading import Reading
from spendgate.standing import Hold


async def test_a_settled_call_wakes_the_next_in_line(tmp_path):
    """Waiters are served first come first served, as soon as a hold is gone."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING, wait_ms=60_000))) as place:
        first, order = intent(text_bytes=150_000), []
        await place.gate.hold(first)

        async def wait(name):
            call = intent(text_bytes=150_000)
            assert isinstance(await place.gate.hold(call), Admitted)
            order.append(name)
            place.gate.settle(call.call_id, Reading(), end(sent=False))

        waiters = []
        for name in ("second", "third", "fourth"):
            waiters.append(asyncio.create_task(wait(name)))
            await asyncio.sleep(0.01)
        place.gate.settle(first.call_id, Reading(), end(sent=False))
        await asyncio.gather(*waiters)

        assert order == ["second", "third", "fourth"]


async def test_what_others_hold_is_refused_as_held(tmp_path):
    """After its wait a call that others' holds keep out is refused as `held`, provably, and may try again."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING, wait_ms=60))) as place:
        await place.gate.hold(intent(text_bytes=150_000))
        answer = await place.gate.hold(intent(text_bytes=150_000))

        assert isinstance(answer, Refused)
        assert answer.refuse.kind is RefusalKind.HELD
        assert answer.refuse.retry_after_ms >= 1_000
        (row,) = place.rows.calls("state = 'refused'")
        assert row["waited_ms"] >= 60
        prove(row)


async def test_a_call_that_may_not_wait_is_answered_at_once(tmp_path):
    """Without `may_wait` the refusal comes without a wait."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING, wait_ms=3_600_000))) as place:
        await place.gate.hold(intent(text_bytes=150_000))
        answer = await place.gate.hold(intent(text_bytes=150_000, may_wait=False))

        assert isinstance(answer, Refused)
        assert place.rows.calls("state = 'refused'")[0]["waited_ms"] == 0


async def test_a_waiter_whose_client_has_gone_takes_no_hold(tmp_path):
    """A client that leaves while its call waits has a failed row, no hold, and nobody waits behind it."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING, wait_ms=60_000))) as place:
        first, gone = intent(text_bytes=150_000), []
        await place.gate.hold(first)
        waiting = asyncio.create_task(place.gate.hold(intent(text_bytes=150_000, gone=lambda: bool(gone))))
        await asyncio.sleep(0.02)
        gone.append(True)
        answer = await waiting
        place.gate.settle(first.call_id, Reading(), end(sent=False))

        assert isinstance(answer, Gone)
        assert place.rows.states() == {"failed": 2}
        assert isinstance(await place.gate.hold(intent(text_bytes=150_000)), Admitted)


async def test_a_cancelled_waiter_gives_up_its_place(tmp_path):
    """Cancelling a waiting call frees its place in the line for those behind it."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING, wait_ms=60_000))) as place:
        first = intent(text_bytes=150_000)
        await place.gate.hold(first)
        cancelled = asyncio.create_task(place.gate.hold(intent(text_bytes=150_000)))
        await asyncio.sleep(0.01)
        behind = asyncio.create_task(place.gate.hold(intent(text_bytes=150_000)))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        place.gate.settle(first.call_id, Reading(), end(sent=False))

        assert isinstance(await behind, Admitted)


async def test_nobody_waits_for_a_gate_that_has_died(tmp_path):
    """What a dead gate's call held goes with the first call that waits for it, not with the next round of the minute."""
    rules = policy(budget(1.0, hold=Hold.CEILING, wait_ms=10_000))
    async with AsyncExitStack() as dying:
        dead = await dying.enter_async_context(house(tmp_path, rules))
        await dead.gate.hold(intent(text_bytes=150_000))
        async with house(tmp_path, rules) as place:
            place.gate._upkeep._orphans_at_ms -= 1_000
            await dying.aclose()  # its call is open, and its lock gone: as after a kill

            answer = await place.gate.hold(intent(text_bytes=150_000))

            assert isinstance(answer, Admitted)
            assert place.rows.states() == {"failed": 1, "open": 1}
