"""A stream that was made to report its usage, and that its budget ends: what is hidden stays hidden, and the cut can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from capture.rig import OPENAI, FakeGate, FakeRegistry, rig
from spendgate.gate.interface import Admitted
from spendgate.providers.interface import Head, Kind, Notice, Route
from spendgate.providers.openai_chat import OpenAIChat

NOTICE = Notice("Budget person/day is spent", "spent", request_id="c1")


class Asking(FakeRegistry):
    """One chat path, of a host that reports only when asked."""

    def __init__(self) -> None:
        super().__init__()
        self.dialects["openai-chat"] = OpenAIChat()

    def route(self, head: Head) -> Route:
        return Route("openai", "openai-chat", Kind.BILLABLE, head.path, asks_usage=True)


@pytest.mark.parametrize("http2", [False, True], ids=["http/1.1", "h2"])
@pytest.mark.parametrize("chunk", [0, 1, 7])
async def test_a_cut_follows_a_whole_event(tmp_path: Path, http2: bool, chunk: int) -> None:
    """Whatever was held back when it came: whole events without usage, then the error."""
    gate = FakeGate(answer=lambda intent: Admitted(intent.call_id, cut=True), notice=NOTICE)
    said = {"model": "gpt-5.1", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    headers = {
        "authorization": "Bearer sk-proj-x",
        "x-standin": f"size=40000; events=200; interval_ms=2; chunk={chunk}",
    }
    async with rig(tmp_path, gate=gate, registry=Asking()) as it, it.client(http2=http2) as client:
        url = f"https://{OPENAI}/v1/chat/completions"
        async with client.stream("POST", url, json=said, headers=headers) as response:
            got = b"".join([piece async for piece in response.aiter_raw()])
        await it.ended()
        [(_, reading, end)] = it.gate.settled
    *events, last, rest = got.split(b"\n\n")
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events if event.startswith(b"data: {")]
    assert rest == b""
    assert b'"error"' in last or b'"error"' in got[-600:]
    assert b"Budget person/day is spent" in got
    assert b'"usage"' not in got
    assert 1 <= len(chunks) < 200
    assert end.error == "cut"
    assert "usage asked for" in reading.flags
    assert replace(reading, flags=()).final is False
