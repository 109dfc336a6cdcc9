"""WebSocket conversations through a real running proxy: message by message, call by call."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import wsproto
from msgspec.structs import replace
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

from capture.rig import OPENAI, FakeGate, FakeRegistry, Rig, refused, rig
from spendgate.admission import RefusalKind
from spendgate.capture import socket_layer
from spendgate.exchange import State
from spendgate.gate.interface import Admitted
from spendgate.providers.ask import Ask
from spendgate.providers.interface import Head, Notice
from spendgate.providers.openai_responses import OpenAIResponses
from spendgate.providers.reading import Part, Reading
from spendgate.providers.socket_interface import Moved, SocketReader, Steered
from spendgate.standin.script import Script
from spendgate.usage import Usage


class Client:
    """A WebSocket client on a raw connection through the gate."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.wire = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._events: list[wsproto.events.Event] = []

    def send(self, event: wsproto.events.Event) -> None:
        self.writer.write(self.wire.send(event))

    def create(self, **fields: object) -> None:
        self.send(TextMessage(json.dumps({"type": "response.create", "model": "gpt-5", "input": "hello", **fields})))

    async def event(self) -> wsproto.events.Event:
        """The next event, with the pieces of a message put together."""
        text = ""
        async with asyncio.timeout(60):
            while True:
                while not self._events:
                    self.wire.receive_data(await self.reader.read(65536) or None)
                    self._events.extend(self.wire.events())
                event = self._events.pop(0)
                if isinstance(event, TextMessage):
                    text += event.data
                    if not event.message_finished:
                        continue
                    return TextMessage(text)
                return event

    async def message(self) -> dict[str, object]:
        event = await self.event()
        assert isinstance(event, TextMessage), event
        found: dict[str, object] = json.loads(event.data)
        return found

    async def until(self, kind: str) -> list[dict[str, object]]:
        """Messages up to and with one of this type."""
        messages = [await self.message()]
        while messages[-1]["type"] != kind:
            messages.append(await self.message())
        return messages


@asynccontextmanager
async def talking(it: Rig, *, deflate: bool = True, agent: str = "codex_exec/0.169.0") -> AsyncIterator[Client]:
    """An open conversation with the stand-in, or with the gate itself."""
    client = Client(*await it.tunnel(OPENAI))
    headers = [(b"user-agent", agent.encode()), (b"authorization", b"Bearer sk-proj-canary")]
    extensions = [PerMessageDeflate()] if deflate else []
    client.send(Request(host=OPENAI, target="/v1/responses", extra_headers=headers, extensions=extensions))
    try:
        yield client
    finally:
        client.writer.close()
        try:
            await client.writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            pass  # the other side was first


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
async def test_each_create_is_a_call_of_its_own(tmp_path: Path, deflate: bool) -> None:
    """Two creates: two holds, two settlements with the provider's counts; the handshake is a free row of its own."""
    async with rig(tmp_path) as it:
        async with talking(it, deflate=deflate) as client:
            assert isinstance(await client.event(), AcceptConnection)
            for _ in range(2):
                client.create()
                await client.until("response.completed")
            await it.ended(2)
            for (_, reading, end), served in zip(it.gate.settled, it.provider.log.billable(), strict=True):
                assert reading.response_id == served.response_id
                assert (reading.parts[0].usage.input_tokens, reading.parts[0].usage.output_tokens) == (12, 7)
                assert (end.complete, end.sent) == (True, True)
            client.send(CloseConnection(code=1000))
            assert isinstance(await client.event(), CloseConnection)
        await _until(lambda: it.gate.seen)
        [handshake] = it.gate.seen
        assert (handshake.state, handshake.end.http_status) == (State.FREE, 101)
        assert [intent.attribution.tool for intent in it.gate.intents] == ["codex", "codex"]
        assert len({intent.call_id for intent in it.gate.intents} | {handshake.call_id}) == 3


