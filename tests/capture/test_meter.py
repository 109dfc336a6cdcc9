"""The meter in a real running proxy, in front of a real TLS provider stand-in."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Generator
from pathlib import Path
from threading import Event

import pytest
from mitmproxy import connection, http
from msgspec.structs import replace

from capture.rig import (
    ANTHROPIC,
    HEADERS,
    KEY,
    OPENAI,
    URL,
    FakeGate,
    FakeLookup,
    FakeRegistry,
    Rig,
    body,
    refused,
    rig,
)
from spendgate.admission import RefusalKind
from spendgate.attribution import Peer
from spendgate.capture.call import Clock
from spendgate.capture.deciding import signs
from spendgate.capture.visitor import Visitor
from spendgate.exchange import State
from spendgate.gate.interface import Admitted, Gone, Intent
from spendgate.identity.interface import Endpoints
from spendgate.providers.anthropic import AnthropicMessages
from spendgate.providers.interface import Head, Notice, Route
from spendgate.providers.reading import Reading

NOTICE = Notice("Budget person/day is spent", "spent", request_id="c1")


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_counts_are_the_providers_and_the_call_ends_once(tmp_path: Path, http2: bool, stream: bool) -> None:
    """A call is held, sent and settled once, with the provider's counts, and its bytes arrive as they were sent."""
    async with rig(tmp_path) as it, it.client(http2=http2) as client:
        async with client.stream("POST", URL, json=body(stream=stream), headers=HEADERS) as response:
            got = b"".join([chunk async for chunk in response.aiter_raw()])
        await it.ended()
        served = it.provider.log.billable()[0]
        assert hashlib.sha256(got).hexdigest() == served.sha256
        [(call_id, reading, end)] = it.gate.settled
        assert it.gate.sent_ids == [call_id] == [intent.call_id for intent in it.gate.intents]
        assert (reading.parts[0].usage.input_tokens, reading.parts[0].usage.output_tokens) == (12, 7)
        assert (end.complete, end.sent, end.http_status, end.error) == (True, True, 200, None)
        assert end.response_bytes == len(got)
        assert it.gate.intents[0].attribution.person == "alice"
        assert it.gate.intents[0].attribution.process == "python"
        assert it.gate.intents[0].attribution.tool == "claude-code"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_every_encoding_in_every_cut_is_untouched_and_read(tmp_path: Path, stream: bool) -> None:
    """Whatever the content-encoding and however it is cut, one byte a write included: same bytes, same counts."""
    encodings = ["", "gzip", "deflate", "br", "zstd", "gzip,br"]
    scripts = [f"encoding={encoding}; chunk={chunk}" for encoding in encodings for chunk in (0, 1, 7)]
    async with rig(tmp_path) as it, it.client() as client:
        for number, script in enumerate(scripts, 1):
            headers = {**HEADERS, "x-standin": script}
            async with client.stream("POST", URL, json=body(stream=stream), headers=headers) as response:
                got = b"".join([chunk async for chunk in response.aiter_raw()])
            await it.ended(number)
            assert hashlib.sha256(got).hexdigest() == it.provider.log.billable()[-1].sha256, script
            usage = it.gate.settled[-1][1].parts[0].usage
            assert (usage.input_tokens, usage.output_tokens) == (12, 7), script


