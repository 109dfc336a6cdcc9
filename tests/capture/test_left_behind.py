"""Connections that were decrypted for a host which the policy, changed since, captures no longer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2 as httpx
import pytest
from wsproto.events import AcceptConnection, CloseConnection, TextMessage

from capture.rig import ANTHROPIC, HEADERS, OPENAI, URL, FakeGate, FakeRegistry, body, rig
from capture.test_socket import talking
from spendgate.capture.asked import LEFT_BEHIND
from spendgate.capture.socket import TRY_AGAIN
from spendgate.exchange import State
from spendgate.gate.interface import Intent, Refused


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


@pytest.mark.parametrize("runs", ["nothing", "an answer", "a call that waits"])
async def test_a_websocket_ends_with_what_runs_on_it(tmp_path: Path, runs: str) -> None:
    """Its client is told to connect anew: at once where nothing runs, else behind the answer, and nothing more of it passes."""
    registry, gate = Narrowed(), FakeGate(gap=asyncio.Event())
    async with rig(tmp_path, registry=registry, gate=gate) as it, talking(it) as client:
        assert gate.gap is not None and isinstance(await client.event(), AcceptConnection)
        if runs != "nothing":
            client.create()
        if runs == "an answer":
            gate.gap.set()
            await client.until("response.created")
        while len(gate.intents) < (runs != "nothing"):
            await asyncio.sleep(0.01)
        registry.dropped = OPENAI
        for _ in range(2):
            it.meter.policy_changed(registry)
        client.create(model="never")
        gate.gap.set()

        if runs != "nothing":
            await client.until("response.completed")
        closed = await client.event()
        while isinstance(closed, TextMessage):
            closed = await client.event()
        assert isinstance(closed, CloseConnection) and closed.code == TRY_AGAIN

        await it.ended(int(runs != "nothing"), seen=1)
        assert [served.model for served in it.provider.log.billable()] == ["gpt-5"] * (runs != "nothing")
        assert [(end.complete, reading.final) for _, reading, end in gate.settled] == [(True, True)] * (
            runs != "nothing"
        )
        [handshake] = gate.seen
        assert (handshake.state, handshake.flags) == (State.FREE, (LEFT_BEHIND,))


async def test_a_websocket_is_not_opened_once_its_host_is_dropped(tmp_path: Path) -> None:
    """Its handshake was let go by the policy before, and its answer comes under this one."""
    registry = Narrowed()

    class Dropping(FakeGate):
        async def spent(self, intent: Intent, *, writes: bool = True) -> Refused | None:
            registry.dropped = OPENAI
            return None

    async with rig(tmp_path, registry=registry, gate=Dropping()) as it:
        async with talking(it) as client:
            assert await asyncio.wait_for(client.reader.read(), 60) == b""
        await it.ended(0, seen=1)
        assert it.gate.seen[0].flags[0] == LEFT_BEHIND