async def test_a_handshake_that_offers_more_is_metered_all_the_same(tmp_path: Path) -> None:
    """The server may pick WebSocket out of several offers; only that one is passed on, and the creates are calls."""
    async with rig(tmp_path) as it:
        client = Client(*await it.tunnel(OPENAI))
        asked = client.wire.send(Request(host=OPENAI, target="/v1/responses"))
        offering = asked.replace(b": websocket\r\n", b": x, websocket\r\n")
        assert offering != asked
        client.writer.write(offering)
        assert isinstance(await client.event(), AcceptConnection)
        client.create()
        await client.until("response.completed")
        await it.ended()
        [create] = it.gate.intents
        assert (create.ask.model, it.gate.settled[0][1].final) == ("gpt-5", True)
        client.writer.close()


@pytest.mark.parametrize(
    ("path", "offered", "passes"),
    [("/v1/realtime", "websocket", True), ("/v1/realtime", "x", False), ("/v1/responses", "x", False)],
    ids=["unrecognized", "not asked for", "billable, not asked for"],
)
async def test_only_a_socket_that_was_asked_for_is_opened(
    tmp_path: Path, path: str, offered: str, passes: bool
) -> None:
    """One on a path that no table knows passes, its bytes counted; a switch that the request did not name is closed."""
    heard: list[bytes] = []

    async def switch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        heard.append(await reader.read(100))
        writer.write(b"\x81\x02hi\x88\x00")
        await reader.read()
        writer.close()

    async with rig(tmp_path) as it:
        port, identity = it.provider.port, it.provider._tls
        await it.provider.stop()
        async with await asyncio.start_server(switch, "127.0.0.1", port, ssl=identity):
            reader, writer = await it.tunnel(OPENAI)
            writer.write(
                f"GET {path} HTTP/1.1\r\nhost: {OPENAI}\r\nconnection: upgrade\r\nupgrade: {offered}\r\n".encode()
                + b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
                + b"\x81\x86\0\0\0\0secret"
            )
            got = await asyncio.wait_for(reader.read(), 60)
            writer.close()
            await _until(lambda: it.gate.seen or it.gate.settled)
        assert (b"hi" in got, any(heard)) == (passes, passes)
        if passes:
            [seen] = it.gate.seen
            assert (seen.state, seen.request_bytes, seen.end.response_bytes) == (State.UNRECOGNIZED, 6, 2)


async def test_a_create_that_waits_keeps_what_follows_behind_it(tmp_path: Path) -> None:
    """While a create waits nothing of the client passes, pings are answered, and afterwards the order is the client's."""
    gate = FakeGate(gap=asyncio.Event())
    async with rig(tmp_path, gate=gate) as it, talking(it) as client:
        await client.event()
        client.create(model="first")
        client.create(model="second")
        client.send(Ping(b"here"))
        assert await client.event() == Pong(b"here")
        assert len(gate.intents) == 1
        assert it.provider.log.billable() == []
        gate.gap.set()
        await client.until("response.completed")
        await client.until("response.completed")
        await it.ended(2)
        assert [served.model for served in it.provider.log.billable()] == ["first", "second"]
        assert [intent.ask.model for intent in gate.intents] == ["first", "second"]


async def test_a_long_message_keeps_its_place(tmp_path: Path) -> None:
    """What is read in steps, a create or not, leaves before what the client said after it."""
    async with rig(tmp_path) as it, talking(it) as client:
        await client.event()
        client.send(TextMessage(json.dumps({"type": "response.processed", "padding": "x" * 500_000})))
        client.create(model="first", input="x" * 500_000)
        client.create(model="second")
        await client.until("response.completed")
        await client.until("response.completed")
        await it.ended(2)
        assert [served.model for served in it.provider.log.billable()] == ["first", "second"]
        assert [intent.ask.model for intent in it.gate.intents] == ["first", "second"]