async def test_whose_a_connection_was_is_told_after_its_end(tmp_path: Path) -> None:
    """A client that ends at once has gone by the time that its process is found."""
    async with rig(tmp_path) as it:
        client = connection.Client(peername=("127.0.0.1", 5), sockname=("127.0.0.1", 6), timestamp_start=0)
        it.meter.client_connected(client)
        asked = it.meter.whose(client.id)
        it.meter.client_disconnected(client)
        assert (await asked).process == "python"
        assert (await it.meter.whose(client.id)).account is None


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
async def test_a_call_leaves_with_its_answer_where_a_connection_is_open(tmp_path: Path, http2: bool) -> None:
    """The first call of a client must wait for a connection upstream; the next ones go out over it at once, and say so."""
    async with rig(tmp_path) as it, it.client(http2=http2) as client:
        leaves: list[bool] = []

        def answer(intent: Intent) -> Admitted:
            leaves.append(intent.leaves())
            return Admitted(intent.call_id, cut=False)

        it.gate.answer = answer
        for _ in range(3):
            assert (await client.post(URL, json=body(), headers=HEADERS)).status_code == 200
        await it.ended(3)
        assert leaves[1:] == [True, True]
        assert len(it.gate.sent_ids) == 3


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
async def test_refused_call_sends_nothing(tmp_path: Path, http2: bool) -> None:
    """A refusal is the provider's own shape with our marker, and no request reaches the provider."""
    async with rig(tmp_path, gate=FakeGate(answer=refused)) as it, it.client(http2=http2) as client:
        response = await client.post(URL, json=body(), headers=HEADERS)
        assert response.status_code == 429
        assert response.json()["error"]["message"] == "Budget person/day is spent: $20.00 of $20.00"
        assert response.headers["x-spendgate"] == "refused; rule=person/day"
        assert response.headers["x-should-retry"] == "false"
        assert "retry-after" not in response.headers
        assert it.provider.log.served == []
        assert it.gate.settled == it.gate.seen == it.gate.sent_ids == []


@pytest.mark.parametrize(("agent", "status"), [("opencode/1.0", 402), ("claude-cli/2.1.197 (external, cli)", 429)])
async def test_the_gate_is_told_how_a_client_is_refused(tmp_path: Path, agent: str, status: int) -> None:
    """Its row has the status that the client gets, which depends on the client."""
    async with rig(tmp_path, gate=FakeGate(answer=refused)) as it, it.client() as client:
        response = await client.post(f"https://{OPENAI}/v1/responses", json=body(), headers={"user-agent": agent})
        [asked] = it.gate.intents
        assert (response.status_code, asked.answers(refused(asked))) == (status, status)


async def test_passing_refusal_carries_its_wait(tmp_path: Path) -> None:
    """Money that is only held by others: the client may come back, and when."""
    gate = FakeGate(answer=lambda intent: refused(intent, RefusalKind.HELD, 1_200))
    async with rig(tmp_path, gate=gate) as it, it.client() as client:
        response = await client.post(URL, json=body(), headers=HEADERS)
        assert (response.status_code, response.headers["retry-after"]) == (429, "2")


async def test_a_client_that_repeats_a_final_refusal_is_answered_from_memory(tmp_path: Path) -> None:
    """From the fourth identical request on the gate is not asked, and another request still is."""
    async with rig(tmp_path, gate=FakeGate(answer=refused)) as it, it.client() as client:
        for _ in range(6):
            assert (await client.post(URL, json=body(), headers=HEADERS)).status_code == 429
        assert len(it.gate.intents) == 3
        # "hello" and five other letters: as long, and another request.
        await client.post(URL, json=body(size=5), headers=HEADERS)
        await client.post(URL, json=body(), headers={**HEADERS, "x-api-key": "sk-ant-api03-another"})
        assert len(it.gate.intents) == 5


async def test_repeats_are_told_to_the_gate_when_it_is_asked_again(tmp_path: Path) -> None:
    """What was answered from memory is counted with the next decision about the same request, once."""
    now = [1_000_000]
    async with rig(tmp_path, gate=FakeGate(answer=refused)) as it, it.client() as client:
        it.meter._deciding._clock = Clock(now_ms=lambda: now[0])
        for _ in range(9):
            await client.post(URL, json=body(), headers=HEADERS)
        now[0] += 2_000
        for _ in range(2):
            await client.post(URL, json=body(), headers=HEADERS)
        assert [intent.repeats for intent in it.gate.intents] == [0, 0, 0, 6]


