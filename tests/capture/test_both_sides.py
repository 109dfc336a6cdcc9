"""Both TLS handshakes at once: what a client says before its provider is there waits, is bounded, and passes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mitmproxy.proxy import events, tunnel
from mitmproxy.proxy.layers.http import _http2

from capture.proxies import PROVIDER, Gate, gate, origin, until
from capture.test_handler import MUCH, handlers, stalled
from load.client import Http2Client
from load.origin import Identity, Origin
from spendgate.capture import both_sides
from spendgate.capture.http_layer import MeteredHttpLayer

ONE_CALL = ["requestheaders", "request", "responseheaders", "response"]
"""What an addon sees of a call."""
RECORD = b"\x17\x03\x03\x40\x00" + bytes(0x4000)
"""Of TLS, with nothing in it."""


@dataclass
class Line:
    """A way to the origin that accepts connections and, until `open` is set, carries nothing."""

    origin: Origin
    port: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def identity(self) -> Identity | None:
        return self.origin.identity

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.open.wait()
        with contextlib.suppress(OSError):
            there, here = await asyncio.open_connection("127.0.0.1", self.origin.port)
            await asyncio.gather(_copy(reader, here), _copy(there, writer), return_exceptions=True)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
    finally:
        sink.close()


@asynccontextmanager
async def behind(tmp_path: Path, *offered: str, known: bool = True) -> AsyncIterator[tuple[Gate, Line]]:
    """A gate and its line, which is shut. `known`: after one call to the provider by a client that offered these."""
    async with origin(tmp_path) as server:
        line = Line(server)
        async with await asyncio.start_server(line.serve, "127.0.0.1", 0) as listening:
            line.port = listening.sockets[0].getsockname()[1]
            async with gate(tmp_path, line) as here:  # type: ignore[arg-type]  # a port and a CA are all that it needs
                if known:
                    line.open.set()
                    await called(here, *offered)
                    await until(lambda: not handlers())
                    line.open.clear()
                yield here, line


async def called(here: Gate, *offered: str) -> str:
    """One small call on a connection of its own: the protocol, or the status where it is not 200."""
    reader, writer = await here.secure(PROVIDER, *offered)
    try:
        spoken = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        if spoken == "h2":
            assert b"msg_1" in await Http2Client(reader, writer).ask(PROVIDER, "/small")
            return "h2"
        writer.write(f"GET /small HTTP/1.1\r\nHost: {PROVIDER}\r\n\r\n".encode())
        status = (await reader.readline()).split()[1].decode()
        return spoken if status == "200" else status
    except asyncio.CancelledError:
        writer.transport.abort()
        raise
    finally:
        writer.close()


@pytest.fixture
def held(monkeypatch) -> list[int]:
    """Bytes of clients that had to wait for a provider that was known, in pieces as they came."""
    pieces: list[int] = []
    theirs = both_sides.ClientTls._hold

    def noting(self, waiting, event):
        if isinstance(event, events.DataReceived) and event.connection == self.context.client:
            pieces.append(len(event.data))
        return theirs(self, waiting, event)

    monkeypatch.setattr(both_sides.ClientTls, "_hold", noting)
    return pieces


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
async def test_a_request_waits_for_its_provider(tmp_path, held, protocol):
    """The client's handshake waits for nobody; its request is shown to nobody until the provider is verified, then answered."""
    async with behind(tmp_path, protocol) as (here, line):
        asking = asyncio.create_task(called(here, protocol))
        await until(lambda: held)
        assert (here.seen.hooks, line.origin.requests) == (ONE_CALL, 1)
        line.open.set()
        assert (await asking, here.seen.hooks, line.origin.requests) == (protocol, ONE_CALL * 2, 2)


async def test_an_upload_before_the_provider_is_there_is_not_read(tmp_path, held):
    """A hundred megabytes stay with their client while the provider hangs, and all of them arrive in the end."""
    piece = bytes(range(256)) * 256
    async with behind(tmp_path, "http/1.1") as (here, line):
        reader, writer = await here.secure(PROVIDER, "http/1.1")
        count = 1 + MUCH // len(piece)
        head = f"POST /echo HTTP/1.1\r\nHost: {PROVIDER}\r\nContent-Length: {count * len(piece)}\r\n\r\n"

        async def send():
            writer.write(head.encode())
            for _ in range(count):
                writer.write(piece)
                await writer.drain()

        sending = asyncio.create_task(send())
        await until(lambda: sum(held) > both_sides.BEHIND_BYTES_MAX)
        assert await stalled(lambda: sum(held)) < both_sides.BEHIND_BYTES_MAX * 3
        assert not sending.done()
        line.open.set()
        await sending
        await reader.readuntil(b"\r\n\r\n")
        assert hashlib.sha256(piece * count).hexdigest().encode() in await reader.readuntil(b"}")
        writer.close()