async def test_a_refused_create_is_answered_by_an_error_frame(tmp_path: Path) -> None:
    """A refusal is a message of the dialect; nothing reaches the provider and the connection goes on."""
    gate = FakeGate(
        answer=lambda intent: refused(intent) if len(gate.intents) == 1 else Admitted(intent.call_id, cut=False)
    )
    async with rig(tmp_path, gate=gate) as it, talking(it) as client:
        await client.event()
        client.create()
        frame = await client.message()
        assert frame["type"] == "error"
        assert "Budget person/day is spent" in json.dumps(frame)
        assert it.provider.log.billable() == []
        client.create()
        await client.until("response.completed")
        await it.ended(1)
        assert gate.settled[0][0] == gate.intents[1].call_id


async def test_a_spent_budget_is_told_where_the_tool_hears_it(tmp_path: Path) -> None:
    """Codex gets a 101 of ours and the error frame for each create; no request reaches the provider.

    The creates are refused; the handshake, which was answered, is a free exchange of its own.
    """
    async with rig(tmp_path, gate=FakeGate(broke=True)) as it:
        async with talking(it) as client:
            assert isinstance(await client.event(), AcceptConnection)
            for _ in range(2):
                client.create()
                assert (await client.message())["type"] == "error"
        await it.ended(0, 1)
        assert it.provider.log.served == it.gate.intents == it.gate.settled == []
        assert [(seen.state, seen.flags, seen.end.http_status) for seen in it.gate.seen] == [
            (State.FREE, ("answered by the gate",), 101)
        ]
        assert len(it.gate.refused_ids) == 2
        assert it.gate.seen[0].call_id not in it.gate.refused_ids


async def test_money_that_is_back_sends_the_client_to_the_provider(tmp_path: Path) -> None:
    """A handshake refused before is not refused for ever: the next create closes the connection, to be made anew."""
    async with rig(tmp_path, gate=FakeGate(broke=True)) as it, talking(it) as client:
        await client.event()
        it.gate.broke = False
        client.create()
        closed = await client.event()
        assert isinstance(closed, CloseConnection)
        assert closed.code == 1012
        assert it.provider.log.served == []


async def test_another_tool_gets_a_refused_handshake(tmp_path: Path) -> None:
    """Tools that can read it get the refusal as an HTTP answer to the handshake."""
    async with rig(tmp_path, gate=FakeGate(broke=True)) as it, talking(it, agent="OpenAI/Python 2.1") as client:
        rejected = await client.event()
        assert isinstance(rejected, RejectConnection)
        assert rejected.status_code == 429
        told = await client.event()
        assert isinstance(told, RejectData)
        assert b"Budget person/day is spent" in told.data
        assert it.provider.log.served == it.gate.seen == []
        assert len(it.gate.refused_ids) == 1


async def test_a_client_that_leaves_mid_response_is_settled(tmp_path: Path) -> None:
    """The connection's end settles what runs as interrupted, with what was read."""
    async with rig(tmp_path) as it:
        it.provider.set(Script(interval_ms=50, events=500))
        async with talking(it) as client:
            await client.event()
            client.create()
            await client.message()
        await it.ended()
        [(_, reading, end)] = it.gate.settled
        assert (end.complete, end.error) == (False, "client")
        assert reading.response_id == it.provider.log.billable()[0].response_id


async def test_a_client_that_leaves_while_its_create_waits_sends_nothing(tmp_path: Path) -> None:
    """The waiter can be seen to be gone, and an admission that comes too late is given back unsent."""
    gate = FakeGate(gap=asyncio.Event())
    async with rig(tmp_path, gate=gate) as it:
        async with talking(it) as client:
            await client.event()
            client.create()
            await _until(lambda: gate.intents)
            assert not gate.intents[0].gone()
        await _until(gate.intents[0].gone)
        gate.gap.set()
        await it.ended()
        [(_, _, end)] = gate.settled
        assert (end.sent, end.error) == (False, "client")
        assert it.provider.log.billable() == []


async def test_a_response_that_ends_without_counts_is_settled_at_once(tmp_path: Path) -> None:
    """The provider's word that a response is over ends its call, counted or not, while the connection goes on."""
    async with rig(tmp_path) as it, talking(it) as client:
        it.provider.set(Script(usage=False))
        await client.event()
        for number in (1, 2):
            client.create()
            await client.until("response.completed")
            await it.ended(number)
        for _, reading, end in it.gate.settled:
            assert (reading.ended, reading.final, end.complete, end.error) == (True, False, True, None)
            assert reading.output_bytes > 0
        client.send(Ping(b"still here"))
        assert await client.event() == Pong(b"still here")


