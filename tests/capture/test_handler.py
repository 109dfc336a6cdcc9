"""Reading in the loop's callbacks keeps what mitmproxy's reading tasks keep, and is really in their place."""

import asyncio
import hashlib
from contextlib import asynccontextmanager

import pytest
from mitmproxy import ctx
from mitmproxy.proxy import commands, events

from capture.proxies import PROVIDER, gate, origin, until
from spendgate.capture.handler import OWED_BYTES_MAX, Handler

MUCH = 96 * 1024 * 1024
"""More than the sockets' buffers on all four sides together."""


def handlers() -> list[Handler]:
    return list(ctx.master.addons.get("proxyserver").connections.values())


@asynccontextmanager
async def tunnel_to(tmp_path, serve, **changes):
    """A tunnel through a gate to a server of ours, as its client's streams."""
    async with (
        await asyncio.start_server(serve, "127.0.0.1", 0) as server,
        origin(tmp_path) as unused,
        gate(tmp_path, unused, **changes) as here,
    ):
        yield await here.tunnel("127.0.0.1", server.sockets[0].getsockname()[1])


async def stalled(count) -> int:
    """What has been counted once it grows no more."""
    before = -1
    while before != count():
        before = count()
        await asyncio.sleep(0.5)
    return before


async def test_every_client_of_a_listener_gets_it(tmp_path):
    """mitmproxy makes its own handler; where it no longer can be replaced before it runs, this fails."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        _, writer = await here.secure(PROVIDER, "http/1.1")
        assert [type(handler) for handler in handlers()] == [Handler]
        assert len(handlers()[0]._readings) == 2
        writer.close()
        await until(lambda: not handlers())


@pytest.mark.parametrize("to_client", [True, False], ids=["a client that does not read", "a server that does not read"])
async def test_nothing_is_read_while_the_other_side_is_full(tmp_path, to_client):
    """What a slow reader has not taken stays with its sender, and all of it arrives in the end."""
    sent, piece, go, digest, got = 0, b"0123456789abcdef" * 4096, asyncio.Event(), hashlib.sha256(), asyncio.Event()

    async def send(writer):
        nonlocal sent
        while sent < MUCH:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
        writer.write_eof()

    async def take(reader):
        await go.wait()
        while data := await reader.read(1 << 20):
            digest.update(data)
        got.set()

    async def serve(reader, writer):
        await (send(writer) if to_client else take(reader))
        await got.wait()
        writer.close()

    async with tunnel_to(tmp_path, serve) as (reader, writer):
        here = asyncio.create_task(take(reader) if to_client else send(writer))
        assert 0 < await stalled(lambda: sent) < MUCH
        assert sum(reading.full for reading in handlers()[0]._readings) == 1
        go.set()
        await got.wait()
        await here
        writer.close()
    assert digest.digest() == hashlib.sha256(piece * (MUCH // len(piece))).digest()


async def test_a_server_that_takes_no_more_is_still_heard(tmp_path):
    """A server that refuses an upload in the middle of it and reads no more, as providers do: its answer arrives."""
    go, heard = asyncio.Event(), asyncio.Event()

    async def serve(reader, writer):
        writer.transport.pause_reading()
        await go.wait()
        writer.write(b"413")
        await heard.wait()
        writer.transport.abort()

    async with tunnel_to(tmp_path, serve) as (reader, writer):
        writer.write(b"x" * MUCH)
        await stalled(writer.transport.get_write_buffer_size)
        assert sum(held.full for held in handlers()[0]._readings) == 1
        go.set()
        async with asyncio.timeout(20):
            assert await reader.readexactly(3) == b"413"
        heard.set()
        writer.transport.abort()


async def test_a_server_that_answers_more_than_it_is_asked_does_not_stall(tmp_path):
    """It reads nothing while it sends, its client sends and reads at once, and every buffer between them is filled."""
    asked, answer = 4096, b"y" * 16 * 1024

    async def serve(reader, writer):
        for _ in range(asked):
            await reader.readexactly(1024)
            writer.write(answer)
            await writer.drain()
        writer.close()

    async with tunnel_to(tmp_path, serve) as (reader, writer):
        writer.write(b"z" * 1024 * asked)
        async with asyncio.timeout(60):
            await reader.readexactly(len(answer) * asked)
        writer.close()


async def test_a_flood_of_what_must_be_answered_is_not_read_on(tmp_path):
    """A client that takes nothing, and whose own bytes call forth others, is read no further than a bound."""

    class Echoes:
        def handle_event(self, event):
            if isinstance(event, events.DataReceived):
                yield commands.SendData(event.connection, event.data)

    async def serve(reader, writer):
        await reader.read()
        writer.close()

    async with tunnel_to(tmp_path, serve) as (_, writer):
        handler = handlers()[0]
        below, handler.layer = handler.layer, Echoes()
        [client] = [reading for reading in handler._readings if reading.connection is handler.client]
        writer.transport.pause_reading()
        writer.write(b"x" * MUCH)
        assert 0 < await stalled(writer.transport.get_write_buffer_size) < MUCH
        assert client.full
        assert client.owed > OWED_BYTES_MAX
        assert client.transport.get_write_buffer_size() < 2 * OWED_BYTES_MAX
        handler.layer = below
        writer.transport.abort()
        client.transport.abort()


async def test_a_client_that_is_gone_ends_its_exchange(tmp_path):
    """A reset in the middle of a stream: the error hook comes, and both connections end."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        reader, writer = await here.secure(PROVIDER, "http/1.1")
        writer.write(b"GET /events/100000/10 HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\n\n")
        writer.transport.abort()
        await until(lambda: "error" in here.seen.hooks and not handlers())


async def test_an_event_waits_for_the_one_before(tmp_path):
    """What happens while the layers are at an event comes after it, in its order; the layers are never entered twice."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        _, writer = await here.secure(PROVIDER, "http/1.1")
        handler, heard = handlers()[0], []

        class Says:
            def handle_event(self, event):
                heard.append(("begins", event))
                if event == "one":
                    handler.take("two")
                    asyncio.get_running_loop().create_task(handler.server_event("three"))
                yield from ()
                heard.append(("ends", event))

        below, handler.layer = handler.layer, Says()
        handler.take("one")
        handler.layer = below
        assert heard == [(when, event) for event in ("one", "two", "three") for when in ("begins", "ends")]
        handler.take(events.ConnectionClosed(handler.client))
        writer.close()
