"""Plain HTTP to an address, which may be that of a provider of the policy's own: metered or closed; others' passes as it is.

An address is all that is known where connections are redirected here, and where a client says CONNECT to one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from capture.proxies import PROVIDER, Gate, gate, origin
from spendgate.capture.coverage import Gap
from spendgate.capture.http_layer import MeteredHttpLayer
from spendgate.capture.plain_heads import PREFACE
from spendgate.capture.scope import Scope

OURS = "llm.acme.example"
SCOPE = Scope(frozenset({PROVIDER, OURS}), own_hosts=True)
GET = b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n"
ASKS = b"POST /v1 HTTP/1.1\r\nHost: llm.acme.example\r\ncontent-length: 2\r\n\r\n{}"
ELSEWHERE = ASKS.replace(b"llm.acme", b"x")
TWICE = ELSEWHERE.replace(b"content", b"Host: llm.acme.example\r\ncontent")
WHOLE = ELSEWHERE.replace(b"/v1", b"http://llm.acme.example/v1")


@dataclass
class Anything:
    """A server that says what it is told to, hears all that is sent, and answers each end of a request, and the end of all."""

    greeting: bytes = b""
    heard: bytearray = field(default_factory=bytearray)
    port: int = 0
    answer: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.greeting)
        while data := await reader.read(65536):
            self.heard += data
            if self.heard.endswith((b"\r\n\r\n", b"{}")):
                writer.write(self.answer)
        writer.write(b"heard")
        writer.close()


@asynccontextmanager
async def world(folder: Path, greeting: bytes = b"") -> AsyncIterator[tuple[Gate, Anything]]:
    there = Anything(greeting)
    async with (
        await asyncio.start_server(there.serve, "127.0.0.1", 0) as server,
        origin(folder, tls=False) as unused,
        gate(folder, unused, scope=SCOPE, http_layer=MeteredHttpLayer) as here,
    ):
        there.port = server.sockets[0].getsockname()[1]
        yield here, there


@pytest.mark.parametrize(
    ("before", "asks", "metered", "gap"),
    [
        pytest.param(b"", ASKS, True, None, id="by itself"),
        pytest.param(GET, ASKS, False, Gap.BEHIND_ANOTHER, id="kept alive behind another host's"),
        pytest.param(b"", WHOLE, True, None, id="a whole URL, and another Host"),
        pytest.param(b"", WHOLE.replace(b"Host: x.example\r\n", b""), True, None, id="a whole URL alone"),
        pytest.param(b"", ASKS.replace(b"POST", b"post"), True, None, id="a method in lower case"),
        pytest.param(b"", b" " + ASKS, False, Gap.NOT_HTTP, id="a space before it"),
        pytest.param(b"", TWICE, True, None, id="a second Host"),
        pytest.param(b"", TWICE.replace(b"x.example\r\nHost: ", b"x.example, "), True, None, id="two in one Host"),
        pytest.param(b"", ASKS.replace(b" HTTP/1.1", b""), False, None, id="without a version"),
        pytest.param(GET, TWICE, False, Gap.BEHIND_ANOTHER, id="behind, a second Host"),
        pytest.param(
            GET.replace(b"\r\n\r\n", b"\r\nupgrade: x\r\n\r\n"), ASKS, False, Gap.BEHIND_ANOTHER, id="no upgrade"
        ),
    ],
)
async def test_nothing_to_a_provider_passes_unmetered(
    tmp_path: Path, before: bytes, asks: bytes, gap: Gap | None, *, metered: bool
) -> None:
    """Through the meter's place, or not at all; closed connections are counted, and the first request is told why."""
    async with world(tmp_path) as (here, there):
        reader, writer = await here.tunnel("127.0.0.1", there.port)
        if before:
            writer.write(before)
            await reader.readuntil(b"\r\n\r\nok")
        writer.write(asks)
        if not metered:
            writer.write_eof()
        answer = await (reader.readuntil(b"\r\n\r\n") if metered else reader.read())
        writer.close()
        assert ("requestheaders" in here.seen.hooks) is metered
        assert there.heard.endswith(b"{}") is metered
        assert [(each.host, each.gap) for each in here.gaps] == ([(OURS, gap)] if gap else [])
        assert before or answer.startswith(b"HTTP/1.1 200" if metered else b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("greeting", "sent"),
    [
        pytest.param(b"", GET + ELSEWHERE + GET, id="pipelined"),
        pytest.param(
            b"", b"PUT / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nt: 1\r\n\r\n" + GET,
            id="chunks",
        ),
        pytest.param(b"", b"PUT / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (len(ASKS) * 9999) + ASKS * 9999, id="long"),
        pytest.param(b"", GET.replace(b"\r\n\r\n", b"\r\nupgrade: websocket\r\n\r\n") + b"\x81\xff" + ASKS, id="upgraded"),
        pytest.param(b"", b"\x00\x01" + ASKS, id="no HTTP"),
        pytest.param(b"", b"ping", id="words without an end"),
        pytest.param(b"", PREFACE + b"\0\0\0\x04\0\0\0\0\0", id="HTTP/2"),
        pytest.param(b"220 hello\r\n", b"EHLO a\r\n", id="the server speaks first"),
        pytest.param(b"220 hello\r\n", b"", id="the server alone speaks"),
    ],
)  # fmt: skip
async def test_what_is_nobodys_of_ours_passes_as_it_is(tmp_path: Path, greeting: bytes, sent: bytes) -> None:
    """Every byte, and the end; nothing of it is seen by an addon, or counted."""
    async with world(tmp_path, greeting) as (here, there):
        reader, writer = await here.tunnel("127.0.0.1", there.port)
        assert await reader.readexactly(len(greeting)) == greeting
        writer.write(sent)
        await writer.drain()
        writer.write_eof()
        assert (await reader.read()).endswith(b"heard")
        writer.close()
        assert bytes(there.heard) == sent
        assert (here.seen.hooks, here.gaps) == ([], [])


@pytest.mark.parametrize(
    ("more", "answers", "metered", "reached"),
    [
        pytest.param(b"x: 1", b"200 OK", False, True, id="usual"),
        pytest.param(b"Host: llm.acme.example", b"200 OK", True, True, id="a second Host"),
        pytest.param(b"x: 1\rPOST /v1 HTTP/1.1\rHost: llm.acme.example", b"200 OK", False, False, id="CR alone"),
        pytest.param(b"x: 1", b"101 on\r\nconnection: upgrade\r\nupgrade: h2c", False, True, id="HTTP/2 from now on"),
    ],
)
async def test_requests_to_the_proxy_itself_are_no_way_round(
    tmp_path: Path, more: bytes, answers: bytes, *, metered: bool, reached: bool
) -> None:
    """What another reader takes for a second request does not leave, and nobody is let into requests that name hosts unseen."""
    async with world(tmp_path) as (here, there):
        there.answer = b"HTTP/1.1 " + answers + b"\r\ncontent-length: 0\r\n\r\n"
        reader, writer = await asyncio.open_connection(*here.address)
        writer.write(b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: x.example\r\n%b\r\n\r\n" % (there.port, more))
        answer = await reader.read(12)
        writer.close()
        assert (answer == b"HTTP/1.1 200") is (reached and answers == b"200 OK")
        assert not answer.endswith(b"101")
        assert ("requestheaders" in here.seen.hooks) is metered
        assert bool(there.heard) is reached
