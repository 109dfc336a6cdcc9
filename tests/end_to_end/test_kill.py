"""Show 6 through the whole product: gates die under load, are stopped, run out of disk; the books agree with the provider's."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from end_to_end.storm import CROWD, POLICY, Storm, storm
from end_to_end.world import Gate, calls, until
from small_disk import fill_up, mounted

ANSWERS_MAX = 25
"""How many calls have ended, at most, when a gate is killed; some sixteen more are under way."""
BOTH = pytest.mark.parametrize("policy", [POLICY, CROWD], ids=["3 budgets", "30 budgets"])
WHILE_FULL = 100
"""Answers that must come while the disk is full."""


async def _killed(world: Storm, gate: Gate) -> None:
    """Load, and `kill -9` at a random point of it."""
    stop = asyncio.Event()
    load = asyncio.create_task(world.rage([gate], stop))
    await world.answered(world.chance.randrange(ANSWERS_MAX))
    await asyncio.sleep(world.chance.uniform(0, 0.05))
    gate.process.kill()
    gate.process.wait()
    stop.set()
    await load


def _kill_again_and_again(world: Storm, times: int) -> Counter[str]:
    for _ in range(times):
        with world.gate() as gate:
            # It is ready: what the gate before it left open has been ended.
            world.nothing_open()
            asyncio.run(_killed(world, gate))
        world.consistent()
    with world.gate():
        world.nothing_open()
    world.standin.stop()
    return world.settled_as_served()


def _busy_enough(found: Counter[str]) -> None:
    """The load was one: calls were in flight at the kills, settled before them, and refused."""
    assert found["served, settled"] > 0
    assert found["served, interrupted"] > 0
    assert found["never arrived, refused"] > 0


@pytest.mark.parametrize(
    "policy", [pytest.param(POLICY, id="3 budgets"), pytest.param(CROWD, id="30 budgets", marks=pytest.mark.heavy)]
)
@pytest.mark.timeout(1800)  # ten starts of the whole product, on whatever machine
def test_killed_at_10_points(folder: Path, policy: str) -> None:
    """Every call that the provider served is charged once, none twice; none is charged that never left."""
    with storm(folder, seed=1, policy=policy) as world:
        found = _kill_again_and_again(world, 10)
    print(dict(found))
    _busy_enough(found)


@pytest.mark.heavy
@BOTH
@pytest.mark.timeout(3600)  # two hundred starts of the whole product
def test_killed_at_200_points(folder: Path, policy: str) -> None:
    """The same two hundred times."""
    with storm(folder, seed=2, policy=policy) as world:
        found = _kill_again_and_again(world, 200)
    print(dict(found))
    _busy_enough(found)


async def _one_of_two(world: Storm, one: Gate, other: Gate, stop: asyncio.Event) -> None:
    load = asyncio.create_task(world.rage([one, other], stop))
    await world.answered(ANSWERS_MAX)
    one.process.kill()
    one.process.wait()
    await world.answered(ANSWERS_MAX)
    stop.set()
    await load


@BOTH
def test_one_of_two_gates_is_killed(folder: Path, policy: str) -> None:
    """The other goes on; a third ends the dead one's calls and none of the living one's."""
    with storm(folder, seed=3, policy=policy) as world, world.gate() as one, world.gate() as other:
        asyncio.run(_one_of_two(world, one, other, asyncio.Event()))
        with world.gate():
            until(lambda: None if any(row["state"] == "open" for row in calls(world.state)) else True)
            world.nothing_open()
        other.stop()
        world.standin.stop()
        found = world.settled_as_served()
    assert found["served, settled"] > 0


async def _stop_between_writes(gate: Gate, ledger: Path) -> None:
    """Stop it where it does not hold the write lock: stopped in the middle of a write it lets nobody write, as it must."""
    while True:
        os.kill(gate.process.pid, signal.SIGSTOP)
        with closing(sqlite3.connect(ledger, isolation_level=None, timeout=0)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
                other.execute("ROLLBACK")
            except sqlite3.OperationalError:
                ready = False
            else:
                ready = any(row["state"] == "open" for row in calls(ledger.parent))
        if ready:
            return
        os.kill(gate.process.pid, signal.SIGCONT)
        await asyncio.sleep(0.01)


async def _stopped_for_a_while(world: Storm, gate: Gate) -> None:
    stop = asyncio.Event()
    load = asyncio.create_task(world.rage([gate], stop))
    await world.answered(ANSWERS_MAX)
    await _stop_between_writes(gate, world.state / "ledger.db")
    try:
        with world.gate():
            # Another gate starts meanwhile. The stopped one is alive: its lock cannot be taken, its calls are its own.
            assert any(row["state"] == "open" for row in calls(world.state))
            assert not any("orphan" in row["flags"] for row in calls(world.state))
    finally:
        os.kill(gate.process.pid, signal.SIGCONT)
    await world.answered(ANSWERS_MAX)
    stop.set()
    await load


@BOTH
def test_a_stopped_gate_goes_on_where_it_was(folder: Path, policy: str) -> None:
    """SIGSTOP, as a laptop's sleep: another gate touches none of its calls, and each ends once, as the provider served it."""
    with storm(folder, seed=4, policy=policy) as world:
        with world.gate() as gate:
            asyncio.run(_stopped_for_a_while(world, gate))
            gate.stop()
        world.standin.stop()
        world.nothing_open()
        found = world.settled_as_served()
    assert found["served, settled"] > 0
    assert found["never arrived, charged"] == 0


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 24 MB for the state directory."""
    with mounted(folder / "state", 24) as disk:
        yield disk


async def _full_for_a_while(world: Storm, gate: Gate, disk: Path) -> None:
    stop = asyncio.Event()
    load = asyncio.create_task(world.rage([gate], stop))
    await world.answered(ANSWERS_MAX)
    ballast = disk / "ballast"
    last = world.answers[200] + WHILE_FULL
    with ballast.open("wb", buffering=0) as file:
        async with asyncio.timeout(240):
            while world.answers[200] < last:
                # Again and again: the gate frees its reserve, and its log has room that it may write over.
                fill_up(file)
                await asyncio.sleep(0.01)
    ballast.unlink()
    await world.answered(ANSWERS_MAX)
    stop.set()
    await load


@BOTH
def test_a_full_disk_loses_no_call(small_disk: Path, folder: Path, policy: str) -> None:
    """Nobody's work stops (`on_failure: allow`), and once there is room every call that was served is charged once."""
    with storm(folder, seed=5, policy=policy) as world:
        with world.gate() as gate:
            asyncio.run(_full_for_a_while(world, gate, small_disk))
            gate.stop()
        world.standin.stop()
        world.nothing_open()
        found = world.settled_as_served()
        flagged = [row for row in calls(world.state) if "admitted while the ledger failed" in row["flags"]]
    assert found["served, settled"] > 20
    assert flagged, "the disk was never full"
