"""No head reaches the provider before the ledger knows that it left: a killed gate's call that was served is never free."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from capture.rig import HEADERS, URL, FakeGate, body, rig
from capture.test_socket import talking

BLINKS = 20
"""Turns of the loop in which a head that nothing keeps back would long have arrived."""


async def _until(count: int, said: list[str]) -> None:
    async with asyncio.timeout(60):
        while len(said) < count:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
async def test_a_head_waits_for_a_busy_ledger(tmp_path: Path, http2: bool) -> None:
    """While the ledger has not written `sent`, the provider sees nothing of an admitted request; then it sees it once."""
    gate = FakeGate(ledger_free=asyncio.Event())
    async with rig(tmp_path, gate=gate) as it, it.client(http2=http2) as client:
        asked = asyncio.ensure_future(client.post(URL, json=body(), headers=HEADERS))
        await _until(1, gate.sent_ids)
        for _ in range(BLINKS):
            await asyncio.sleep(0.01)
        assert it.provider.log.served == []
        gate.ledger_free.set()
        assert (await asked).status_code == 200
        await it.ended()
    assert gate.noted_ids == gate.sent_ids
    assert len(it.provider.log.served) == 1


async def test_a_create_waits_for_a_busy_ledger(tmp_path: Path) -> None:
    """The same for each `response.create` over a WebSocket."""
    gate = FakeGate(ledger_free=asyncio.Event())
    async with rig(tmp_path, gate=gate) as it, talking(it) as client:
        await client.event()
        client.create()
        await _until(1, gate.sent_ids)
        for _ in range(BLINKS):
            await asyncio.sleep(0.01)
        assert it.provider.log.billable() == []
        gate.ledger_free.set()
        await client.until("response.completed")
        await it.ended()
    assert gate.noted_ids == gate.sent_ids
    assert len(it.provider.log.billable()) == 1
