"""Results on their way to the ledger: together where they come together, soon where they do not, at once at the end."""

from __future__ import annotations

import asyncio

import pytest

from spendgate.capture import results
from spendgate.capture.results import TURN, WAITING_MAX, Results
from spendgate.providers.reading import Reading, Result


class Counting:
    """Reads a result from each byte but the last."""

    def feed(self, data: bytes) -> tuple[Result, ...]:
        return tuple(Result(str(each), Reading()) for each in data)

    def close(self) -> tuple[Result, ...]:
        return (Result("last", Reading()),)


@pytest.fixture
def told() -> list[int]:
    """How many results came in each turn."""
    return []


@pytest.fixture
def reading(told: list[int]) -> Results:
    """What reads one answer."""
    return Results(Counting(), None, lambda some: told.append(len(some)))


async def test_a_full_turn_is_written_in_the_next_one(reading: Results, told: list[int]) -> None:
    """And no more than that in one."""
    reading(b"x" * (TURN - 1))
    await asyncio.sleep(0)
    assert told == []
    reading(b"x" * (TURN + 1))
    await asyncio.sleep(0)
    assert told == [TURN]
    await asyncio.sleep(0)
    assert told == [TURN, TURN]


async def test_few_are_written_soon(reading: Results, told: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the answer goes on, and brings nothing."""
    monkeypatch.setattr(results, "LINGER_S", 0)
    reading(b"xy")
    reading(b"z")
    for _ in range(3):
        await asyncio.sleep(0.001)
    assert told == [3]
    reading(b"z")
    for _ in range(3):
        await asyncio.sleep(0.001)
    assert told == [3, 1]


async def test_the_end_waits_for_nothing(reading: Results, told: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is written in the loop's next turns, the last result with it."""
    monkeypatch.setattr(results, "LINGER_S", 3600)
    reading(b"xy")
    await asyncio.sleep(0)
    assert reading.close() == ()
    await asyncio.sleep(0)
    assert told == [3]
    await asyncio.sleep(0)
    assert told == [3]


async def test_a_gate_that_stops_writes_all(reading: Results, told: list[int]) -> None:
    """At once."""
    reading(b"x" * 2 * TURN)
    reading.flush()
    assert told == [TURN, TURN]


async def test_what_waits_is_bounded(reading: Results, told: list[int]) -> None:
    """What comes too fast is written before more is read."""
    for _ in range(WAITING_MAX // 1000 + 1):
        reading(b"x" * 1000)
    assert 1000 <= sum(told) < 1000 + TURN
