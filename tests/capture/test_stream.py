"""What the metered stream adds to mitmproxy's: first message, early answer, and closed ways round the meter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mitmproxy import http

from capture.rig import ANTHROPIC, HEADERS, URL, body, rig
from spendgate.capture.first_message import FirstMessage
from spendgate.capture.flow import MeteredFlow
from spendgate.capture.http1 import HEAD_BYTES_MAX


class Streamer:
    """An addon that streams requests and decides on their first message."""

    def __init__(self, refuse: bool) -> None:
        self.refuse = refuse
        self.firsts: list[bytes] = []
        self.ends: list[str] = []

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        assert isinstance(flow, MeteredFlow)
        flow.request.stream = True
        flow.first = FirstMessage(complete=lambda data: b"\n" in data, bytes_max=100)

    async def first_message(self, flow: MeteredFlow) -> None:
        await asyncio.sleep(0.01)
        assert flow.first is not None
        self.firsts.append(flow.first.body)
        if self.refuse:
            flow.response = http.Response.make(429, b"no")

    def response(self, flow: http.HTTPFlow) -> None:
        self.ends.append("response")

    def error(self, flow: http.HTTPFlow) -> None:
        self.ends.append("error")


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
async def test_an_open_request_is_decided_on_its_first_message(tmp_path: Path, http2: bool) -> None:
    """The hook is awaited before the head goes upstream; then everything goes, in order, as it comes."""
    more = asyncio.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield b"first "
        yield b"message\n"
        await more.wait()
        yield b"second"

    addon = Streamer(refuse=False)
    async with rig(tmp_path, addon=addon) as it, it.client(http2=http2) as client:
        asked = asyncio.ensure_future(client.post(f"https://{ANTHROPIC}/v1/echo", content=parts(), headers=HEADERS))
        async with asyncio.timeout(60):
            while not addon.firsts:
                await asyncio.sleep(0.01)
        assert addon.firsts == [b"first message\n"]
        more.set()
        assert (await asked).status_code == 404
        assert it.provider.log.served[0].request_bytes == len(b"first message\nsecond")
        assert addon.ends == ["response"]


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
async def test_an_open_request_can_be_refused(tmp_path: Path, http2: bool) -> None:
    """The answer comes while the body is still open, and nothing has gone upstream."""
    never = asyncio.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield b"x" * 200
        async with asyncio.timeout(5):
            await never.wait()

    addon = Streamer(refuse=True)
    async with rig(tmp_path, addon=addon) as it:
        if http2:
            async with it.client(http2=True) as client:
                asked = asyncio.ensure_future(client.post(URL, content=parts(), headers=HEADERS))
                async with asyncio.timeout(60):
                    while not addon.ends:
                        await asyncio.sleep(0.01)
                asked.cancel()
                await asyncio.gather(asked, return_exceptions=True)
        else:
            reader, writer = await it.tunnel()
            writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: api.anthropic.com\r\ntransfer-encoding: chunked\r\n\r\n")
            writer.write(b"c8\r\n" + b"x" * 200 + b"\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
            assert head.startswith(b"HTTP/1.1 429 ")
            assert b"connection: close" in head.lower()
            writer.close()
        assert addon.ends == ["response"]
        assert addon.firsts == [b"x" * 200]
        assert it.provider.log.served == []


async def test_a_short_open_request_is_decided_at_its_end(tmp_path: Path) -> None:
    """A body that ends before its first message is complete is still asked about, once."""
    addon = Streamer(refuse=False)
    async with rig(tmp_path, addon=addon) as it, it.client() as client:
        await client.post(f"https://{ANTHROPIC}/v1/echo", content=b"short", headers=HEADERS)
        assert addon.firsts == [b"short"]
        assert it.provider.log.served[0].request_bytes == 5


async def test_a_request_head_is_bounded(tmp_path: Path) -> None:
    """A head without an end closes the connection; mitmproxy alone would keep all of it."""
    async with rig(tmp_path) as it:
        reader, writer = await it.tunnel()
        writer.write(b"POST /v1/messages HTTP/1.1\r\nx: " + b"y" * (HEAD_BYTES_MAX + 1))
        assert await asyncio.wait_for(reader.read(), 60) == b""
        assert it.provider.log.served == []
        writer.close()


@pytest.mark.parametrize(
    "start",
    [b"\r\n\r\n", b"", b"\n"],
    ids=["leading CRLF", "one letter first", "leading LF"],
)
async def test_odd_first_bytes_do_not_pass_the_meter(tmp_path: Path, start: bytes) -> None:
    """However a request begins on a provider's connection, it is metered or it is closed; never relayed unread."""
    async with rig(tmp_path) as it:
        reader, writer = await it.tunnel()
        writer.write(start)
        writer.write(b"P")
        await writer.drain()
        await asyncio.sleep(0.05)
        payload = b'{"model":"claude-sonnet-4-5","max_tokens":5,"messages":[]}'
        writer.write(b"OST /v1/messages HTTP/1.1\r\nhost: api.anthropic.com\r\n")
        writer.write(b"content-length: %d\r\nconnection: close\r\n\r\n" % len(payload) + payload)
        await asyncio.wait_for(reader.read(), 60)
        assert len(it.provider.log.billable()) == len(it.gate.settled)
        writer.close()


async def test_another_protocol_after_101_is_closed(tmp_path: Path) -> None:
    """An upgrade that is no WebSocket would go on as raw TCP, past the meter; it is closed."""

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n")
        heard.append(await reader.read(100))
        writer.close()

    heard: list[bytes] = []
    async with rig(tmp_path) as it:
        port, identity = it.provider.port, it.provider._tls
        await it.provider.stop()
        server = await asyncio.start_server(upgrade, "127.0.0.1", port, ssl=identity)
        async with server:
            reader, writer = await it.tunnel()
            writer.write(
                b"GET /v1/messages HTTP/1.1\r\nhost: api.anthropic.com\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"
            )
            writer.write(b"secret way round")
            assert b"secret" not in await asyncio.wait_for(reader.read(), 60)
            writer.close()
        assert heard == [b""]


async def test_replayed_flows_are_not_metered(tmp_path: Path) -> None:
    """A flow that did not come from a client's stream is not let through to a provider, and not asked about."""
    async with rig(tmp_path) as it:
        from mitmproxy.test import tflow

        flow = tflow.tflow()
        flow.request.host = ANTHROPIC
        flow.live = True
        it.meter.requestheaders(flow)
        assert flow.error is not None
        await it.meter.request(flow)
        assert it.gate.intents == []


async def test_pipelined_requests_are_each_metered(tmp_path: Path) -> None:
    """Two requests in one write are two calls."""
    import json

    payload = json.dumps(body()).encode()
    request = (
        b"POST /v1/messages HTTP/1.1\r\nhost: api.anthropic.com\r\ncontent-length: %d\r\n\r\n" % len(payload) + payload
    )
    async with rig(tmp_path) as it:
        _, writer = await it.tunnel()
        writer.write(request + request)
        await it.ended(2)
        assert len({call_id for call_id, _, _ in it.gate.settled}) == 2
        writer.close()
