"""A provider takes only so many streams at once on one connection: what waits for one has not left, and may yet be free."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest
from hyperframe.frame import GoAwayFrame

from capture.rig import ANTHROPIC, HEADERS, URL, FakeGate, Rig, body, rig
from spendgate.capture import queueing
from spendgate.capture.detour import Detours
from spendgate.capture.passage import UNPROCESSED
from spendgate.standin import http2, server
from spendgate.standin.server import StandIn

SLOW = {**HEADERS, "x-standin": "delay_ms=700"}
BLINKS = 20
"""Turns of the loop in which a head that nothing keeps back would long have arrived."""


async def _until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.01)


async def _running(it: Rig, client: object, headers: dict[str, str]) -> asyncio.Future[object]:
    """A call that has come to the provider."""
    count = len(it.provider.log.served)
    asked = asyncio.ensure_future(client.post(URL, json=body(), headers=headers))  # type: ignore[attr-defined]
    await _until(lambda: len(it.provider.log.served) > count)
    return asked


async def _queue(it: Rig, client: object, waiting: int) -> tuple[asyncio.Future[object], list[asyncio.Future[object]]]:
    """A call on the only stream that the provider takes, and those that wait for it."""
    it.provider.context.streams_max = 1
    first = await _running(it, client, SLOW)
    others = [asyncio.ensure_future(client.post(URL, json=body(), headers=HEADERS)) for _ in range(waiting)]  # type: ignore[attr-defined]
    await _until(lambda: len(it.gate.intents) == 1 + waiting)
    await asyncio.sleep(0.01 * BLINKS)
    return first, others


async def test_what_waits_for_a_stream_has_not_left(tmp_path: Path) -> None:
    """One stream at a time: three calls are held at once, each is `sent` only when its turn comes, and all are answered."""
    async with rig(tmp_path) as it, it.client(http2=True) as client:
        first, others = await _queue(it, client, 2)
        assert len(it.gate.sent_ids) == 1
        assert not it.gate.intents[1].leaves()
        answers = await asyncio.gather(first, *others)
        await it.ended(3)
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert all(end.sent and end.complete for _, _, end in it.gate.settled)
    assert len(it.provider.log.served) == 3


class Wire:
    """An HTTP/2 client that resets streams; a library's closes its connection, or says nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self.h2.initiate_connection()
        self.reader, self.writer = reader, writer
        self.statuses: dict[int, bytes] = {}
        self.ended: set[int] = set()

    def head(self, number: int, headers: dict[str, str], path: str = "/v1/messages") -> None:
        head = [(":method", "POST"), (":scheme", "https"), (":authority", ANTHROPIC), (":path", path)]
        self.h2.send_headers(number, [*head, *headers.items()])
        self.flush()

    def post(self, number: int, headers: dict[str, str]) -> None:
        self.head(number, {**headers, "content-type": "application/json"})
        self.h2.send_data(number, json.dumps(body(stream="events" in str(headers))).encode(), end_stream=True)
        self.flush()

    def room(self, number: int) -> int:
        return min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)

    def send(self, number: int, data: bytes) -> int:
        self.h2.send_data(number, data)
        self.flush()
        return len(data)

    def reset(self, number: int) -> None:
        self.h2.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
        self.flush()

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    async def listen(self) -> None:
        while data := await self.reader.read(65536):
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    self.statuses[event.stream_id or 0] = dict(event.headers or ())[b":status"]
                elif isinstance(event, h2.events.StreamEnded):
                    self.ended.add(event.stream_id or 0)
            self.flush()


@contextlib.asynccontextmanager
async def speaking(it: Rig, streams_max: int = 100) -> AsyncIterator[Wire]:
    """A raw HTTP/2 connection through the gate, to a provider that takes so many streams."""
    it.provider.context.streams_max = streams_max
    it.trust.set_alpn_protocols(["h2"])
    wire = Wire(*await it.tunnel())
    listening = asyncio.ensure_future(wire.listen())
    try:
        yield wire
    finally:
        listening.cancel()
        wire.writer.close()


async def _asked(it: Rig, wire: Wire, number: int, headers: dict[str, str] = HEADERS) -> None:
    """Post, and wait until the gate has been asked."""
    count = len(it.gate.intents)
    wire.post(number, headers)
    await _until(lambda: len(it.gate.intents) > count)


async def _busy(it: Rig, wire: Wire) -> None:
    """The provider has taken the first call, slowly."""
    await _asked(it, wire, 1, SLOW)
    await _until(lambda: len(it.provider.log.served) == 1)


