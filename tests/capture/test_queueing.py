"""A provider takes only so many streams at once on one connection: what waits for one has not left, and may yet be free."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from capture.rig import ANTHROPIC, HEADERS, URL, Rig, body, rig
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


async def test_what_waits_for_a_stream_has_not_left(tmp_path: Path) -> None:
    """One stream at a time: three calls are held at once, each is `sent` only when its turn comes, and all are answered."""
    async with rig(tmp_path) as it, it.client(http2=True) as client:
        it.provider.context.streams_max = 1
        first = await _running(it, client, SLOW)
        others = [asyncio.ensure_future(client.post(URL, json=body(), headers=HEADERS)) for _ in range(2)]
        await _until(lambda: len(it.gate.intents) == 3)
        await asyncio.sleep(0.01 * BLINKS)
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

    def post(self, number: int, headers: dict[str, str]) -> None:
        head = [(":method", "POST"), (":scheme", "https"), (":authority", ANTHROPIC), (":path", "/v1/messages")]
        self.h2.send_headers(number, [*head, *headers.items(), ("content-type", "application/json")])
        self.h2.send_data(number, json.dumps(body()).encode(), end_stream=True)
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


async def test_a_client_that_leaves_the_queue_pays_nothing(tmp_path: Path) -> None:
    """It is let go at once, not when its turn would have come; the provider never hears of it; the others go on."""
    async with rig(tmp_path) as it:
        it.provider.context.streams_max = 1
        it.trust.set_alpn_protocols(["h2"])
        wire = Wire(*await it.tunnel())
        listening = asyncio.ensure_future(wire.listen())
        wire.post(1, SLOW)
        await _until(lambda: len(it.provider.log.served) == 1)
        for number in (3, 5):
            wire.post(number, HEADERS)
            await _until(lambda wanted=(number + 1) // 2: len(it.gate.intents) == wanted)  # type: ignore[misc]
        await asyncio.sleep(0.01 * BLINKS)
        wire.h2.reset_stream(3, h2.errors.ErrorCodes.CANCEL)
        wire.flush()
        await it.ended(1)
        assert not wire.statuses
        (call_id, _, end) = it.gate.settled[0]
        assert (call_id, end.sent, end.error) == (it.gate.intents[1].call_id, False, "client")
        await _until(lambda: wire.ended == {1, 5})
        await it.ended(3)
        listening.cancel()
    assert wire.statuses == {1: b"200", 5: b"200"}
    assert len(it.provider.log.served) == 2


async def test_what_waits_goes_on_over_a_new_connection(tmp_path: Path) -> None:
    """The provider breaks the connection while a call waits for a stream of it: that call never left, and is asked once, anew."""
    async with rig(tmp_path) as it, it.client(http2=True) as client:
        it.provider.context.streams_max = 1
        first = await _running(it, client, SLOW)
        second = asyncio.ensure_future(client.post(URL, json=body(), headers=HEADERS))
        await _until(lambda: len(it.gate.intents) == 2)
        await asyncio.sleep(0.01 * BLINKS)
        it.provider.hang_up()
        (lost, answered) = await asyncio.gather(first, second, return_exceptions=True)
        await it.ended(2)
    assert getattr(lost, "status_code", 502) == 502
    assert answered.status_code == 200
    assert sorted((end.sent, end.complete) for _, _, end in it.gate.settled) == [(True, False), (True, True)]
    assert len(it.provider.log.served) == 2


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
    async with door, rig(tmp_path) as it:
        it.trust.set_alpn_protocols(["h2"])
        wire = Wire(*await it.tunnel())
        listening = asyncio.ensure_future(wire.listen())
        wire.post(1, HEADERS)
        await _until(lambda: wire.ended == {1})
        it.provider.hang_up()
        await asyncio.sleep(0.01 * BLINKS)
        wire.post(3, HEADERS)
        wire.post(5, HEADERS)
        await _until(lambda: len(it.gate.intents) == 3)
        await arrived.wait()
        await asyncio.sleep(0.01 * BLINKS)
        wire.h2.reset_stream(3, h2.errors.ErrorCodes.CANCEL)
        wire.flush()
        await asyncio.sleep(0.01 * BLINKS)
        opens.set()
        await _until(lambda: wire.ended == {1, 5})
        await it.ended(3)
        listening.cancel()
        await it.provider.stop()
        await asyncio.gather(*pipes, return_exceptions=True)
        wire.writer.close()
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
