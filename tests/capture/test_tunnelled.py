"""The short way through a CONNECT tunnel is taken, and nothing that goes it is lost."""

import asyncio

import pytest

from capture.proxies import PROVIDER, gate, origin, until
from capture.test_handler import handlers, tunnel_to
from spendgate.capture.http_layer import MeteredHttpLayer
from spendgate.capture.tunnelled import TunnellingHttpLayer


def outermost() -> TunnellingHttpLayer:
    layers = handlers()[0].layer.context.layers
    return next(layer for layer in layers if isinstance(layer, TunnellingHttpLayer))


@pytest.mark.parametrize("alpn", ["http/1.1", "h2"])
async def test_the_layers_in_a_tunnel_are_asked_directly(tmp_path, alpn):
    """Once CONNECT is answered. What was asked before the tunnel stood leaves nothing behind."""
    async with origin(tmp_path) as server, gate(tmp_path, server, http_layer=MeteredHttpLayer) as here:
        _, writer = await here.secure(PROVIDER, alpn)
        assert outermost()._inside is not None
        assert not outermost().command_sources
        writer.close()


async def test_requests_to_a_proxy_go_the_long_way(tmp_path):
    """A plain request that names its host whole opens no tunnel, so no layer steps aside."""
    async with origin(tmp_path, tls=False) as server, gate(tmp_path, server, http_layer=MeteredHttpLayer) as here:
        reader, writer = await asyncio.open_connection(*here.address)
        for _ in range(2):
            writer.write(f"GET http://127.0.0.1:{server.port}/small HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
            assert outermost()._inside is None
        writer.close()


async def test_bytes_right_behind_connect_arrive(tmp_path):
    """A client need not wait for the answer to its CONNECT; and what the server still sends before it closes arrives."""

    async def serve(reader, writer):
        writer.write((await reader.readexactly(4))[::-1])
        writer.close()

    async with (
        await asyncio.start_server(serve, "127.0.0.1", 0) as server,
        origin(tmp_path) as unused,
        gate(tmp_path, unused, http_layer=MeteredHttpLayer) as here,
    ):
        name = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        reader, writer = await asyncio.open_connection(*here.address)
        writer.write(f"CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n\r\nping".encode())
        assert (await reader.read()).endswith(b"\r\n\r\ngnip")
        writer.close()


async def test_a_server_hears_the_end_of_what_its_client_sent(tmp_path):
    """And when it answers that with its own end, so does the client."""
    heard: list[bytes] = []

    async def serve(reader, writer):
        heard.append(await reader.read())
        writer.close()

    async with tunnel_to(tmp_path, serve, http_layer=MeteredHttpLayer) as (reader, writer):
        writer.write(b"all")
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
    assert heard == [b"all"]


@pytest.mark.parametrize("client_first", [True, False], ids=["the client", "the server"])
async def test_who_has_ended_its_half_still_gets_the_other(tmp_path, client_first):
    """A one-shot protocol: all is sent and ended, then all is answered. More than any buffer between holds, both ways."""
    much, heard = b"0123456789abcdef" * 65536 * 8, []

    async def first(reader, writer):
        writer.write(much)
        writer.write_eof()
        heard.append(await reader.read())
        writer.close()

    async def second(reader, writer):
        heard.append(await reader.read())
        writer.write(much)
        await writer.drain()
        writer.close()

    here, there = (first, second) if client_first else (second, first)
    async with tunnel_to(tmp_path, there, http_layer=MeteredHttpLayer) as (reader, writer):
        await here(reader, writer)
        await until(lambda: not handlers())
    assert [len(all_of_it) for all_of_it in heard] == [len(much)] * 2