@pytest.mark.parametrize("deployment", ["gpt-a", "gpt-b"])
async def test_the_paths_model_is_the_requests(tmp_path: Path, deployment: str) -> None:
    """The path's model answers (Azure deployments), whatever the body says or leaves out."""

    class Azure(FakeRegistry):
        def route(self, head: Head) -> Route:
            return replace(super().route(head), model=deployment)

    async with rig(tmp_path, registry=Azure()) as it, it.client() as client:
        await client.post(URL, json={"max_tokens": 5, "messages": []}, headers=HEADERS)
        await client.post(URL, json=body(), headers=HEADERS)
        assert [intent.ask.model for intent in it.gate.intents] == [deployment, deployment]


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
@pytest.mark.parametrize("sent", [b"", b"{}"], ids=["no body", "body"])
async def test_a_request_that_names_another_provider_goes_nowhere(tmp_path: Path, http2: bool, sent: bytes) -> None:
    """Whose rules and prices hold would be the client's choice: it is answered 421, recorded, and asked about nowhere."""
    async with rig(tmp_path) as it, it.client(http2=http2) as client:
        response = await client.post(URL, content=sent, headers={**HEADERS, "host": OPENAI})
        assert response.status_code == 421
        await it.ended(0, seen=1)
        assert it.provider.log.served == [] and it.gate.intents == []
        [seen] = it.gate.seen
        assert (seen.state, seen.end.http_status, seen.flags) == (State.FAILED, 421, ("names two providers",))
        for same in (ANTHROPIC.upper(), f"{ANTHROPIC}:443", "elsewhere.example"):
            assert (await client.post(URL, json=body(), headers={**HEADERS, "host": same})).status_code == 200


@pytest.mark.parametrize("allow", [False, True], ids=["refuse", "allow"])
async def test_a_gate_that_raises_is_on_failures_to_decide(tmp_path: Path, allow: bool) -> None:
    """A fault before the hold never lets a call pass by itself."""
    gate = FakeGate(answer=lambda intent: RuntimeError("boom"))
    if allow:
        gate.on_failure = lambda intent: Admitted(intent.call_id, cut=False)
    async with rig(tmp_path, gate=gate) as it, it.client() as client:
        response = await client.post(URL, json=body(), headers=HEADERS)
        assert response.status_code == (200 if allow else 429)
        assert gate.faults == ["RuntimeError"]
        await it.ended(int(allow))
        assert len(it.provider.log.billable()) == len(gate.settled) == int(allow)


async def test_a_request_that_cannot_be_routed_does_not_pass(tmp_path: Path) -> None:
    """A fault in the registry is a decision of `on_failure`, not a pass."""
    async with rig(tmp_path) as it, it.client() as client:
        it.registry.broken = True
        assert (await client.post(URL, json=body(), headers=HEADERS)).status_code == 429
        assert it.provider.log.served == []


async def test_a_refusal_that_cannot_be_rendered_is_still_one(tmp_path: Path) -> None:
    """A fault in a dialect's refusal gives a plain 429; mitmproxy would have let the request pass."""

    class Broken(AnthropicMessages):
        def refusal(self, *_: object, **__: object):
            raise ValueError("boom")

    registry = FakeRegistry()
    registry.dialects["anthropic-messages"] = Broken()
    async with rig(tmp_path, gate=FakeGate(answer=refused), registry=registry) as it, it.client() as client:
        assert (await client.post(URL, json=body(), headers=HEADERS)).status_code == 429
        assert it.provider.log.served == []


async def test_a_request_may_name_whose_prices_hold(tmp_path: Path) -> None:
    """A reseller's envelope tells the vendor (Zed): the gate is asked with that one's price list."""

    class Resold(AnthropicMessages):
        def asked(self, *given):
            return replace(super().asked(*given), prices="openai")

    registry = FakeRegistry()
    registry.dialects["anthropic-messages"] = Resold()
    async with rig(tmp_path, registry=registry) as it, it.client() as client:
        assert (await client.post(URL, json=body(), headers=HEADERS)).status_code == 200
        await it.ended()
        assert [(intent.route.provider, intent.route.prices) for intent in it.gate.intents] == [("anthropic", "openai")]


