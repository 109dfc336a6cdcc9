"""Reading in the loop's callbacks keeps what mitmproxy's reading tasks keep, and is really in their place."""

import asyncio
import hashlib
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.events
import pytest
from mitmproxy import ctx
from mitmproxy.proxy import commands, events

from capture.proxies import PROVIDER, gate, origin, until
from capture.rig import HEADERS, URL, FakeRegistry, body, rig
from capture.test_answers import in_its_place
from spendgate.capture.handler import OWED_BYTES_MAX, Handler
from spendgate.capture.http_layer import MeteredHttpLayer

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
    asked, answer = 16_384, b"y" * 16 * 1024

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


async def test_what_waits_for_a_clients_windows_is_bounded(tmp_path):
    """An HTTP/2 client that opens no window: its server is not read on, and all of it arrives once it does open them."""
    much = 16 * 1024 * 1024
    wire = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
    wire.initiate_connection()
    head = [(":method", "GET"), (":scheme", "https"), (":authority", PROVIDER), (":path", f"/bytes/{much}")]
    wire.send_headers(1, head, end_stream=True)
    async with origin(tmp_path) as server, gate(tmp_path, server, http_layer=MeteredHttpLayer) as here:
        reader, writer = await here.secure(PROVIDER, "h2")
        writer.write(wire.data_to_send())
        [handler] = handlers()
        await until(lambda: handler._waited_for)
        assert handler._waited_for == {handler.client}
        assert all(held.transport.is_reading() is (held.connection is handler.client) for held in handler._readings)
        wire.increment_flow_control_window(2 * much)
        wire.increment_flow_control_window(2 * much, 1)
        got = 0
        async with asyncio.timeout(60):
            while got < much:
                writer.write(wire.data_to_send())
                heard = wire.receive_data(await reader.read(1 << 20))
                got += sum(len(event.data) for event in heard if isinstance(event, h2.events.DataReceived))
        assert not handler._waited_for
        assert all(held.transport.is_reading() for held in handler._readings)
        writer.close()


async def test_a_window_that_is_waited_for_is_forgotten_with_its_stream(tmp_path):
    """A client that resets the stream which it did not read goes on with others."""
    wire = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
    wire.initiate_connection()
    head = [(":method", "GET"), (":scheme", "https"), (":authority", PROVIDER)]
    wire.send_headers(1, [*head, (":path", "/bytes/16777216")], end_stream=True)
    async with origin(tmp_path) as server, gate(tmp_path, server, http_layer=MeteredHttpLayer) as here:
        _, writer = await here.secure(PROVIDER, "h2")
        writer.write(wire.data_to_send())
        [handler] = handlers()
        await until(lambda: handler._waited_for)
        wire.reset_stream(1)
        writer.write(wire.data_to_send())
        await until(lambda: not handler._waited_for)
        assert all(held.transport.is_reading() for held in handler._readings)
        writer.close()


async def test_what_waits_for_a_providers_windows_is_bounded(tmp_path):
    """An HTTP/2 provider that opens no window: its client is not read on, and all of it arrives once it does open them."""
    go, size, got = asyncio.Event(), 4 * 1024 * 1024, 0

    async def serve(reader, writer):
        nonlocal got
        wire = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
        wire.initiate_connection()
        writer.write(wire.data_to_send())
        while data := await reader.read(1 << 20):
            for event in wire.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    await until(lambda: handlers()[0]._waited_for)
                    [waited_for] = handlers()[0]._waited_for
                    held = {reading.connection: reading.transport for reading in handlers()[0]._readings}
                    assert held.pop(waited_for).is_reading()
                    assert not held.pop(handlers()[0].client).is_reading()
                    go.set()
                    wire.increment_flow_control_window(2 * size)
                    wire.increment_flow_control_window(2 * size, event.stream_id)
                elif isinstance(event, h2.events.DataReceived):
                    got += len(event.data)
                elif isinstance(event, h2.events.StreamEnded):
                    wire.send_headers(event.stream_id, [(":status", "204")], end_stream=True)
            writer.write(wire.data_to_send())

    registry = FakeRegistry(body_bytes_max=2 * size)
    async with rig(tmp_path, registry=registry) as it, in_its_place(it, serve), it.client(http2=True) as client:
        answer = await client.post(URL, json=body(size=size), headers=HEADERS)
        assert answer.status_code == 204
        assert not handlers()[0]._waited_for
    assert go.is_set()
    assert got > size


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
