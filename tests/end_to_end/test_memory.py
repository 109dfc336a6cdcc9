"""Show 8, memory over time: neither many calls nor many messages grow the gate (`test_size`: answers of a gigabyte, bombs)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2
import psutil
import pytest
import wsproto
from wsproto.events import AcceptConnection, Message, Request, TextMessage
from wsproto.extensions import PerMessageDeflate

from end_to_end.raw import trust
from end_to_end.world import Gate, Provider, calls, policy, running_gate, until
from spendgate.standin.script import Script

GROWTH_BYTES_MAX = 16 << 20
"""Between the end of the warm-up and the end: room for allocators and for SQLite's cache."""
GROWTH_BYTES_MAX_FULL = 8 << 20
"""The same where the warm-up has filled both: none for a call's remains (at 20,000 calls that would be 400 bytes each)."""
WARM_CALLS, CALLS = 20_000, 20_000
"""SQLite's caches and what the allocator keeps free between them grow by some 20 MiB over the first 20,000 calls, and by less
than 2 MiB over 28,000 more."""
AT_ONCE = 8
CALLS_A_CLIENT = 250
WARM_MESSAGES, MESSAGES = 1_000, 10_000


@pytest.mark.heavy
@pytest.mark.timeout(1_800)
def test_twenty_thousand_calls_leave_memory_flat(provider: Provider, folder: Path) -> None:
    """Resident memory after 40,000 calls, on connections old and new, is what it was after 20,000, and each has its row."""
    with running_gate(folder, provider, policy(folder)) as gate:
        asyncio.run(_calls(gate, WARM_CALLS))
        warm = _resident(gate)
        asyncio.run(_calls(gate, CALLS))
        grown = _resident(gate) - warm
        until(lambda: len(calls(gate.state)) == WARM_CALLS + CALLS)
        settled = gate.ended()
    print(f"resident {warm >> 20} MiB after {WARM_CALLS} calls, {grown / 2**20:+.1f} MiB after {CALLS} more")
    assert {row["state"] for row in settled} == {"settled"}
    assert grown < GROWTH_BYTES_MAX_FULL


@pytest.mark.heavy
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
def test_ten_thousand_messages_leave_memory_flat(provider: Provider, folder: Path, *, deflate: bool) -> None:
    """The same over one WebSocket whose response has 10,000 messages."""
    provider.set(Script(events=WARM_MESSAGES + MESSAGES, text="word " * 40_000))
    with running_gate(folder, provider, policy(folder)) as gate:
        warm, end = asyncio.run(_messages(gate, deflate=deflate))
        row = until(lambda: next((row for row in calls(gate.state) if row["state"] == "settled"), None))
    print(f"resident {warm >> 20} MiB after {WARM_MESSAGES} messages, {(end - warm) / 2**20:+.1f} MiB at the end")
    assert row["basis"] == "reported"
    assert end - warm < GROWTH_BYTES_MAX


def _resident(gate: Gate) -> int:
    """Bytes."""
    return int(psutil.Process(gate.process.pid).memory_info().rss)


async def _calls(gate: Gate, count: int) -> None:
    """So many calls, some at once, each client with connections of its own."""
    body = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
    context = trust(gate)

    async def some(http: httpx2.AsyncClient, count: int) -> None:
        for number in range(count):
            headers = {"x-api-key": "sk-ant-api03-made-up"}
            asked = {**body, "stream": number % 4 == 0}
            answer = await http.post("https://api.anthropic.com/v1/messages", json=asked, headers=headers)
            assert answer.status_code == 200

    for start in range(0, count, CALLS_A_CLIENT * AT_ONCE):
        async with httpx2.AsyncClient(proxy=gate.proxy, verify=context, timeout=120, http2=start % 4_000 == 0) as http:
            await asyncio.gather(*(some(http, CALLS_A_CLIENT) for _ in range(AT_ONCE)))


async def _messages(gate: Gate, *, deflate: bool) -> tuple[int, int]:
    """Resident bytes after the first messages of one response, and after the last."""
    reader, writer = await _secure(gate, "api.openai.com")
    wire = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    head = [(b"user-agent", b"codex_exec/0.169.0"), (b"authorization", b"Bearer sk-proj-made-up")]
    extensions = [PerMessageDeflate()] if deflate else []
    handshake = Request(host="api.openai.com", target="/v1/responses", extra_headers=head, extensions=extensions)
    writer.write(wire.send(handshake))
    count, warm, last = 0, 0, ""
    async for event in _events(wire, reader):
        if isinstance(event, AcceptConnection):
            create = {"type": "response.create", "model": "gpt-5", "input": "hello"}
            writer.write(wire.send(TextMessage(json.dumps(create))))
        elif isinstance(event, Message):
            last = (last + str(event.data)[:100])[:100]
            if event.message_finished:
                count += 1
                warm = warm or (_resident(gate) if count == WARM_MESSAGES else 0)
                if '"type": "response.completed"' in last:
                    break
                last = ""
    end = _resident(gate)
    writer.transport.abort()
    assert count > WARM_MESSAGES + MESSAGES
    return warm, end


async def _events(wire: wsproto.WSConnection, reader: asyncio.StreamReader):
    while data := await asyncio.wait_for(reader.read(65_536), 300):
        wire.receive_data(data)
        for event in wire.events():
            yield event


async def _secure(gate: Gate, host: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """TLS to a provider through the gate."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(f"CONNECT {host}:443 HTTP/1.1\r\nhost: {host}:443\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    await writer.start_tls(trust(gate), server_hostname=host)
    return reader, writer
