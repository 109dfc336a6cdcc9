"""Answers that are more than a head and a body, and bytes that are no request, on a running proxy before a scripted server."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h11
import pytest

from capture.rig import ANTHROPIC, HEADERS, FakeGate, Rig, body, refused, rig
from spendgate.capture.coverage import Gap
from spendgate.capture.http1 import HEAD_BYTES_MAX
from spendgate.exchange import State

ANSWER = json.dumps({"id": "msg_1", "model": "m", "usage": {"input_tokens": 12, "output_tokens": 7}}).encode()
CHUNKED = b"%x\r\n%s\r\n" % (len(ANSWER), ANSWER)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
TRAILED = (
    HEAD
    + b"transfer-encoding: chunked\r\ntrailer: x-checksum, X-Late\r\n\r\n"
    + CHUNKED
    + b"0\r\nx-checksum: abc\r\nX-Late: yes\r\n\r\n"
)
PLAIN = HEAD + b"content-length: %d\r\n\r\n" % len(ANSWER) + ANSWER
HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def in_its_place(it: Rig, serve: Serve) -> AsyncIterator[None]:
    """A server of the test's own where the stand-in was."""
    port, identity = it.provider.port, it.provider._tls
    await it.provider.stop()
    running: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await serve(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", port, ssl=identity)
    try:
        yield
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.sleep(0.05)  # what was aborted is closed by the loop's next turns


def saying(*parts: bytes, heard: list[bytes] | None = None) -> Serve:
    """A server that reads requests with a length or chunks, and answers each with these parts, one write each."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"transfer-encoding: chunked" in head.lower():
                    rest = await reader.readuntil(b"\r\n0\r\n")
                    line = b""
                    while line != b"\r\n":
                        line = await reader.readline()
                        rest += line
                else:
                    length = next(
                        (int(line[15:]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0
                    )
                    rest = await reader.readexactly(length)
                if heard is not None:
                    heard.append(head + rest)
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.01)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has left

    return serve


def request(payload: bytes = b"", *, method: bytes = b"POST", path: bytes = b"/v1/messages") -> bytes:
    """A request in one write."""
    length = b"content-length: %d\r\n" % len(payload) if payload else b""
    return method + b" " + path + b" HTTP/1.1\r\nhost: api.anthropic.com\r\n" + length + b"\r\n" + payload


def _fed(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    return reader


async def answer(reader: asyncio.StreamReader) -> list[tuple[object, ...]]:
    """One answer: its heads, its whole body, its trailers, as a client reads them."""
    wire = h11.Connection(h11.CLIENT)
    wire.send(h11.Request(method="POST", target="/", headers=[("host", "a")]))
    wire.send(h11.EndOfMessage())
    found: list[tuple[object, ...]] = []
    content = b""
    async with asyncio.timeout(60):
        while True:
            event = wire.next_event()
            if event is h11.NEED_DATA:
                wire.receive_data(await reader.read(1))
            elif isinstance(event, h11.Data):
                content += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return [*found, (content, event.headers.raw_items())]
            else:
                assert isinstance(event, h11.InformationalResponse | h11.Response)
                found.append((event.status_code, event.headers.raw_items()))


async def leave(writer: asyncio.StreamWriter) -> None:
    """Close a client's connection, whoever was first."""
    writer.close()
    try:
        await writer.wait_closed()
    except (ConnectionError, ssl.SSLError):
        pass  # the gate was first


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def rows(it: Rig) -> int:
    """Exchanges that have a row."""
    return len(it.gate.settled) + len(it.gate.seen)


PAYLOAD = json.dumps(body()).encode()


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((TRAILED,), id="trailers in one write"),
        pytest.param(tuple(TRAILED[n : n + 1] for n in range(len(TRAILED))), id="trailers in single bytes"),
        pytest.param((HINTS + PLAIN,), id="103 with the answer"),
        pytest.param((HINTS, PLAIN), id="103, then the answer"),
        pytest.param((HINTS * 3 + PLAIN,), id="three 103"),
        pytest.param((b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN,), id="100 nobody asked for"),
    ],
)
async def test_http1_answers_are_untouched(tmp_path: Path, parts: tuple[bytes, ...]) -> None:
    """Heads, body and trailers are what the provider sent, twice on one connection; each exchange has one row."""
    async with rig(tmp_path) as it, in_its_place(it, saying(*parts)):
        reader, writer = await it.tunnel()
        for number in (1, 2):
            writer.write(request(PAYLOAD))
            assert await answer(reader) == await answer(_fed(b"".join(parts)))
            await it.ended(number)
        await leave(writer)
        assert rows(it) == 2
        for _, reading, end in it.gate.settled:
            assert (end.complete, end.http_status, end.error, end.response_bytes) == (True, 200, None, len(ANSWER))
            assert reading.parts[0].usage.output_tokens == 7