async def test_a_flood_before_the_clients_own_handshake_is_not_read(tmp_path):
    """Where the provider's handshake comes first, what follows a hello is kept as little."""
    async with behind(tmp_path, known=False) as (here, line):
        _, writer = await here.tunnel(PROVIDER, 443)
        out = ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            here.client_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=PROVIDER).do_handshake()
        writer.write(out.read())
        sent = 0

        async def send():
            nonlocal sent
            while sent < MUCH:
                writer.write(RECORD)
                await writer.drain()
                sent += len(RECORD)

        sending = asyncio.create_task(send())
        await stalled(lambda: sent)
        assert not sending.done()
        line.open.set()
        with contextlib.suppress(ConnectionError):  # it is no handshake, and ends
            await sending
        writer.close()
        await until(lambda: not handlers())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(("h2", "http/1.1"), ("http/1.1",), id="no more HTTP/2"),
        pytest.param(("http/1.1",), ("h2", "http/1.1"), id="HTTP/2 since then"),
    ],
)
async def test_a_provider_that_chooses_another_protocol(tmp_path, before, after):
    """The client that was told the old one is answered in it; the next one is told the new one."""
    offered = ("h2", "http/1.1")
    async with origin(tmp_path, *before) as server, gate(tmp_path, server) as here:
        spoken = [await called(here, *offered)]
        await server.stop()
        server.protocols = after
        await server.start(server.port)
        spoken += [await called(here, *offered) for _ in range(2)]
        assert spoken == [before[0], before[0], after[0]]
        assert server.requests == 3


async def test_a_provider_whose_certificate_is_no_longer_right(tmp_path, held):
    """Nothing that the client said reaches it, and each call is answered 502, as where the provider was not known."""
    async with behind(tmp_path, "http/1.1") as (here, line):
        await line.origin.stop()
        line.origin.identity = Identity.make(tmp_path / "another", PROVIDER)
        await line.origin.start()
        asking = asyncio.create_task(called(here, "http/1.1"))
        await until(lambda: held)
        line.open.set()
        assert [await asking, await called(here, "http/1.1")] == ["502", "502"]
        assert (line.origin.requests, line.origin.seen[1:]) == (1, [])
        assert all("Certificate verify failed" in error for error in here.seen.errors)
        assert len(here.seen.errors) == 2


async def test_a_client_that_leaves_before_its_provider_is_there(tmp_path, held):
    """Its request is seen, so that it has a row; nothing reaches the provider, which is not taken for broken."""
    async with behind(tmp_path, "http/1.1") as (here, line):
        asking = asyncio.create_task(called(here, "http/1.1"))
        await until(lambda: held)
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        await until(lambda: not handlers())
        assert here.seen.hooks[len(ONE_CALL) :] == ["requestheaders", "error"]
        before = len(held)
        asking = asyncio.create_task(called(here, "http/1.1"))
        await until(lambda: len(held) > before)
        line.open.set()
        assert (await asking, line.origin.requests, here.gaps) == ("http/1.1", 2, [])


async def test_a_provider_whose_handshake_never_ends(tmp_path, held, monkeypatch):
    """The call is answered 502 when patience ends, and the next client waits with its own handshake for the provider's."""
    monkeypatch.setattr(both_sides, "PATIENCE_S", 0.2)
    async with behind(tmp_path, "http/1.1") as (here, line):
        assert await called(here, "http/1.1") == "502"
        assert here.seen.errors == [both_sides.TOO_LONG]
        before = len(held)
        asking = asyncio.create_task(called(here, "http/1.1"))
        line.open.set()
        assert await asking == "http/1.1"
        assert (len(held), line.origin.requests) == (before, 2)


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
async def test_a_new_connection_costs_what_it_needs(tmp_path, monkeypatch, protocol):
    """Our tickets come with the first answer, not in a record of their own; of HTTP/2 there is one machine for each side."""
    machines, sent = [], []
    theirs, interact = _http2.BufferedH2Connection.__init__, both_sides.JoiningTls.tls_interact

    def noting(self, *more):
        machines.append(self)
        theirs(self, *more)

    def telling(self):
        for command in interact(self):
            if command.connection == self.context.client:
                sent.append(self.tunnel_state)
            yield command

    async with (
        origin(tmp_path, protocol) as server,
        gate(tmp_path, server, http_layer=MeteredHttpLayer) as here,
    ):
        await called(here, protocol)
        monkeypatch.setattr(_http2.BufferedH2Connection, "__init__", noting)
        monkeypatch.setattr(both_sides.JoiningTls, "tls_interact", telling)
        assert await called(here, protocol) == protocol
        assert len(machines) == (2 if protocol == "h2" else 0)
        assert sent.count(tunnel.TunnelState.ESTABLISHING) == 1, "our hello with all that follows it"
