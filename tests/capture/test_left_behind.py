"""Connections that were decrypted for a host which the policy, changed since, captures no longer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2 as httpx
import pytest

from capture.rig import ANTHROPIC, HEADERS, OPENAI, URL, FakeRegistry, body, rig
from spendgate.capture.asked import LEFT_BEHIND
from spendgate.exchange import State


class Narrowed(FakeRegistry):
    """A policy that captures one provider less from some moment on."""

    dropped = ""

    def host(self, name: str) -> object | None:
        return None if name == self.dropped else super().host(name)


@pytest.mark.parametrize("named", [ANTHROPIC, OPENAI], ids=["its own name", "another provider's name"])
@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
async def test_nothing_more_passes_on_them(tmp_path: Path, http2: bool, named: str) -> None:
    """Neither unread nor as another provider's: the request has its row, and the connection ends; the next one is tunnelled."""
    registry = Narrowed()
    async with rig(tmp_path, registry=registry) as it, it.client(http2=http2) as client:
        before = await client.post(URL, json=body(), headers=HEADERS)
        registry.dropped = ANTHROPIC
        it.meter.policy_changed(registry)

        with pytest.raises(httpx.TransportError):
            await client.post(URL, json=body(), headers={**HEADERS, "host": named})

        await it.ended(1, seen=1)
        assert len(it.provider.log.billable()) == 1
        [seen] = it.gate.seen
        assert (seen.state, seen.host, seen.flags) == (State.FAILED, ANTHROPIC, (LEFT_BEHIND,))
        async with asyncio.timeout(10):
            while not before.extensions["network_stream"].get_extra_info("is_readable"):
                await asyncio.sleep(0.01)


async def test_what_still_runs_there_is_not_broken_off(tmp_path: Path) -> None:
    """Over HTTP/2 a stream that was let through goes on to its end, while a new one beside it goes nowhere."""
    registry = Narrowed()
    async with rig(tmp_path, registry=registry) as it, it.client(http2=True) as client:
        slow = {**HEADERS, "x-standin": "events=5; interval_ms=100"}
        async with client.stream("POST", URL, json=body(stream=True), headers=slow) as response:
            registry.dropped = ANTHROPIC
            it.meter.policy_changed(registry)
            with pytest.raises(httpx.TransportError):
                await client.post(URL, json=body(), headers=HEADERS)
            await response.aread()

        await it.ended(1, seen=1)
        [(_, reading, end)] = it.gate.settled
        assert end.complete and reading.parts[0].usage.output_tokens == 7