async def test_a_strict_policy_refuses_a_create_with_429(tmp_path: Path) -> None:
    """`refusals: strict` reaches the frame: 429 also for a tool that reads another status better."""

    class Dialect(OpenAIResponses):
        def refusal_frame(self, notice: Notice, tool: str | None, *, strict: bool = False) -> bytes:
            said.append(strict)
            return super().refusal_frame(notice, tool, strict=strict)

    said: list[bool] = []
    registry = FakeRegistry()
    registry.dialects["openai-responses"] = Dialect()
    gate = FakeGate(answer=lambda intent: replace(refused(intent), strict=True))
    async with rig(tmp_path, gate=gate, registry=registry) as it, talking(it) as client:
        await client.event()
        client.create()
        assert (await client.message())["status"] == 429
        assert said == [True]


@pytest.mark.parametrize("allow", [False, True], ids=["refuse", "allow"])
async def test_a_gate_that_raises_is_on_failures_to_decide(tmp_path: Path, allow: bool) -> None:
    """A fault never lets a create pass by itself, and never ends the connection."""
    gate = FakeGate(answer=lambda intent: RuntimeError("boom"))
    if allow:
        gate.on_failure = lambda intent: Admitted(intent.call_id, cut=False)
    async with rig(tmp_path, gate=gate) as it, talking(it) as client:
        await client.event()
        client.create()
        first = await client.message()
        assert first["type"] == ("response.created" if allow else "error")
        assert len(it.provider.log.billable()) == int(allow)


class _Counting:
    """The dialect's reader, and counts with each delta, which OpenAI does not send."""

    def __init__(self, inner: SocketReader) -> None:
        self.inner, self.id, self.count = inner, "", 0

    def from_client(self, message: bytes) -> Generator[None, None, Ask | None]:
        return self.inner.from_client(message)

    def from_server(self, message: bytes) -> Moved | Steered | None:
        found = json.loads(message)
        self.id = found.get("response", {}).get("id", self.id)
        if found["type"] != "response.output_text.delta":
            return self.inner.from_server(message)
        self.count += 10
        return Moved(self.id, Reading((Part(Usage(input_tokens=0, output_tokens=self.count)),), response_id=self.id))


async def test_a_cut_ends_the_response_and_the_connection(tmp_path: Path) -> None:
    """Where the budget says `cut`, the client gets the dialect's end of the response, and the provider stops."""

    class Dialect(OpenAIResponses):
        def socket(self, head: Head) -> SocketReader:
            return _Counting(super().socket(head))

    gate = FakeGate(answer=lambda intent: Admitted(intent.call_id, cut=True), notice=Notice("Budget spent", "spent"))
    registry = FakeRegistry()
    registry.dialects["openai-responses"] = Dialect()
    async with rig(tmp_path, gate=gate, registry=registry) as it, talking(it) as client:
        it.provider.set(Script(interval_ms=20, events=1000))
        await client.event()
        client.create()
        started, *_, failed = await client.until("response.failed")
        assert failed["response"]["id"] == started["response"]["id"]
        assert "Budget spent" in json.dumps(failed)
        assert isinstance(await client.event(), CloseConnection)
        [(_, reading, end)] = gate.settled
        assert (end.complete, end.error, reading.parts[0].usage.output_tokens) == (False, "cut", 10)
        await _until(lambda: it.provider.log.billable()[0].ended_ms)
        assert not it.provider.log.billable()[0].complete