class _Raising:
    """A reader that raises where it is told to."""

    def __init__(self, where: str) -> None:
        self.where = where

    def _maybe(self, place: str) -> None:
        if place == self.where:
            raise ValueError("content-canary")

    def feed(self, data: bytes) -> bool:
        self._maybe("feed")
        return True

    def reading(self) -> Reading:
        self._maybe("reading")
        return Reading()

    def close(self) -> Reading:
        self._maybe("close")
        return Reading()


@pytest.mark.parametrize("where", ["feed", "reading", "close", "make"])
async def test_a_failing_reader_costs_no_byte(tmp_path: Path, where: str) -> None:
    """Whatever a reader raises, the client gets every byte and the call is settled, flagged with the fault's class alone."""

    class Dialect(AnthropicMessages):
        def reader(self, *_: object):
            if where == "make":
                raise ValueError("content-canary")
            return _Raising(where)

    registry = FakeRegistry()
    registry.dialects["anthropic-messages"] = Dialect()
    async with rig(tmp_path, registry=registry) as it, it.client() as client:
        async with client.stream("POST", URL, json=body(stream=True), headers=HEADERS) as response:
            got = b"".join([chunk async for chunk in response.aiter_raw()])
        await it.ended()
        assert hashlib.sha256(got).hexdigest() == it.provider.log.billable()[0].sha256
        [(_, reading, end)] = it.gate.settled
        assert end.complete
        assert any(flag.startswith("reader failed: ") for flag in reading.flags)
        assert "content-canary" not in repr(reading)


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
async def test_a_server_that_breaks_off_is_settled_as_such(tmp_path: Path, http2: bool) -> None:
    """What was read up to the break is what the gate gets, and who broke off."""
    headers = {**HEADERS, "x-standin": "break_after=500"}
    async with rig(tmp_path) as it, it.client(http2=http2) as client:
        with pytest.raises(Exception, match=r"."):
            await client.post(URL, json=body(stream=True), headers=headers)
        await it.ended()
        [(_, reading, end)] = it.gate.settled
        assert (end.complete, end.error, end.sent) == (False, "server", True)
        assert reading.parts[0].usage.input_tokens == 12


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
async def test_a_client_that_leaves_mid_stream_is_settled(tmp_path: Path, http2: bool) -> None:
    """The client hangs up during its answer: one settlement, incomplete, by the client."""
    headers = {**HEADERS, "x-standin": "events=1000; interval_ms=20"}
    async with rig(tmp_path) as it:
        async with (
            it.client(http2=http2) as client,
            client.stream("POST", URL, json=body(stream=True), headers=headers) as response,
        ):
            await anext(response.aiter_raw())
        await it.ended()
        [(_, _, end)] = it.gate.settled
        assert (end.complete, end.error, end.sent) == (False, "client", True)


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
async def test_a_client_that_leaves_while_its_call_waits_sends_nothing(tmp_path: Path, http2: bool) -> None:
    """The gate can see that a waiter has gone, and even if it admits, nothing is sent and the hold ends."""
    gate = FakeGate(gap=asyncio.Event())
    async with rig(tmp_path, gate=gate) as it:
        async with it.client(http2=http2) as client:
            asked = asyncio.ensure_future(client.post(URL, json=body(), headers=HEADERS))
            while not gate.intents:
                await asyncio.sleep(0.01)
            assert not gate.intents[0].gone()
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        while not gate.intents[0].gone():
            await asyncio.sleep(0.01)
        gate.gap.set()
        await it.ended()
        [(_, _, end)] = gate.settled
        assert (end.sent, end.complete, end.error) == (False, False, "client")
        assert it.provider.log.served == gate.sent_ids == []


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
async def test_a_client_that_leaves_before_its_call_is_asked_for_holds_nothing(
    tmp_path: Path, http2: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its row is written when it leaves, while its process is still looked for: no hold may follow that nothing would end."""
    found, looked = asyncio.Event(), asyncio.Event()

    async def known(visitor: Visitor) -> Peer:
        looked.set()
        await found.wait()
        return visitor.peer

    monkeypatch.setattr(Visitor, "known", known)
    async with rig(tmp_path) as it:
        async with it.client(http2=http2) as client:
            asked = asyncio.ensure_future(client.post(URL, json=body(), headers=HEADERS))
            await looked.wait()
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        await it.ended(0, seen=1)
        found.set()
        await asyncio.sleep(0.1)
        assert [seen.state for seen in it.gate.seen] == [State.FAILED]
        assert it.gate.intents == it.gate.settled == it.provider.log.served == []
    assert "an addon failed" not in caplog.text


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
async def test_a_provider_that_cannot_be_reached_costs_nothing(tmp_path: Path, http2: bool) -> None:
    """Admitted, but never given to an upstream connection: ended as not sent."""
    async with rig(tmp_path) as it, it.client(http2=http2) as client:
        await client.post(URL, json=body(), headers=HEADERS)
        await it.ended()
        await it.provider.stop()
        response = await client.post(URL, json=body(), headers=HEADERS)
        assert response.status_code == 502
        assert (
            f"The gate could not reach {ANTHROPIC}: the connection was refused." in response.json()["error"]["message"]
        )
        assert response.headers["x-should-retry"] == "true"
        await it.ended(2)
        assert [end.sent for _, _, end in it.gate.settled] == [True, False]
        assert len(it.gate.sent_ids) == 1


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
async def test_a_provider_that_was_never_reached_is_told_of_in_its_own_words(tmp_path: Path, http2: bool) -> None:
    """Not as a CONNECT that failed, whose text clients lose; a CONNECT to anybody else fails, and says why."""
    async with rig(tmp_path) as it, it.client(http2=http2) as client:
        port = it.provider.port
        await it.provider.stop()
        response = await client.post(URL, json=body(), headers=HEADERS)
        assert response.status_code == 502
        assert (
            f"The gate could not reach {ANTHROPIC}: the connection was refused." in response.json()["error"]["message"]
        )
        await it.ended()
        assert [end.sent for _, _, end in it.gate.settled] == [False]
        assert it.gaps == []
        with pytest.raises(OSError):  # what is not read there ends as it would at the provider
            await asyncio.wait_for(_nameless(it), 60)
        reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
        writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(2_000), 60)
        assert (
            answer.startswith(b"HTTP/1.1 502 ") and b"could not reach 127.0.0.1: the connection was refused" in answer
        )
        writer.close()


async def test_a_gate_that_says_gone_has_nothing_settled(tmp_path: Path) -> None:
    """Gone has its row already: nothing is sent, nothing settled."""
    gate = FakeGate(answer=lambda intent: Gone(intent.call_id))
    async with rig(tmp_path, gate=gate) as it, it.client() as client:
        with pytest.raises(Exception, match=r"."):
            await client.post(URL, json=body(), headers=HEADERS)
        assert it.provider.log.served == gate.settled == gate.seen == []


async def test_what_costs_nothing_is_recorded_and_never_asked_about(tmp_path: Path) -> None:
    """Free and unrecognized exchanges pass in both directions and have a row with bytes and status."""
    async with rig(tmp_path, gate=FakeGate(answer=refused)) as it, it.client() as client:
        counted = await client.post(f"{URL}/count_tokens", json=body(), headers=HEADERS)
        unknown = await client.post(f"https://{ANTHROPIC}/v1/nobody/knows", content=b"x" * 5000, headers=HEADERS)
        head = await client.head(f"https://{ANTHROPIC}/", headers=HEADERS)
        assert (counted.status_code, unknown.status_code, head.status_code) == (200, 404, 200)
        await it.ended(0, seen=3)
        assert it.gate.intents == it.gate.settled == []
        free, other, third = it.gate.seen
        assert (free.state, free.end.http_status, free.end.response_bytes) == (State.FREE, 200, len(counted.content))
        assert (other.state, other.request_bytes, other.end.http_status) == (State.UNRECOGNIZED, 5000, 404)
        assert third.end.complete
        assert free.attribution.person == "alice"
        assert free.ask.api_key is not None
        assert KEY not in repr(it.gate.seen)


async def test_what_nobody_waits_for_has_its_process_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exchange that is not held goes on at once; its row, written at its end, names the process that was found meanwhile."""
    at_once, found = FakeLookup.process, Event()

    def later(self: FakeLookup, peer: Peer, ends: Endpoints) -> Peer:
        found.wait(10)
        return at_once(self, peer, ends)

    monkeypatch.setattr(FakeLookup, "process", later)

    async def parts():
        yield b"x" * 100
        await asyncio.sleep(0.2)
        found.set()
        await asyncio.sleep(0.2)
        yield b"x"

    async with rig(tmp_path, gate=FakeGate(answer=refused)) as it, it.client() as client:
        await client.post(f"https://{ANTHROPIC}/v1/nobody/knows", content=parts(), headers=HEADERS)
        await it.ended(0, seen=1)
        assert [seen.attribution.process for seen in it.gate.seen] == ["python"]


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "grows"])
async def test_a_request_beyond_the_bound_is_answered_while_it_is_sent(
    tmp_path: Path, http2: bool, chunked: bool
) -> None:
    """413 in the provider's shape, a row, and nothing upstream; the rest of the body is dropped."""

    async def parts():
        for _ in range(40):
            yield b"x" * 50_000

    content = parts() if chunked else b"x" * 2_000_000
    async with rig(tmp_path) as it, it.client(http2=http2) as client:
        response = await client.post(URL, content=content, headers=HEADERS)
        assert response.status_code == 413
        assert response.json()["error"]["type"] == "request_too_large"
        assert it.provider.log.served == it.gate.intents == []
        await it.ended(0, seen=1)
        [seen] = it.gate.seen
        assert (seen.state, seen.end.http_status) == (State.FAILED, 413)
        again = await client.post(URL, json=body(), headers=HEADERS)
        assert again.status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_encoded_requests_are_read(tmp_path: Path, encoding: str) -> None:
    """The model of a compressed request is seen; its bytes go upstream as they came."""
    import gzip
    import json

    import zstandard

    plain = json.dumps(body(size=100_000)).encode()
    packed = gzip.compress(plain) if encoding == "gzip" else zstandard.compress(plain)
    async with rig(tmp_path) as it, it.client() as client:
        await client.post(URL, content=packed, headers={**HEADERS, "content-encoding": encoding})
        assert it.gate.intents[0].ask.model == "claude-sonnet-4-5"
        assert it.provider.log.billable()[0].request_bytes == len(packed)