@pytest.mark.parametrize("leaver", [3, 5, 7])
async def test_a_client_that_leaves_the_queue_pays_nothing(tmp_path: Path, leaver: int) -> None:
    """Wherever it stands, it is let go at once, not when its turn would have come; the provider hears nothing of it."""
    async with rig(tmp_path) as it, speaking(it, 1) as wire:
        await _busy(it, wire)
        for number in (3, 5, 7):
            await _asked(it, wire, number)
        await asyncio.sleep(0.01 * BLINKS)
        wire.reset(leaver)
        await it.ended(1)
        assert not wire.statuses
        (call_id, _, end) = it.gate.settled[0]
        assert (call_id, end.sent, end.error) == (it.gate.intents[leaver // 2].call_id, False, "client")
        await _until(lambda: wire.ended == {1, 3, 5, 7} - {leaver})
        await it.ended(4)
    assert set(wire.statuses.values()) == {b"200"}
    assert len(it.provider.log.served) == 3


@pytest.mark.parametrize("leaver", [3, 5])
async def test_a_busy_ledger_keeps_one_place_and_marks_one_call(tmp_path: Path, leaver: int) -> None:
    """One stream is free while the ledger is busy: one call of the queue is told to it, and that one is free too if it leaves."""
    gate = FakeGate()
    async with rig(tmp_path, gate=gate) as it, speaking(it, 1) as wire:
        await _busy(it, wire)
        gate.ledger_free.clear()
        for number in (3, 5, 7):
            await _asked(it, wire, number)
        await _until(lambda: wire.ended == {1})
        await asyncio.sleep(0.01 * BLINKS)
        assert gate.sent_ids == [intent.call_id for intent in gate.intents[:2]]
        wire.reset(leaver)
        await asyncio.sleep(0.01 * BLINKS)
        gate.ledger_free.set()
        await _until(lambda: wire.ended == {1, 3, 5, 7} - {leaver})
        await it.ended(4)
    ends = {call_id: (end.sent, end.error) for call_id, _, end in gate.settled}
    assert ends.pop(gate.intents[leaver // 2].call_id) == (False, "client")
    assert set(ends.values()) == {(True, None)}
    assert len(it.provider.log.served) == 3


async def test_what_a_client_sends_meanwhile_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A streamed upload that waits for a stream is answered once too much of it is kept; the connection goes on."""
    monkeypatch.setattr(queueing, "QUEUED_BYTES_MAX", 1_000_000)
    async with rig(tmp_path) as it, speaking(it, 1) as wire:
        await _busy(it, wire)
        wire.head(3, {"content-type": "application/octet-stream"}, path="/v1/unheard-of")
        sent = 0
        while 3 not in wire.ended:
            await _until(lambda: wire.room(3) > 0 or 3 in wire.ended)
            if 3 not in wire.ended:
                sent += wire.send(3, b"x" * wire.room(3))
                await asyncio.sleep(0)
        await _until(lambda: wire.ended == {1, 3})
    assert wire.statuses == {1: b"200", 3: b"502"}
    assert 1_000_000 < sent < 2_000_000
    assert len(it.provider.log.served) == 1


class Refusing(http2.Connection):
    """A provider that refuses every second stream."""

    async def _answer(self, number: int, stream: http2._Stream) -> None:
        if number % 4 == 3:
            self._wire.reset_stream(number, h2.errors.ErrorCodes.REFUSED_STREAM)
            self._flush()
        else:
            await super()._answer(number, stream)


async def test_a_refused_stream_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider says that it did nothing with a request: it was sent, and is free."""
    monkeypatch.setattr(server, "Connection", Refusing)
    async with rig(tmp_path) as it, speaking(it) as wire:
        for number in (1, 3, 5):
            await _asked(it, wire, number)
            await it.ended(len(it.gate.intents))
        await _until(lambda: wire.ended == {1, 3, 5})
    assert wire.statuses == {1: b"200", 3: b"502", 5: b"200"}
    assert [reading.free for _, reading, _ in it.gate.settled] == [False, True, False]
    assert it.gate.settled[1][1].flags == (UNPROCESSED,)
    assert it.gate.settled[1][2].sent


class Leaving(http2.Connection):
    """A provider that says goodbye in the middle of its first answer, and has done nothing with what came after that request."""

    async def _answer(self, number: int, stream: http2._Stream) -> None:
        if number > 1 and not Leaving.renewed:
            Leaving.renewed = True
            self._writer.write(GoAwayFrame(0, last_stream_id=1).serialize())
        elif number == 1 or Leaving.renewed:
            await super()._answer(number, stream)

    renewed = False


async def test_a_goodbye_ends_nothing_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GOAWAY: the running stream arrives whole, what the provider did not take is free, and the next has a new connection."""
    monkeypatch.setattr(server, "Connection", Leaving)
    monkeypatch.setattr(Leaving, "renewed", False)
    async with rig(tmp_path) as it, speaking(it) as wire:
        await _asked(it, wire, 1, {**HEADERS, "x-standin": "events=40; interval_ms=60"})
        await _until(lambda: len(it.provider.log.served) == 1)
        await _asked(it, wire, 3)
        await it.ended(1)
        await _until(lambda: bool(wire.ended))  # its row may be written before its client has read the answer
        assert (it.gate.settled[0][1].free, wire.ended) == (True, {3})
        await _asked(it, wire, 5)
        await _until(lambda: wire.ended == {1, 3, 5})
        await it.ended(3)
    assert wire.statuses == {1: b"200", 3: b"502", 5: b"200"}
    assert all(end.complete for _, _, end in it.gate.settled[1:])
    assert all(one.complete for one in it.provider.log.served)


@pytest.fixture(params=[False, True], ids=["detour", "direct"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `connect_to`, under which each call opens a connection of its own until one is there; and as without."""
    if not request.param:
        return
    real, begun, ports = asyncio.open_connection, StandIn.start, []

    async def start(self: StandIn, host: str = "127.0.0.1", port: int = 0) -> None:
        await begun(self, host, port)
        ports.append(self.port)

    async def opened(host: str | None = None, port: int | None = None, **rest: object) -> object:
        there = ("127.0.0.1", ports[0]) if host == ANTHROPIC else (host, port)
        return await real(*there, **rest)  # type: ignore[arg-type]  # as it was given

    monkeypatch.setattr(StandIn, "start", start)
    monkeypatch.setattr(Detours, "server_connect", lambda *_: None)
    monkeypatch.setattr(asyncio, "open_connection", opened)


@pytest.mark.usefixtures("way")
async def test_what_waits_goes_on_over_a_new_connection(tmp_path: Path) -> None:
    """The provider breaks the connection while calls wait for a stream of it: they never left, and go out one by one, anew."""
    async with rig(tmp_path) as it, it.client(http2=True) as client:
        first, others = await _queue(it, client, 4)
        it.provider.hang_up()
        lost, *answers = await asyncio.gather(first, *others, return_exceptions=True)
        await it.ended(5)
    assert getattr(lost, "status_code", 502) == 502
    assert [getattr(answer, "status_code", answer) for answer in answers] == [200] * 4
    assert sorted((end.sent, end.complete) for _, _, end in it.gate.settled) == [(True, False), *[(True, True)] * 4]
    assert len(it.provider.log.served) == 5


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("streams_max", [1, 3, 100])
async def test_a_burst_at_the_first_moment_is_answered(tmp_path: Path, streams_max: int) -> None:
    """Forty at once before the provider has said how many it takes: each leaves once, and never more at once than it takes."""
    async with rig(tmp_path) as it, it.client(http2=True) as client:
        it.provider.context.streams_max = streams_max
        answers = await asyncio.gather(*(client.post(URL, json=body(), headers=HEADERS) for _ in range(40)))
        await it.ended(40)
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(it.gate.sent_ids) == sorted(intent.call_id for intent in it.gate.intents)
    assert len(it.provider.log.served) == 40


async def test_a_client_that_leaves_while_its_connection_is_made_pays_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that hung up and is slow to take a new connection, and a stream reset meanwhile: its head never goes out."""
    arrived, opens = asyncio.Event(), asyncio.Event()
    provider_port = StandIn.port.fget
    assert provider_port is not None

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if pipes:
            arrived.set()
            await opens.wait()
        there, back = await asyncio.open_connection("127.0.0.1", provider_port(it.provider))
        for source, sink in ((reader, back), (there, writer)):
            pipes.append(asyncio.ensure_future(_piped(source, sink)))

    pipes: list[asyncio.Future[None]] = []
    door = await asyncio.start_server(slow, "127.0.0.1", 0)
    monkeypatch.setattr(StandIn, "port", property(lambda _: door.sockets[0].getsockname()[1]))
    async with door, rig(tmp_path) as it, speaking(it) as wire:
        wire.post(1, HEADERS)
        await _until(lambda: wire.ended == {1})
        it.provider.hang_up()
        await asyncio.sleep(0.01 * BLINKS)
        wire.post(3, HEADERS)
        wire.post(5, HEADERS)
        await _until(lambda: len(it.gate.intents) == 3)
        await arrived.wait()
        await asyncio.sleep(0.01 * BLINKS)
        wire.reset(3)
        await asyncio.sleep(0.01 * BLINKS)
        opens.set()
        await _until(lambda: wire.ended == {1, 5})
        await it.ended(3)
        await it.provider.stop()
        await asyncio.gather(*pipes, return_exceptions=True)
    ends = {call_id: (end.sent, end.error) for call_id, _, end in it.gate.settled}
    first, left, last = (intent.call_id for intent in it.gate.intents)
    assert ends == {first: (True, None), left: (False, "client"), last: (True, None)}
    assert len(it.provider.log.served) == 2


async def _piped(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
    finally:
        sink.close()
