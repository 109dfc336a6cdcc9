"""Inputs without an end, and who may not connect: each is bounded, and closed with nobody else's connection touched."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace

import h2.config
import h2.connection
import h2.errors
import h2.events
import httpx2 as httpx
import psutil
import pytest
from mitmproxy import platform
from mitmproxy.test.tflow import tclient_conn

from capture.proxies import OTHER, PROVIDER, gate, origin, until
from capture.rig import ANTHROPIC, HEADERS, URL, body, rig
from spendgate.attribution import Peer
from spendgate.capture.health import call_canary
from spendgate.capture.http1 import HEAD_BYTES_MAX
from spendgate.capture.http2 import TAKEN_BACK_A_SECOND, TAKEN_BACK_MAX, ClientHttp2
from spendgate.capture.http_layer import MeteredHttpLayer
from spendgate.capture.places import TOO_MANY, Places
from spendgate.capture.scope import CANARY_HOST
from spendgate.identity.interface import Endpoints

CHUNKED = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "a line between chunks": b"5;" + b"x" * HEAD_BYTES_MAX,
    "trailers": b"0\r\n" + b"x: " + b"y" * HEAD_BYTES_MAX,
    "many trailers": b"0\r\n" + b"x: y\r\n" * (HEAD_BYTES_MAX // 6 + 9),
}
EMPTY_LINES = {"CRLF": b"\r\n" * (HEAD_BYTES_MAX // 2), "LF": b"\n" * HEAD_BYTES_MAX}


async def ended(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the other side closes or resets it."""
    said = b""
    try:
        async with asyncio.timeout(30):
            while part := await reader.read(65_536):
                said += part
    except ConnectionResetError:
        pass
    return said


