"""Requests that stay open while they are answered, on a running proxy: decided on their first message, both ways at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from capture.rig import ANTHROPIC, FakeGate, FakeRegistry, Rig, refused, rig
from capture.test_answers import in_its_place
from providers.connect_frames import ended, frame, last, msg, run_request, text
from spendgate.capture import asked, first_message
from spendgate.exchange import State
from spendgate.gate.interface import Admitted, Gone, Intent
from spendgate.providers.connect import FIRST_BYTES_MAX, Envelopes
from spendgate.providers.cursor import Cursor
from spendgate.providers.interface import Head, Kind, Notice, Route

RUN, SSE = "/agent.v1.AgentService/Run", "/agent.v1.AgentService/RunSSE"
APPEND = "/aiserver.v1.BidiService/BidiAppend"


class Registry(FakeRegistry):
    """Cursor, at the rig's host."""

    def __init__(self) -> None:
        super().__init__()
        self.dialects["cursor"] = Cursor()

    def route(self, head: Head) -> Route:
        return Route("cursor", "cursor", Kind.BILLABLE, head.path.lower())


@dataclass
class Upstream:
    """What the provider heard, as it came."""

    heard: bytearray
    heads: list[bytes]
    more: asyncio.Event

    async def until(self, size: int) -> bytes:
        """So many bytes of bodies."""
        async with asyncio.timeout(30):
            while len(self.heard) < size:
                self.more.clear()
                await self.more.wait()
        return bytes(self.heard)


@contextlib.asynccontextmanager
async def talking(it: Rig, answers: list[bytes]) -> AsyncIterator[Upstream]:
    """A provider that answers each chunk of a request at once with the next of these."""
    upstream = Upstream(bytearray(), [], asyncio.Event())

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            upstream.heads.append(await reader.readuntil(b"\r\n\r\n"))
            kind = b"application/proto" if b"BidiAppend" in upstream.heads[-1] else b"application/connect+proto"
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n" % kind)
            if b"chunked" not in upstream.heads[-1]:
                upstream.heard += await reader.read(65536)
                writer.write(b"0\r\n\r\n")
                return
            left = list(answers)
            while size := int(await reader.readline() or b"0", 16):
                upstream.heard += (await reader.readexactly(size + 2))[:-2]
                upstream.more.set()
                if left:
                    writer.write(_chunk(left.pop(0)))
            for answer in left:
                writer.write(_chunk(answer))
            writer.write(b"0\r\n\r\n")
            await writer.drain()

    async with in_its_place(it, serve):
        yield upstream


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def opened(it: Rig, path: str = RUN) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request whose body is still to come."""
    reader, writer = await it.tunnel()
    head = f"POST {path} HTTP/1.1\r\nhost: {ANTHROPIC}\r\ncontent-type: application/connect+proto\r\n"
    writer.write(f"{head}connect-content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n".encode())
    return reader, writer


async def until(reader: asyncio.StreamReader, mark: bytes) -> bytes:
    """All up to this."""
    return await asyncio.wait_for(reader.readuntil(mark), 30)


def of_cursor() -> FakeRegistry:
    return Registry()


async def test_both_ways_at_once_and_nothing_is_kept(tmp_path: Path) -> None:
    """Each message goes up and its answer comes down before the next is sent; the counts at the end are the turn's."""
    answers = [frame(text("one")), frame(text("two"), 1), frame(ended(f1=100, f2=9)) + last()]
    async with rig(tmp_path, registry=of_cursor()) as it, talking(it, answers) as upstream:
        reader, writer = await opened(it)
        messages = [frame(run_request()), frame(msg(f2=b"result" * 50)), frame(msg(f2=b"more"), 1)]
        sent = b""
        for message, answer in zip(messages, answers, strict=True):
            writer.write(_chunk(message))
            sent += message
            assert await upstream.until(len(sent)) == sent
            await until(reader, answer)
        writer.write(b"0\r\n\r\n")
        await until(reader, b"0\r\n\r\n")
        await it.ended()
        [(_, reading, end)] = it.gate.settled
        assert (reading.final, reading.parts[0].usage.output_tokens) == (True, 9)
        assert reading.input_bytes == len(msg(f2=b"result" * 50)) + len(msg(f2=b"more"))
        assert f"request went on for {len(sent) - len(messages[0])} bytes" in reading.flags
        assert (end.complete, end.sent) == (True, True)
        [intent] = it.gate.intents
        assert (intent.ask.model, intent.request_bytes) == ("composer-2.5", len(messages[0]))
        writer.close()