@pytest.mark.parametrize(
    ("method", "head", "status"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n", 200),
        (b"HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 200),
        (b"DELETE", b"HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n", 204),
        (b"GET", b'HTTP/1.1 304 Not Modified\r\netag: "a"\r\ncontent-length: 5000\r\n\r\n', 304),
        (b"GET", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200),
        (b"POST", b"HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n", 204),
    ],
    ids=["HEAD with length", "HEAD chunked", "204", "304 with length", "empty 200", "204 to a billable call"],
)
async def test_answers_without_a_body_end_with_their_head(
    tmp_path: Path, method: bytes, head: bytes, status: int
) -> None:
    """Where HTTP says that no body follows, the head goes out as it came, has one row, and the connection goes on."""
    path = b"/v1/messages" if method == b"POST" else b"/v1/nobody/knows"
    async with rig(tmp_path) as it, in_its_place(it, saying(head)):
        reader, writer = await it.tunnel()
        for number in (1, 2):
            writer.write(request(PAYLOAD if method == b"POST" else b"", method=method, path=path))
            assert await asyncio.wait_for(reader.readexactly(len(head)), 60) == head
            await until(lambda number=number: rows(it) == number)
        await leave(writer)
        ends = [end for _, _, end in it.gate.settled] + [seen.end for seen in it.gate.seen]
        assert [(end.http_status, end.complete, end.response_bytes) for end in ends] == [(status, True, 0)] * 2


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("DELETE", 204), ("GET", 304)], ids=["HEAD", "204", "304"]
)
async def test_http2_answers_without_a_body(tmp_path: Path, method: str, status: int) -> None:
    """The same over HTTP/2: status, headers, no body, one row each."""
    serve = h2_server([(":status", str(status)), ("etag", '"a"')], (), ())
    async with rig(tmp_path) as it, in_its_place(it, serve), it.client(http2=True) as client:
        for number in (1, 2):
            response = await client.request(method, f"https://{ANTHROPIC}/v1/nobody/knows", headers=HEADERS)
            assert (response.status_code, response.content, response.headers["etag"]) == (status, b"", '"a"')
            await until(lambda number=number: rows(it) == number)
        assert [(seen.end.http_status, seen.end.complete) for seen in it.gate.seen] == [(status, True)] * 2


async def test_http2_trailers_and_hints(tmp_path: Path) -> None:
    """Over HTTP/2 trailers arrive after the body, a 103 before the answer changes nothing, and there is one row."""
    serve = h2_server([(":status", "200"), ("content-type", "application/json")], (ANSWER,), (("x-checksum", "abc"),))
    async with rig(tmp_path) as it, in_its_place(it, serve):
        events = await h2_ask(it, PAYLOAD)
        kinds = [type(event) for event in events]
        [answer] = [event for event in events if isinstance(event, h2.events.ResponseReceived)]
        assert dict(answer.headers)[b":status"] == b"200"
        data = b"".join(event.data for event in events if isinstance(event, h2.events.DataReceived))
        assert data == ANSWER
        [trailers] = [event for event in events if isinstance(event, h2.events.TrailersReceived)]
        assert trailers.headers == [(b"x-checksum", b"abc")]
        assert kinds.index(h2.events.TrailersReceived) > kinds.index(h2.events.DataReceived)
        await it.ended()
        assert rows(it) == 1
        assert it.gate.settled[0][1].parts[0].usage.output_tokens == 7


async def test_trailers_of_a_request_go_upstream(tmp_path: Path) -> None:
    """A chunked request with trailers is metered and arrives with them."""
    got: list[bytes] = []
    chunked = b"%x\r\n%s\r\n0\r\nx-digest: abc\r\n\r\n" % (len(PAYLOAD), PAYLOAD)
    async with rig(tmp_path) as it, in_its_place(it, saying(PLAIN, heard=got)):
        reader, writer = await it.tunnel()
        head = b"POST /v1/messages HTTP/1.1\r\nhost: api.anthropic.com\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head + chunked)
        assert await asyncio.wait_for(reader.readexactly(len(PLAIN)), 60) == PLAIN
        await leave(writer)
        assert got == [head + chunked]
        await it.ended()
        assert it.gate.intents[0].ask.model == body()["model"]