@pytest.mark.parametrize("sent", ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("host", [PROVIDER, OTHER], ids=["provider", "bystander"])
async def test_what_has_no_end_between_chunks_is_closed(tmp_path, host, sent):
    """A client's lines were kept whole, however long: the gate's memory was any account's to fill."""
    async with origin(tmp_path, tls=False) as server, gate(tmp_path, server, http_layer=MeteredHttpLayer) as here:
        reader, writer = await asyncio.open_connection(*here.address)
        writer.write(CHUNKED % f"http://{host}/small".encode() + sent)
        writer.write(b"z" * 100)
        await ended(reader)
        writer.close()


@pytest.mark.parametrize("sent", ENDLESS.values(), ids=ENDLESS)
async def test_a_servers_answer_has_bounds_too(tmp_path, sent):
    """Any website's over plain http: no chunk's line and no trailer without end is kept for its client."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent + b"zz")
        await ended(reader)
        closed.set()
        writer.close()

    closed = asyncio.Event()
    async with origin(tmp_path, tls=False) as unused, await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        async with gate(tmp_path, unused, http_layer=MeteredHttpLayer) as here:
            reader, writer = await asyncio.open_connection(*here.address)
            writer.write(f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await ended(reader)
            await asyncio.wait_for(closed.wait(), 30)
            writer.close()


@pytest.mark.parametrize("sent", EMPTY_LINES.values(), ids=EMPTY_LINES)
async def test_empty_lines_have_an_end(tmp_path, sent):
    """Each of them cost a turn of the parser: 20 MiB kept the loop busy for half a minute."""
    async with origin(tmp_path) as server, gate(tmp_path, server, http_layer=MeteredHttpLayer) as here:
        reader, writer = await asyncio.open_connection(*here.address)
        writer.write(sent + b"\r\n\r\n")
        assert await ended(reader) == b""
        writer.close()


async def test_some_empty_lines_are_skipped(tmp_path):
    """In whatever pieces they come; the request behind them is answered (RFC 9112, 2.2)."""
    async with rig(tmp_path) as it:
        reader, writer = await it.tunnel()
        for piece in (b"\r", b"\n\r\n", b"\n" * 1000, b"\r\nGET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05)
        assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 200")
        writer.close()


# HTTP/2: requests that are taken back


async def test_requests_that_are_taken_back_have_an_end(tmp_path, monkeypatch):
    """Each makes room for the next: open streams bound nothing (CVE-2023-44487). 20,000 kept the gate busy for minutes."""
    monkeypatch.setattr(ClientHttp2, "clock", lambda: 0.0)
    async with rig(tmp_path) as it:
        it.trust.set_alpn_protocols(["h2"])
        reader, writer = await it.tunnel()
        wire = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        wire.initiate_connection()
        for stream_id in range(1, 2 * (TAKEN_BACK_MAX + 50), 2):
            wire.send_headers(stream_id, request_head("/v1/models"), end_stream=True)
            wire.reset_stream(stream_id, h2.errors.ErrorCodes.CANCEL)
        writer.write(wire.data_to_send())
        await ended(reader)
        await until(lambda: not it.meter._visitors)
        async with it.client() as client:
            assert (await client.post(URL, json=body(), headers=HEADERS)).status_code == 200
        writer.close()


def test_an_editor_may_take_back_as_fast_as_one_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with each letter, for hours; what is answered by then does not count."""
    made = ClientHttp2.__new__(ClientHttp2)
    now = [0.0]

    made.h2_conn = SimpleNamespace(streams={})  # type: ignore[assignment]  # all that it is asked
    monkeypatch.setattr(ClientHttp2, "clock", lambda: now[0])
    for second in range(600):
        now[0] = float(second)
        assert not any(made._too_many(1) for _ in range(TAKEN_BACK_A_SECOND))
    assert [made._too_many(1) for _ in range(TAKEN_BACK_MAX)][-1]


def request_head(path: str) -> list[tuple[str, str]]:
    return [(":method", "GET"), (":path", path), (":scheme", "https"), (":authority", ANTHROPIC)]


# Who connects


async def test_nobody_comes_to_the_transparent_port_by_himself(tmp_path, monkeypatch, caplog):
    """No rule led him here, as a web page at 127.0.0.1:8443: closed unread. It stayed open, and each told of a fault."""
    at: list[tuple[str, int]] = []
    monkeypatch.setattr(platform, "original_addr", lambda sock: at[0])
    async with origin(tmp_path) as server, gate(tmp_path, server, modes=("transparent",)) as here:
        at.append(here.address)
        for sent in (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"\x16\x03\x01" + b"\0" * 100, b""):
            reader, writer = await asyncio.open_connection(*here.address)
            writer.write(sent)
            assert await ended(reader) == b""
            writer.close()
        assert here.seen.hooks == []
    assert not [record for record in caplog.records if "failed" in record.getMessage()]


class Owners:
    """Each connection is the account's that the test names."""

    uid: int | None = 1000

    def owner(self, ends: Endpoints) -> Peer:
        return Peer(uid=self.uid)

    def process(self, peer: Peer, ends: Endpoints) -> Peer:
        return peer


def connects(places: Places):
    client = tclient_conn()
    client.error = None
    places.client_connected(client)
    return client


@pytest.mark.parametrize("first", [1000, None], ids=["an account", "accounts that are not known"])
def test_one_account_leaves_room_for_another(first: int | None, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, has room again as soon as it leaves some, and what was turned away takes none."""
    owners = Owners()
    places = Places(owners, 3)
    owners.uid = first
    held = [connects(places) for _ in range(3)]
    turned_away = [connects(places) for _ in range(5)]
    assert [client.error for client in held] == [None] * 3
    assert [client.error for client in turned_away] == [TOO_MANY] * 5
    owners.uid = 1001
    assert connects(places).error is None
    owners.uid = first
    for client in (*turned_away, held[0]):
        places.client_disconnected(client)
    assert [connects(places).error for _ in range(2)] == [None, TOO_MANY]
    assert len(caplog.records) == 1


async def test_the_canarys_end_keeps_nobody(tmp_path):
    """The socket at which canary calls end is every account's to connect to: each connection there cost the gate a file."""
    before = listening()
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        (port,) = listening() - before - {server.port, here.address[1]}
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()


def listening() -> set[int]:
    """The ports at which this process listens."""
    return {each.laddr.port for each in psutil.Process().net_connections("tcp") if each.status == psutil.CONN_LISTEN}


# Web pages

PAGES = {
    "another site": {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    "a rebound name": {"origin": "http://evil.example:8080"},
    "a frame that is shut in": {"origin": "null"},
    "a picture": {"sec-fetch-site": "cross-site"},
}


@pytest.mark.parametrize("fields", PAGES.values(), ids=PAGES)
async def test_no_page_learns_that_a_gate_is_here(tmp_path, fields):
    """Through a browser whose proxy is the gate a page could ask the canary, and so tell such machines from others."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        reader, writer = await here.secure(CANARY_HOST, "http/1.1")
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"GET / HTTP/1.1\r\nHost: {CANARY_HOST}\r\n{head}\r\n".encode())
        assert await ended(reader) == b""
        writer.close()
        assert await call_canary("regular", here.address, here.authority.pem.decode()) == here.listening.instance


async def test_a_person_may_open_the_canary(tmp_path):
    """An address that is typed: no page can say so."""
    async with origin(tmp_path) as server, gate(tmp_path, server) as here:
        reader, writer = await here.secure(CANARY_HOST, "http/1.1")
        writer.write(f"GET / HTTP/1.1\r\nHost: {CANARY_HOST}\r\nSec-Fetch-Site: none\r\n\r\n".encode())
        assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 200")
        writer.close()


@pytest.mark.parametrize("fields", PAGES.values(), ids=PAGES)
async def test_a_reverse_listener_is_no_websites(tmp_path, fields):
    """A page's call there took a person's rate and rows: 403 that it cannot read, a row that says so, nothing goes upstream."""
    async with rig(tmp_path, modes=(f"reverse:https://{ANTHROPIC}",)) as it:
        async with httpx.AsyncClient() as client:
            for host in (f"127.0.0.1:{it.port}", f"evil.example:{it.port}"):
                url = f"http://127.0.0.1:{it.port}/v1/messages"
                answer = await client.post(url, json=body(), headers={**HEADERS, **fields, "host": host})
                assert answer.status_code == 403
                assert not [name for name in answer.headers if name.startswith("access-control")]
        await it.ended(0, seen=2)
        assert it.provider.log.served == []
        assert it.gate.intents == []
        assert {seen.flags for seen in it.gate.seen} == {("asked by a web page",)}


@pytest.mark.parametrize(
    ("named", "status"),
    [
        pytest.param("evil.example", 403, id="a page's own name"),
        pytest.param("localhost", 200, id="localhost"),
        pytest.param("[::1]", 200, id="an address"),
        pytest.param("host.docker.internal", 200, id="from a container"),
        pytest.param(ANTHROPIC, 200, id="the upstream's own"),
        pytest.param(socket.gethostname(), 200, id="the machine's name"),
    ],
)
async def test_a_reverse_listener_answers_to_this_machines_names(tmp_path, named, status):
    """Over plain http a page whose name leads here says so in nothing but its host, and could read what it gets."""
    async with rig(tmp_path, modes=(f"reverse:https://{ANTHROPIC}",)) as it, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{it.port}/v1/messages"
        answer = await client.post(url, json=body(), headers={**HEADERS, "host": f"{named}:{it.port}"})
        assert answer.status_code == status
        assert len(it.provider.log.served) == (status == 200)


@pytest.mark.parametrize(
    "fields",
    [{}, {"origin": "http://localhost:3000"}, {"origin": "http://127.0.0.1:80"}, {"origin": "vscode-webview://x"}],
    ids=["a tool", "a page of here", "by address", "an editor's window"],
)
async def test_what_this_machine_runs_is_served(tmp_path, fields):
    """A chat page that somebody runs at home, an editor's panel."""
    async with rig(tmp_path, modes=(f"reverse:https://{ANTHROPIC}",)) as it, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{it.port}/v1/messages"
        assert (await client.post(url, json=body(), headers={**HEADERS, **fields})).status_code == 200