async def test_nothing_leaves_before_it_is_admitted(tmp_path: Path) -> None:
    """What the client sends while its call waits is sent on in order once it may."""
    gate = FakeGate(gap=asyncio.Event())
    async with rig(tmp_path, gate=gate, registry=of_cursor()) as it, talking(it, [last()]) as upstream:
        reader, writer = await opened(it)
        sent = [frame(run_request()), *(frame(msg(f2=bytes([at]) * 30)) for at in range(200))]
        for part in sent:
            writer.write(_chunk(part))
        await writer.drain()
        async with asyncio.timeout(30):
            while not gate.intents:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert upstream.heads == []
        assert gate.gap is not None
        gate.gap.set()
        assert await upstream.until(len(b"".join(sent))) == b"".join(sent)
        writer.write(b"0\r\n\r\n")
        await until(reader, b"0\r\n\r\n")
        writer.close()


async def test_a_client_that_never_stops_sending_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of a request that waits is bounded."""
    monkeypatch.setattr(first_message, "QUEUED_BYTES_MAX", 100_000)

    class Waits(FakeGate):
        async def hold(self, intent: Intent) -> Admitted | Gone:  # type: ignore[override]  # fewer answers
            self.intents.append(intent)
            async with asyncio.timeout(30):
                while not intent.gone():
                    await asyncio.sleep(0.01)
            return Gone(intent.call_id)

    async with rig(tmp_path, gate=Waits(), registry=of_cursor()) as it, talking(it, []) as upstream:
        reader, writer = await opened(it)
        writer.write(_chunk(frame(run_request())))
        writer.write(_chunk(frame(b"x" * 200_000)))
        assert await asyncio.wait_for(reader.read(), 30) == b""
        assert upstream.heads == []
        writer.close()


async def test_an_open_stream_is_refused_by_its_last_envelope(tmp_path: Path) -> None:
    """HTTP 200 and one envelope while the body is open; nothing goes upstream."""
    gate = FakeGate(answer=refused)
    async with rig(tmp_path, gate=gate, registry=of_cursor()) as it, talking(it, []) as upstream:
        reader, writer = await opened(it)
        writer.write(_chunk(frame(run_request())))
        head = await until(reader, b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"application/connect+proto" in head
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        [envelope] = Envelopes(None).feed(await asyncio.wait_for(reader.readexactly(length), 30))
        assert json.loads(envelope.data or b"")["error"]["message"].startswith("Budget person/day is spent")
        assert upstream.heads == []
        writer.close()


async def test_a_running_stream_is_cut_after_a_whole_envelope(tmp_path: Path) -> None:
    """Half an envelope that has passed is completed first; then comes the last one, and the provider's stream is reset."""
    gate = FakeGate(
        answer=lambda intent: Admitted(intent.call_id, cut=True), notice=Notice("Budget is used up", "spent")
    )
    whole = frame(text("x" * 3000))
    async with rig(tmp_path, gate=gate, registry=of_cursor()) as it, talking(it, [whole + whole[:50], whole[50:]]):
        reader, writer = await opened(it)
        writer.write(_chunk(frame(run_request())))
        await until(reader, whole[:50])
        async with asyncio.timeout(30):
            while not gate.cues:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        writer.write(_chunk(frame(msg(f2=b"go on"))))
        rest = await until(reader, b"\r\n0\r\n\r\n")
        body = whole[50:] if whole[50:] in rest else b""
        assert body, "the envelope was not completed"
        assert b"resource_exhausted" in rest[rest.index(body) + len(body) :]
        await it.ended()
        [(_, _, end)] = gate.settled
        assert (end.complete, end.error) == (False, "cut")
        writer.close()