async def test_a_providers_head_is_bounded(tmp_path: Path) -> None:
    """A head without an end is broken off, answered with 502, and charged as sent."""
    async with rig(tmp_path) as it, in_its_place(it, saying(HEAD + b"x: " + b"y" * (HEAD_BYTES_MAX + 1))):
        reader, writer = await it.tunnel()
        writer.write(request(PAYLOAD))
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).startswith(b"HTTP/1.1 502 ")
        await it.ended()
        [(_, _, end)] = it.gate.settled
        assert (end.sent, end.complete, end.error) == (True, False, "server")
        await leave(writer)


async def test_an_error_names_nobody(tmp_path: Path) -> None:
    """A provider that hangs up is answered with 502 over both protocols, and no head says what stands between."""
    async with rig(tmp_path) as it, in_its_place(it, hanging_up):
        reader, writer = await it.tunnel()
        writer.write(request(PAYLOAD))
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).lower()
        assert head.startswith(b"http/1.1 502 ")
        assert b"server:" not in head
        await leave(writer)
        [answer] = [event for event in await h2_ask(it, PAYLOAD) if isinstance(event, h2.events.ResponseReceived)]
        assert answer.headers == [(b":status", b"502"), (b"content-type", b"text/html")]


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"\x16\x03\x01\x00\x00\r\n\r\n", id="not a request"),
        pytest.param(b"{}{}{}\r\n\r\n", id="a body too many"),
        pytest.param(b"\x00\x01\x02", id="a beginning without an end"),
        pytest.param(b"GET / HTTP/1.1\r\nx: " + b"y" * (HEAD_BYTES_MAX + 1), id="a head too long"),
    ],
)
async def test_garbage_after_a_request_is_closed_and_counted(tmp_path: Path, garbage: bytes) -> None:
    """Bytes that are no request reach nobody: the connection ends, and coverage tells of it although it had requests."""
    got: list[bytes] = []
    async with rig(tmp_path) as it, in_its_place(it, saying(PLAIN, heard=got)):
        reader, writer = await it.tunnel()
        writer.write(request(PAYLOAD))
        await asyncio.wait_for(reader.readexactly(len(PLAIN)), 60)
        writer.write(garbage)
        if len(garbage) < 5:
            await leave(writer)
        else:
            await asyncio.wait_for(reader.read(), 60)
            await leave(writer)
        await until(lambda: it.gaps)
        assert [(gap.host, gap.gap) for gap in it.gaps] == [(ANTHROPIC, Gap.NOT_HTTP)]
        assert got == [request(PAYLOAD)]
        assert rows(it) == 1


async def test_http2_garbage_after_a_request_is_closed_and_counted(tmp_path: Path) -> None:
    """A frame that may not be ends the connection and is counted too."""
    serve = h2_server([(":status", "200"), ("content-type", "application/json")], (ANSWER,), ())
    async with rig(tmp_path) as it, in_its_place(it, serve):
        await h2_ask(it, PAYLOAD, then=b"\0\0\1\0\0\0\0\0\0x")
        await until(lambda: it.gaps)
        assert [(gap.host, gap.gap) for gap in it.gaps] == [(ANTHROPIC, Gap.NOT_HTTP)]
        assert rows(it) == 1


async def test_a_request_of_contradictory_length_has_a_row(tmp_path: Path) -> None:
    """A head that parses and a length that does not: refused with 400, nothing sent, a failed row."""
    async with rig(tmp_path) as it:
        reader, writer = await it.tunnel()
        writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: api.anthropic.com\r\ncontent-length: many\r\n\r\n")
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).startswith(b"HTTP/1.1 400 ")
        await until(lambda: it.gate.seen)
        assert [seen.state for seen in it.gate.seen] == [State.FAILED]
        assert it.provider.log.served == []
        await leave(writer)