@pytest.mark.parametrize(("step_s", "turns"), [(0.0001, 19), (0.0005, 99), (0.0, 0)], ids=["quick", "slow", "at once"])
async def test_others_have_their_turn_when_time_is_up(step_s: float, turns: int) -> None:
    """However many steps that is; on a quick machine several fit into one turn."""
    from spendgate.capture.asked import in_steps

    had, now_s = 0, 0.0

    async def others() -> None:
        nonlocal had
        while True:
            await asyncio.sleep(0)
            had += 1

    def work() -> Generator[None, None, str]:
        nonlocal now_s
        for _ in range(99):
            now_s += step_s
            yield
        return "done"

    turning = asyncio.ensure_future(others())
    await asyncio.sleep(0)
    assert await in_steps(work(), lambda: now_s) == "done"
    assert had == pytest.approx(turns, abs=1)
    turning.cancel()


async def test_a_long_body_is_read_while_the_loop_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a megabyte, however it is made, only a small part is read before others can have their turn."""
    import json

    from mitmproxy import http

    from spendgate.capture import asked
    from spendgate.capture.asked import ask_of
    from spendgate.providers.interface import Head, Kind, Route

    monkeypatch.setattr(asked, "TURN_S", 0)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    route = Route("anthropic", "anthropic-messages", Kind.BILLABLE, "/v1/messages")
    for filler in ("x" * 1_000_000, [{"model": "nested", "n": n} for n in range(40_000)]):
        content = json.dumps({"messages": filler, **{"model": "m", "max_tokens": 9}}).encode()
        request = http.Request.make("POST", URL, content, HEADERS)
        turning = asyncio.ensure_future(others())
        before = turns
        head = Head("POST", ANTHROPIC, "/v1/messages", "", request.headers)
        ask = await ask_of(request, head, AnthropicMessages(), route)
        assert (ask.model, ask.output_tokens_max) == ("m", 9)
        assert turns - before >= len(content) // (128 * 1024)
        turning.cancel()


async def test_an_unreadable_request_has_no_bound(tmp_path: Path) -> None:
    """A body that is not the dialect's is asked about as a call without model and bound."""
    async with rig(tmp_path) as it, it.client() as client:
        await client.post(URL, content=b"\x00\x01", headers={**HEADERS, "content-encoding": "nonsense"})
        ask = it.gate.intents[0].ask
        assert (ask.model, ask.loops, ask.tool.value) == (None, True, "claude-code")


