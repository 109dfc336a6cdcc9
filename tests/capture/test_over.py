"""What an exchange made is gone with it: nothing of it waits for the garbage collector, which the loop would stand still for."""

from __future__ import annotations

import gc
from pathlib import Path

import httpx2 as httpx
import pytest

from capture.rig import HEADERS, URL, Rig, body, rig
from spendgate.capture.call import Call
from spendgate.capture.flow import MeteredFlow
from spendgate.capture.passage import Passage
from spendgate.capture.stream import MeteredHttpStream
from spendgate.capture.tap import Tap

_KINDS = (Call, MeteredFlow, MeteredHttpStream, Passage, Tap)
_ROUNDS = 8


def _there() -> dict[str, int]:
    """How many of each kind are in memory."""
    found = dict.fromkeys((kind.__name__ for kind in _KINDS), 0)
    for each in gc.get_objects():
        if type(each) in _KINDS:
            found[type(each).__name__] += 1
    return found


async def _calls(it: Rig, client: httpx.AsyncClient, *, stream: bool) -> None:
    for _ in range(_ROUNDS):
        answer = await client.post(URL, json=body(stream=stream), headers=HEADERS)
        assert answer.status_code == 200
    it.gate.intents.clear()  # which ask about their flows


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("http2", [False, True])
async def test_an_exchange_leaves_nothing_behind(tmp_path: Path, http2: bool, stream: bool) -> None:
    """Over one connection: the last is there until the next event comes, and all before it are gone without the collector."""
    async with rig(tmp_path) as it, it.client(http2=http2) as client:
        await _calls(it, client, stream=stream)
        gc.collect()
        gc.disable()
        try:
            before = _there()  # also of tests before this one
            await _calls(it, client, stream=stream)
            assert _there() == before
        finally:
            gc.enable()
        assert len(it.gate.settled) == 2 * _ROUNDS