async def test_an_oversized_message_closes_with_1009(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An inflated message beyond the bound ends the connection on both sides; it is not kept."""
    monkeypatch.setattr(socket_layer, "MESSAGE_BYTES_MAX", 1 << 20)
    async with rig(tmp_path) as it, talking(it) as client:
        await client.event()
        client.send(TextMessage("a" * (4 << 20)))
        closed = await client.event()
        assert isinstance(closed, CloseConnection)
        assert closed.code == 1009


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
async def test_messages_are_equal_whatever_they_hold(tmp_path: Path, deflate: bool) -> None:
    """Long text of many-byte characters, cut anywhere into frames: the same message, both ways."""
    text = "äß…😀" * 30_000
    async with rig(tmp_path) as it, talking(it, deflate=deflate) as client:
        it.provider.set(Script(text=text, events=3))
        await client.event()
        message = json.dumps({"type": "response.create", "model": "gpt-5", "input": text}, ensure_ascii=False)
        for start in range(0, len(message), 4001):
            client.send(TextMessage(message[start : start + 4001], message_finished=start + 4001 >= len(message)))
        messages = await client.until("response.completed")
        assert "".join(str(m["delta"]) for m in messages if m["type"] == "response.output_text.delta") == text
        served = it.provider.log.billable()[0]
        assert served.request_bytes == len(message.encode())


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
async def test_a_message_in_very_many_frames_is_kept_in_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deflate: bool
) -> None:
    """Tiny and empty frames without end do not grow what is kept, and the message is equal."""
    sent: list[bytes] = []

    def message_of(content: bytes, text: bool, finished: bool) -> TextMessage | BytesMessage:
        sent.append(content)
        return passed_on(content, text, finished)

    passed_on = socket_layer._message
    monkeypatch.setattr(socket_layer, "_message", message_of)
    text = "äß…😀" * 1_000
    async with rig(tmp_path) as it, talking(it, deflate=deflate) as client:
        await client.event()
        message = json.dumps({"type": "response.create", "model": "gpt-5", "input": text}, ensure_ascii=False)
        for piece in message:
            for part in (piece, ""):
                client.send(TextMessage(part, message_finished=False))
        client.send(TextMessage(""))
        await client.until("response.completed")
        assert it.provider.log.billable()[0].request_bytes == len(message.encode())
        create = sent[: next(at for at, frame in enumerate(sent, 1) if b"".join(sent[:at]) == message.encode())]
        assert len(create) <= socket_layer.FRAMES_MAX


def test_a_message_of_empty_frames_takes_no_memory() -> None:
    """Nothing in them counts towards the bound of bytes: their number is bounded too."""
    incoming = socket_layer._Incoming()
    for _ in range(100_000):
        incoming.add("", frame_finished=True, message_finished=False)
    for _ in range(100_000):
        incoming.add(b"", frame_finished=False, message_finished=False)
    assert len(incoming.frames) < 2_000
    incoming.add("end", frame_finished=True, message_finished=True)
    assert b"".join(incoming.frames) == b"end"


async def test_a_binary_message_stays_binary(tmp_path: Path) -> None:
    """What is no create passes as it is: the stand-in closes with 1003, as it does for binary messages."""
    async with rig(tmp_path) as it, talking(it) as client:
        await client.event()
        client.send(BytesMessage(b'{"type":"response.processed"}'))
        closed = await client.event()
        assert isinstance(closed, CloseConnection)
        assert closed.code == 1003
        assert it.gate.intents == []


async def test_ten_thousand_messages_leave_memory_flat(tmp_path: Path) -> None:
    """Nothing of a message is kept once it has passed."""
    async with rig(tmp_path) as it, talking(it) as client:
        it.provider.set(Script(events=10_000, text="word " * 20_000))
        await client.event()
        client.create()
        for _ in range(500):
            await client.message()
        before = psutil.Process().memory_info().rss
        await client.until("response.completed")
        assert psutil.Process().memory_info().rss - before < 24 * 1024 * 1024
        await it.ended()


async def test_a_passing_refusal_over_a_socket_says_when(tmp_path: Path) -> None:
    """Others' holds in the way: the frame tells the client to come back."""
    gate = FakeGate(answer=lambda intent: refused(intent, RefusalKind.HELD, 1_500))
    async with rig(tmp_path, gate=gate) as it, talking(it) as client:
        await client.event()
        client.create()
        assert "rate_limit" in json.dumps(await client.message())


async def _until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)