@pytest.mark.parametrize("http2", [False, True], ids=["connections", "one h2 connection"])
async def test_a_hundred_at_once_end_once_each(tmp_path: Path, http2: bool) -> None:
    """100 concurrent streams: each held, sent and settled once, each with its own counts."""
    async with rig(tmp_path) as it, it.client(http2=http2) as client:

        async def one(number: int) -> None:
            headers = {**HEADERS, "x-standin": f"input={number}; output={number + 1}; delay_ms=50"}
            response = await client.post(URL, json=body(stream=True), headers=headers)
            assert response.status_code == 200

        await asyncio.gather(*(one(number) for number in range(100)))
        await it.ended(100)
        usages = [reading.parts[0].usage for _, reading, _ in it.gate.settled]
        assert sorted(usage.input_tokens or 0 for usage in usages) == list(range(100))
        assert all(usage.output_tokens == (usage.input_tokens or 0) + 1 for usage in usages)
        ids = [call_id for call_id, _, _ in it.gate.settled]
        assert len(set(ids)) == 100
        assert sorted(ids) == sorted(it.gate.sent_ids)


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
async def test_a_cut_ends_the_stream_in_its_dialect(tmp_path: Path, http2: bool) -> None:
    """The client gets whole events and then the dialect's error; upstream stops; the connection goes on."""
    gate = FakeGate(answer=lambda intent: Admitted(intent.call_id, cut=True), notice=NOTICE)
    headers = {**HEADERS, "x-standin": "events=2000; interval_ms=10", "accept-encoding": "gzip"}
    async with rig(tmp_path, gate=gate) as it, it.client(http2=http2) as client:
        response = await client.post(URL, json=body(stream=True), headers=headers)
        assert response.content.endswith(AnthropicMessages().cut(NOTICE))
        events = response.content.split(b"\n\n")
        assert all(event.startswith(b"event: ") for event in events if event)
        await it.ended()
        [(_, reading, end)] = gate.settled
        assert (end.complete, end.error) == (False, "cut")
        assert reading.parts[0].usage.input_tokens == 12
        gate.notice = None
        async with asyncio.timeout(30):
            while not it.provider.log.served[0].ended_ms:
                await asyncio.sleep(0.01)
        assert not it.provider.log.served[0].complete
        assert (await client.post(URL, json=body(), headers=HEADERS)).status_code == 200


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
async def test_an_encoded_stream_is_cut_by_breaking_off(tmp_path: Path, http2: bool) -> None:
    """Where no readable frame can follow, the client sees a broken stream, never one that looks whole."""
    gate = FakeGate(answer=lambda intent: Admitted(intent.call_id, cut=True), notice=NOTICE)
    headers = {**HEADERS, "x-standin": "events=2000; interval_ms=10; encoding=gzip"}
    async with rig(tmp_path, gate=gate) as it, it.client(http2=http2) as client:
        with pytest.raises(Exception, match=r"."):
            await client.post(URL, json=body(stream=True), headers=headers)
        await it.ended()
        assert gate.settled[0][2].error == "cut"


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (
            "AWS4-HMAC-SHA256 Credential=A/1/r/bedrock/aws4_request, SignedHeaders=accept-encoding;host, Signature=0",
            True,
        ),
        ("AWS4-HMAC-SHA256 Credential=A, SignedHeaders=host;x-amz-date, Signature=accept-encoding", False),
        ("AWS4-HMAC-SHA256 Credential=A, SignedHeaders=host;x-accept-encoding, Signature=0", False),
        ("Bearer x", False),
        ("", False),
    ],
)
def test_a_signed_header_is_not_changed(authorization: str, expected: bool) -> None:
    """Anthropic's client for Bedrock signs `accept-encoding`: with another one AWS would turn the call away."""
    request = http.Request.make("POST", "https://x.example/", headers={"authorization": authorization})
    assert signs(request, "accept-encoding") is expected


