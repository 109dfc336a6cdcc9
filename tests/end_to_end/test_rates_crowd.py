"""Rates through running gates: 500 clients at once, over one gate and over two on one ledger."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import sqlite3
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from end_to_end.storm import MODEL, Standin, post
from end_to_end.world import Gate, calls, policy, running_gate
from spendgate.ledger.queries import Reader

CLIENTS = 500
SEEN = """
    CREATE TABLE seen (at_ms INTEGER NOT NULL);
    CREATE TRIGGER each_admitted AFTER INSERT ON flows WHEN new.requests > 0
        BEGIN INSERT INTO seen VALUES (new.at_ms); END;
"""
"""Keeps what the gates decide by, which they delete when it counts no more: the instant of each call that was admitted."""


@pytest.fixture
def standin(folder: Path) -> Iterator[Standin]:
    """The stand-in in a process of its own: so many connections are too many for one."""
    running = Standin(folder)
    yield running
    if running.process.poll() is None:
        running.stop()


def body(number: int) -> bytes:
    """A request that is like no other: none is answered from memory."""
    text = "x" * (100 + number)
    return json.dumps({"model": MODEL, "max_tokens": 10, "messages": [{"role": "user", "content": text}]}).encode()


async def until_served(gate: Gate, trust: ssl.SSLContext, number: int, said: Counter[int], delay_ms: int) -> None:
    """A client that tries again when it is told to."""
    while True:
        status, head = await post(
            gate.port, trust, body(number), f"input=10; output=5; delay_ms={delay_ms}", f"session-{number}"
        )
        said[status] += 1
        if status == 200:
            return
        assert status == 429
        wait = re.search(rb"(?im)^retry-after: (\d+)", head)
        assert wait is not None
        await asyncio.sleep(int(wait[1]))


async def all_of_them(gates: list[Gate], delay_ms: int = 0) -> Counter[int]:
    """All clients at once, in turns over the gates; how many answers had which status."""
    trusts = [ssl.create_default_context(cafile=str(gate.ca)) for gate in gates]
    said: Counter[int] = Counter()
    await asyncio.gather(
        *(until_served(gates[n % len(gates)], trusts[n % len(gates)], n, said, delay_ms) for n in range(CLIENTS))
    )
    return said


@pytest.mark.parametrize("gates", [pytest.param(1, marks=pytest.mark.heavy), 2])
@pytest.mark.parametrize(
    ("rate", "length_ms"),
    [
        pytest.param("100 per 3s", 3_000, id="three seconds"),
        pytest.param("100 per minute", 60_000, id="a minute", marks=[pytest.mark.heavy, pytest.mark.timeout(1800)]),
    ],
)
def test_no_stretch_has_more_than_the_rate_allows(
    standin: Standin, folder: Path, gates: int, rate: str, length_ms: int
) -> None:
    """500 clients ask at once and come again when they are told to: all are served in the end, and in no stretch of the rate's
    length, wherever it begins, has more than a hundred been admitted."""
    file = policy(folder, limit="$100,000", more=f"rates: [{{name: loop, per: person, requests: {rate}}}]\n")
    with ExitStack() as stack:
        running = [stack.enter_context(running_gate(folder, standin, file)) for _ in range(gates)]  # type: ignore[arg-type]  # port and CA are all it needs
        with contextlib.closing(sqlite3.connect(running[0].state / "ledger.db", timeout=30)) as ledger:
            ledger.executescript(SEEN)
        said = asyncio.run(all_of_them(running))
        rows = calls(running[0].state)
    with contextlib.closing(sqlite3.connect(running[0].state / "ledger.db")) as ledger:
        admitted = [at_ms for (at_ms,) in ledger.execute("SELECT at_ms FROM seen ORDER BY at_ms")]
    standin.stop()
    assert said[200] == len(admitted) == len(standin.served()) == CLIENTS
    assert said[429] == sum(row["state"] == "refused" for row in rows) > 0
    assert {(row["refused_why"], row["refused_by"]) for row in rows if row["state"] == "refused"} == {("rule", "loop")}
    for first, later in zip(admitted, admitted[100:], strict=False):
        assert later - first >= length_ms
    with Reader(running[0].state / "ledger.db") as reader:
        assert reader.check() == ()


@pytest.mark.parametrize("gates", [pytest.param(1, marks=pytest.mark.heavy), 2])
def test_parallel_8_is_never_9(standin: Standin, folder: Path, gates: int) -> None:
    """500 clients at once stand in line for eight places, over two gates for the same eight: all are served, and the provider
    never has nine of them at a time."""
    file = policy(folder, limit="$100,000", more="rates: [{name: loop, per: person, parallel: 8, wait: 10m}]\n")
    with ExitStack() as stack:
        running = [stack.enter_context(running_gate(folder, standin, file)) for _ in range(gates)]  # type: ignore[arg-type]  # port and CA are all it needs
        said = asyncio.run(all_of_them(running, delay_ms=60))
    standin.stop()
    served = standin.served()
    assert said == {200: CLIENTS}
    assert len(served) == CLIENTS
    # An end comes before a start of the same millisecond: a place is taken when it has come free.
    moments = sorted([(each["started_ms"], 1) for each in served] + [(each["ended_ms"], -1) for each in served])
    most = max(itertools.accumulate(step for _, step in moments))
    assert 4 < most <= 8
    with Reader(running[0].state / "ledger.db") as reader:
        assert reader.check() == ()
