"""While the ledger cannot be written, budgets decide as by it: by what is settled and held, and by the call's own hold."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gate.test_failure import broken, raising, written
from gate.test_queued import opened
from gate.world import House, budget, costing, dollars, end, house, intent, policy, serve
from spendgate.admission import RefusalKind
from spendgate.errors import LedgerUnavailable
from spendgate.gate.interface import Admitted, Refused
from spendgate.ledger.ledger import Ledger
from spendgate.standing import Hold
from spendgate.window import Unit, Window

HOUR_MS = 3_600_000
HOURLY = Window(Unit.ROLLING, HOUR_MS)
READABLE = pytest.mark.parametrize("readable", [True, False], ids=["readable", "unreadable"])
FAULT = LedgerUnavailable("the disk is full")


@contextmanager
def away(place: House, monkeypatch: pytest.MonkeyPatch, *, readable: bool) -> Iterator[None]:
    """A ledger that cannot be written, or not even read."""
    with broken(place.ledger, FAULT, monkeypatch), monkeypatch.context() as patch:
        if not readable:
            patch.setattr(place.ledger, "standings", raising(FAULT))
        yield


@READABLE
async def test_one_call_that_may_cost_more_than_all_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readable
):
    """Its own hold counts, also where the budget was never seen before: the limit alone says that it cannot fit."""
    async with house(tmp_path, policy(budget(0.5, hold=Hold.CEILING))) as place:
        with away(place, monkeypatch, readable=readable):
            big = await place.gate.hold(intent(output_max=32_000))
            assert isinstance(big, Refused)
            assert big.refuse.kind is RefusalKind.SPENT
            assert isinstance(await place.gate.hold(intent()), Admitted)


@READABLE
@pytest.mark.parametrize("window", [None, HOURLY], ids=["life", "rolling"])
async def test_open_holds_count_until_they_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readable, window):
    """Those of calls that left before the failure, and of those that left during it; what they did not use is free again."""
    rules = policy(budget(0.08, hold=Hold.CEILING, window=window))  # room for two
    async with house(tmp_path, rules) as place:
        before = await opened(place)
        with away(place, monkeypatch, readable=readable):
            during = await opened(place)
            answer = await place.gate.hold(intent(may_wait=False))
            assert isinstance(answer, Refused)
            assert answer.refuse.kind is RefusalKind.HELD
            waiting = asyncio.create_task(place.gate.hold(intent()))
            await asyncio.sleep(0.05)
            assert not waiting.done(), "it waits for the others as it would by the ledger"
            place.gate.settle(before.call_id, costing(0.001), end())
            assert isinstance(await waiting, Admitted)
            place.gate.settle(during.call_id, costing(0.001), end())
            last = await opened(place)
            assert isinstance(await place.gate.hold(intent(may_wait=False)), Refused)
        await written(place.gate)
        asked = place.gate._asked(last)
        [standing] = place.ledger.standings(asked.terms.scopes(place.time.wall_ms), place.time.wall_ms, {})
        assert (standing.settled_nanos, standing.open_calls) == (dollars(0.002), 2)


@READABLE
@pytest.mark.parametrize("seed", range(2))
async def test_a_ceiling_holds_at_any_concurrency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readable, seed):
    """A crowd on two budgets, while the ledger fails and is back again and again: neither is passed, no counter is off."""
    chance = random.Random(seed)
    rules = policy(
        budget(0.6, hold=Hold.CEILING, wait_ms=2_000),
        budget(0.9, "all", per=(), hold=Hold.CEILING, wait_ms=2_000, window=HOURLY),
    )

    async def come(place: House) -> str:
        await asyncio.sleep(chance.random() * 0.4)
        person = chance.choice(("alice", "bob"))
        return await serve(place.gate, intent(person), chance.choice((0.001, 0.03)), seconds=chance.random() * 0.1)

    async with house(tmp_path, rules) as place:
        crowd = asyncio.gather(*(come(place) for _ in range(150)))
        while not crowd.done():
            with away(place, monkeypatch, readable=readable):
                await asyncio.sleep(chance.random() * 0.2)
            await asyncio.sleep(chance.random() * 0.05)
        said = await crowd
        await written(place.gate)
        spent = {
            who: sum(row["cost_nanos"] or 0 for row in place.rows.calls(f"person = '{who}'"))
            for who in ("alice", "bob")
        }
        assert all(nanos <= dollars(0.6) for nanos in spent.values())
        assert sum(spent.values()) <= dollars(0.9)
        assert said.count("admitted") == place.rows.states()["settled"] > 25
        scopes = place.gate._asked(intent()).terms.scopes(place.time.wall_ms)
        standings = place.ledger.standings(scopes, place.time.wall_ms, {})
        assert [each.settled_nanos for each in standings] == [spent["alice"], sum(spent.values())]
        assert not any(each.held_nanos or each.open_calls for each in standings)
        assert place.gate.backlog.unwritten.sums(scopes, place.time.wall_ms) == {}


async def test_what_is_not_written_is_added_to_what_others_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another gate goes on spending while this one cannot write: neither part hides the other."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING))) as place:
        with broken(place.ledger, LedgerUnavailable("no"), monkeypatch):
            call = await opened(place)
            place.gate.settle(call.call_id, costing(0.5), end())
            other = Ledger.open(place.rows.path, tmp_path / "gates", place.time.now_ms())
            with monkeypatch.context() as patch:
                patch.setattr(place.gate.backlog, "joined", lambda work: work())
                patch.setattr(place.gate._waiting, "_ledger", other)
                theirs = await opened(place)
            other.sent(theirs.call_id, 0)
            place.gate._running.pop(theirs.call_id)
            refused = await place.gate.hold(intent(output_max=18_500, may_wait=False))
            assert isinstance(refused, Refused)
            assert (refused.refuse.kind, refused.refuse.settled_nanos) == (RefusalKind.HELD, dollars(0.5))
            other.close()


async def test_calls_pass_out_of_a_rolling_window_while_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What was spent longer ago than the window is free again, though none of it is written yet."""
    async with house(tmp_path, policy(budget(0.05, hold=Hold.CEILING, window=HOURLY))) as place:
        with away(place, monkeypatch, readable=True):
            call = await opened(place)
            place.gate.settle(call.call_id, costing(0.035), end())
            assert isinstance(await place.gate.hold(intent()), Refused)
            place.time.wall_ms += HOUR_MS
            assert isinstance(await place.gate.hold(intent()), Admitted)


async def test_a_part_that_is_written_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The file is free for a few of the queued writes, and busy again: what they moved is in the file, and only there."""
    async with house(tmp_path, policy(budget(1.0, hold=Hold.CEILING))) as place:
        with broken(place.ledger, FAULT, monkeypatch):
            for _ in range(6):
                call = await opened(place)
                place.gate.settle(call.call_id, costing(0.01), end())
        place.gate.backlog._flush()
        assert 0 < len(place.gate.backlog) < 18
        with away(place, monkeypatch, readable=True):
            refused = await place.gate.failing(intent(output_max=38_000), "it is busy again")
        assert isinstance(refused, Refused)
        assert refused.refuse.settled_nanos == dollars(0.06)