async def test_without_cut_a_spent_budget_does_not_end_a_stream(tmp_path: Path) -> None:
    """A notice for a call whose budgets do not say `cut` changes nothing."""
    async with rig(tmp_path, gate=FakeGate(notice=NOTICE)) as it, it.client() as client:
        headers = {**HEADERS, "x-standin": "interval_ms=20"}
        response = await client.post(URL, json=body(stream=True), headers=headers)
        assert hashlib.sha256(response.content).hexdigest() == it.provider.log.billable()[0].sha256
        assert it.gate.cues, "the first counts are a cue"


async def test_nothing_secret_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Keys, prompts and answers are in no log record, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    gate = FakeGate(answer=lambda intent: RuntimeError("prompt-canary"))
    async with rig(tmp_path, gate=gate) as it, it.client() as client:
        for script in ("", "break_after=10", "status=529"):
            await client.post(URL, json={**body(), "system": "prompt-canary"}, headers={**HEADERS, "x-standin": script})
        it.registry.broken = True
        await client.post(URL, json=body(), headers=HEADERS)
        await client.post(f"{URL}?key=query-canary", json=body(), headers=HEADERS)
    ours = [record for record in caplog.records if record.name.startswith(("spendgate", "mitmproxy"))]
    assert ours
    text = "\n".join(caplog.handler.format(record) for record in ours)
    for canary in ("prompt-canary", KEY, "query-canary", "secret-canary", "stand-in."):
        assert canary not in text


async def test_an_answer_of_any_size_leaves_memory_flat(tmp_path: Path) -> None:
    """A long answer and a decompression bomb pass in bounded memory."""
    import psutil

    async with rig(tmp_path) as it, it.client() as client:
        process = psutil.Process()
        for number, script in enumerate(("size=30000000", "size=300000000; encoding=gzip"), 1):
            before = process.memory_info().rss
            headers = {**HEADERS, "x-standin": script}
            async with client.stream("POST", URL, json=body(), headers=headers) as response:
                async for _ in response.aiter_raw():
                    pass
            await it.ended(number)
            assert process.memory_info().rss - before < 48 * 1024 * 1024, script


async def _nameless(it: Rig) -> None:
    """A TLS connection to the provider by its address, which names nobody."""
    reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
    writer.write(f"CONNECT {ANTHROPIC}:443 HTTP/1.1\r\nhost: {ANTHROPIC}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    try:
        await writer.start_tls(trust)
    finally:
        writer.close()