@pytest.mark.parametrize(
    "said", [b"\x00\x00\x00\x00\x05\xff\xff\xff\xff\xff", b"\x01\x00\x00\x00\x03abc", b"not Connect at all"]
)
async def test_garbage_passes_and_is_metered(tmp_path: Path, said: bytes) -> None:
    """A first message that nobody can read is decided as something unknown, and goes on as it came."""
    async with rig(tmp_path, registry=of_cursor()) as it, talking(it, [b"garbage too"]) as upstream:
        reader, writer = await opened(it)
        writer.write(_chunk(said) + b"0\r\n\r\n")
        assert await upstream.until(len(said)) == said
        await until(reader, b"garbage too")
        await until(reader, b"0\r\n\r\n")
        await it.ended()
        assert (it.gate.intents[0].ask.model, it.gate.intents[0].ask.loops) == (None, True)
        writer.close()


async def test_a_first_message_beyond_bounds_is_decided_on_its_beginning(tmp_path: Path) -> None:
    """It is not waited for to its end, and all of it goes on."""
    message = frame(msg(f1=msg(f5="conv-1", f9=msg(f1="composer-2.5"), f17=b"\0" * (FIRST_BYTES_MAX + 500_000))))
    async with rig(tmp_path, registry=of_cursor()) as it, talking(it, [last()]) as upstream:
        reader, writer = await opened(it)
        writer.write(_chunk(message[:-100_000]))
        async with asyncio.timeout(30):
            while not it.gate.intents:
                await asyncio.sleep(0.01)
        assert it.gate.intents[0].ask.model == "composer-2.5"
        assert it.gate.intents[0].request_bytes >= FIRST_BYTES_MAX
        writer.write(_chunk(message[-100_000:]) + b"0\r\n\r\n")
        assert await upstream.until(len(message)) == message
        await until(reader, b"0\r\n\r\n")
        writer.close()


async def append(it: Rig, number: int, message: bytes) -> tuple[int, bytes]:
    """One append of the run `req-1`: status and body of its answer."""
    async with it.client() as client:
        content = msg(f1=message.hex(), f2=msg(f1="req-1"), f3=number)
        headers = {"content-type": "application/proto"}
        answer = await client.post(f"https://{ANTHROPIC}{APPEND}", content=content, headers=headers)
        return answer.status_code, answer.content


async def test_a_stream_waits_for_what_its_append_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream that holds an id comes first: it is decided when the append has told the model, and the append is free."""
    monkeypatch.setattr(asked, "TOLD_S", 30.0)
    async with rig(tmp_path, registry=of_cursor()) as it, talking(it, [last()]):
        reader, writer = await opened(it, SSE)
        writer.write(_chunk(frame(msg(f1="req-1"))) + b"0\r\n\r\n")
        await asyncio.sleep(0.1)
        assert it.gate.intents == []
        assert (await append(it, 0, run_request("grok-4.5")))[0] == 200
        await until(reader, b"0\r\n\r\n")
        await it.ended(1, seen=1)
        assert [intent.ask.model for intent in it.gate.intents] == ["grok-4.5"]
        assert [seen.state for seen in it.gate.seen] == [State.FREE]
        writer.close()


async def test_a_stream_whose_append_never_comes_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for a bounded time only."""
    monkeypatch.setattr(asked, "TOLD_S", 0.1)
    async with rig(tmp_path, registry=of_cursor()) as it, talking(it, [last()]):
        reader, writer = await opened(it, SSE)
        writer.write(_chunk(frame(msg(f1="req-2"))) + b"0\r\n\r\n")
        await until(reader, b"0\r\n\r\n")
        await it.ended()
        assert it.gate.intents[0].ask.model is None
        writer.close()


async def test_an_append_that_begins_a_run_is_refused_where_all_is_spent(tmp_path: Path) -> None:
    """Each time, in Connect's JSON with 429; what belongs to a running turn passes."""
    async with rig(tmp_path, gate=FakeGate(broke=True), registry=of_cursor()) as it, talking(it, []) as upstream:
        for _ in range(2):
            status, said = await append(it, 0, run_request())
            assert (status, json.loads(said)["code"]) == (429, "resource_exhausted")
        assert upstream.heads == []
        assert (await append(it, 1, msg(f2=b"result")))[0] == 200
        assert len(it.gate.refused_ids) == 2
        assert it.gate.intents == []