@pytest.mark.parametrize(
    "field",
    [
        b"x: a\rtransfer-encoding: chunked",
        b"x: a\r content-length: 0",
        b"x: a\0b",
        b"x: a\r\n content-length: 0",
        b"x: a\n b",
    ],
    ids=["CR", "CR and a space", "NUL", "folded", "folded by LF"],
)
async def test_a_field_that_others_may_read_as_two_goes_nowhere(tmp_path: Path, field: bytes) -> None:
    """mitmproxy passes such a field on as it came, and a provider may find another length in it, or a second request."""
    async with rig(tmp_path) as it:
        reader, writer = await it.tunnel()
        sent = json.dumps(body()).encode()
        head = b"POST /v1/messages HTTP/1.1\r\nhost: %s\r\n%s\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % (ANTHROPIC.encode(), field, len(sent)) + sent)
        assert (await reader.readuntil(b"\r\n")).split()[1] == b"400"
        await it.ended(0, seen=1)
        writer.transport.abort()
        assert it.provider.log.served == [] and it.gate.intents == []
        [seen] = it.gate.seen
        assert (seen.state, seen.flags) == (State.FAILED, ("a field with a line break",))


@pytest.mark.parametrize("websocket", [False, True], ids=["a call", "a handshake"])
async def test_a_refusal_leaves_in_one_write(tmp_path: Path, websocket: bool) -> None:
    """Head and body of the gate's own answer are one TLS record: a client that reads once has the text."""
    gate = FakeGate(answer=refused, broke=True)
    async with rig(tmp_path, gate=gate) as it:
        reader, writer = await it.tunnel("api.openai.com" if websocket else ANTHROPIC)
        if websocket:
            writer.write(
                b"GET /v1/responses HTTP/1.1\r\nhost: api.openai.com\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
                b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
        else:
            writer.write(request(PAYLOAD))
        first = await asyncio.wait_for(reader.read(16_384), 60)
        assert first.startswith(b"HTTP/1.1 429 ")
        assert b"Budget person/day is spent" in first
        await leave(writer)


async def hanging_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that ends the connection when it has heard a request, over either protocol."""
    secured = writer.get_extra_info("ssl_object")
    if secured.selected_alpn_protocol() == "h2":
        wire = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        wire.initiate_connection()
        writer.write(wire.data_to_send())
        while not any(
            isinstance(event, h2.events.StreamEnded) for event in wire.receive_data(await reader.read(65536))
        ):
            writer.write(wire.data_to_send())
    else:
        await reader.readuntil(b"\r\n\r\n")


def h2_server(head: list[tuple[str, str]], parts: tuple[bytes, ...], trailers: tuple[tuple[str, str], ...]) -> Serve:
    """An HTTP/2 server that answers each request with a 103, then this."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        wire.initiate_connection()
        writer.write(wire.data_to_send())
        while data := await reader.read(65536):
            for event in wire.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    number = event.stream_id
                    wire.send_headers(number, [(":status", "103"), ("link", "</style.css>")])
                    wire.send_headers(number, head, end_stream=not parts)
                    for place, part in enumerate(parts, 1):
                        wire.send_data(number, part, end_stream=place == len(parts) and not trailers)
                    if trailers:
                        wire.send_headers(number, trailers, end_stream=True)
            writer.write(wire.data_to_send())

    return serve


async def h2_ask(it: Rig, payload: bytes, then: bytes = b"") -> list[h2.events.Event]:
    """The events of one answer over HTTP/2, and of what follows `then`, until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
    writer.write(f"CONNECT {ANTHROPIC}:443 HTTP/1.1\r\nhost: {ANTHROPIC}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    it.trust.set_alpn_protocols(["h2"])
    await writer.start_tls(it.trust, server_hostname=ANTHROPIC)
    wire = h2.connection.H2Connection()
    wire.initiate_connection()
    head = [(":method", "POST"), (":scheme", "https"), (":authority", ANTHROPIC), (":path", "/v1/messages")]
    wire.send_headers(1, [*head, *HEADERS.items()])
    wire.send_data(1, payload, end_stream=True)
    writer.write(wire.data_to_send())
    events: list[h2.events.Event] = []
    async with asyncio.timeout(60):
        while not any(isinstance(event, h2.events.StreamEnded) for event in events):
            events += wire.receive_data(await reader.read(65536))
            writer.write(wire.data_to_send())
        if then:
            writer.write(then)
            while await reader.read(65536):
                pass
    await leave(writer)
    return events
