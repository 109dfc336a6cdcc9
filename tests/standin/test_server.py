"""The stand-in speaks what it says it speaks, and its log is the truth about what it sent."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import brotli  # type: ignore[import-untyped]  # ships no types
import httpx2
import openai
import pytest
import pytest_asyncio
import zstandard

from spendgate.standin.script import Script
from spendgate.standin.server import StandIn

PROMPT = [{"role": "user", "content": "hi"}]
PATHS = [
    pytest.param("/v1/messages", False, id="messages"),
    pytest.param("/v1/messages", True, id="messages stream"),
    pytest.param("/v1/chat/completions", False, id="chat"),
    pytest.param("/v1/chat/completions", True, id="chat stream"),
    pytest.param("/v1/responses", False, id="responses"),
    pytest.param("/v1/responses", True, id="responses stream"),
    pytest.param("/v1/embeddings", False, id="embeddings"),
    pytest.param("/openai/deployments/mine/chat/completions", False, id="azure chat"),
]


@pytest_asyncio.fixture
async def standin() -> AsyncIterator[StandIn]:
    """A stand-in on a free port."""
    server = StandIn()
    await server.start()
    yield server
    await server.stop()


def client(standin: StandIn, *, http2: bool = False) -> httpx2.AsyncClient:
    trust = ssl.create_default_context(cadata=standin.ca_pem.decode())
    return httpx2.AsyncClient(base_url=f"https://localhost:{standin.port}", verify=trust, http2=http2, timeout=60)


async def raw(
    http: httpx2.AsyncClient, path: str, script: str, *, stream: bool = False
) -> tuple[httpx2.Response, bytes]:
    """The answer's head and the bytes of its body as they came."""
    body = {"model": "m", "stream": stream, "messages": PROMPT, "input": "hi"}
    async with http.stream("POST", path, json=body, headers={"x-standin": script}) as response:
        return response, b"".join([part async for part in response.aiter_raw()])


@pytest.mark.parametrize("http2", [pytest.param(False, id="h1"), pytest.param(True, id="h2")])
@pytest.mark.parametrize(("path", "stream"), PATHS)
async def test_the_log_has_the_hash_of_what_arrived(standin: StandIn, path: str, *, stream: bool, http2: bool) -> None:
    """In 1-byte writes and encoded: bytes sent equal bytes received, and counts are those asked for."""
    async with client(standin, http2=http2) as http:
        response, body = await raw(http, path, "chunk=1; encoding=gzip; input=31; output=41", stream=stream)
    served = standin.log.served[-1]
    assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
    assert (served.sha256, served.bytes_sent) == (hashlib.sha256(body).hexdigest(), len(body))
    assert served.complete
    assert served.billable
    assert served.usage is not None
    assert (served.usage.input_tokens, served.usage.output_tokens) == (31, 41)


@pytest.mark.parametrize(
    ("encoding", "decode"),
    [
        pytest.param("gzip", gzip.decompress, id="gzip"),
        pytest.param("br", brotli.decompress, id="br"),
        pytest.param("zstd", lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data), id="zstd"),
        pytest.param("gzip,br", lambda data: gzip.decompress(brotli.decompress(data)), id="br over gzip"),
    ],
)
async def test_an_encoded_answer_decodes_to_the_same(standin: StandIn, encoding: str, decode: object) -> None:
    """Each content-encoding, stacked ones too, hides the same JSON."""
    async with client(standin) as http:
        response, body = await raw(http, "/v1/messages", f"encoding={encoding}; text=the same")
    assert response.headers["content-encoding"].replace(" ", "") == encoding
    assert callable(decode)
    assert json.loads(decode(body))["content"][0]["text"] == "the same"


@pytest.mark.parametrize("http2", [pytest.param(False, id="h1"), pytest.param(True, id="h2")])
async def test_a_broken_answer_is_logged_as_far_as_it_came(standin: StandIn, *, http2: bool) -> None:
    """The client sees a fault, and the log says how many bytes were sent, and that they were not all."""
    async with client(standin, http2=http2) as http:
        with pytest.raises(httpx2.RemoteProtocolError):
            await raw(http, "/v1/messages", "break_after=100", stream=True)
    served = standin.log.served[-1]
    assert (served.bytes_sent, served.complete) == (100, False)


async def test_a_large_answer_has_the_size_asked_for(standin: StandIn) -> None:
    """Filler flows past HTTP/2's windows and is counted."""
    async with client(standin, http2=True) as http:
        _, body = await raw(http, "/v1/messages", "size=3000000")
    assert len(json.loads(body)["content"][0]["text"]) == 3_000_000


async def test_a_stream_without_usage_is_logged_with_its_real_counts(standin: StandIn) -> None:
    """The provider knows what it bills also where the stream does not tell."""
    async with client(standin) as http:
        _, body = await raw(http, "/v1/chat/completions", "output=99", stream=True)
    served = standin.log.served[-1]
    assert b"usage" not in body
    assert not served.reported
    assert served.usage is not None
    assert served.usage.output_tokens == 99


async def test_an_unknown_key_is_answered_400(standin: StandIn) -> None:
    """A misspelt script is a fault, not a default answer."""
    async with client(standin) as http:
        response, body = await raw(http, "/v1/messages", "outputs=99")
    assert response.status_code == 400
    assert b"outputs" in body


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/messages/batches"])
async def test_an_order_that_is_none_is_answered_400(standin: StandIn, path: str) -> None:
    """Its client gets an answer: it waited for one that never came."""
    async with client(standin) as http:
        for body in ({"model": "gpt-5"}, [1]):
            assert (await http.post(path, json=body)).status_code == 400


async def test_the_official_sdks_read_the_answers(standin: StandIn) -> None:
    """What they parse is what was scripted, streamed or not."""
    standin.set(Script(output=21, text="four words of text"))
    async with client(standin) as http:
        url = f"https://localhost:{standin.port}"
        claude = anthropic.AsyncAnthropic(api_key="k", base_url=url, http_client=http)
        message = await claude.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
        async with claude.messages.stream(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        ) as stream:
            streamed = await stream.get_final_message()
        gpt = openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1", http_client=http)
        response = await gpt.responses.create(model="m", input="hi")
        async with gpt.responses.stream(model="m", input="hi") as events:
            final = await events.get_final_response()
    assert message.usage.output_tokens == streamed.usage.output_tokens == 21
    assert streamed.content[0].type == "text"
    assert streamed.content[0].text == "four words of text"
    assert response.output_text == final.output_text == "four words of text"


async def test_a_tool_is_called_once_where_it_is_offered(standin: StandIn) -> None:
    """The official SDKs read the call, streamed or not; a request without the tool, or with the call's result, gets text."""
    standin.set(Script(tool="look", arguments='{"at": "it"}', when="hi", text="done"))
    said = [{"role": "user", "content": "hi"}]
    schema = {"type": "object", "properties": {}}
    async with client(standin) as http:
        url = f"https://localhost:{standin.port}"
        claude = anthropic.AsyncAnthropic(api_key="k", base_url=url, http_client=http)
        asked: Any = {"model": "m", "max_tokens": 9, "messages": said}
        offered = {**asked, "tools": [{"name": "look", "input_schema": schema}]}
        whole = await claude.messages.create(**offered)
        async with claude.messages.stream(**offered) as stream:
            streamed = await stream.get_final_message()
        for message in (whole, streamed):
            called = message.content[1]
            assert called.type == "tool_use"
            assert (message.stop_reason, called.name, called.input) == ("tool_use", "look", {"at": "it"})
        result = {"type": "tool_result", "tool_use_id": called.id, "content": "seen"}
        after = {**offered, "messages": [*said, {"role": "user", "content": [result]}]}
        for message in (await claude.messages.create(**asked), await claude.messages.create(**after)):
            assert (message.stop_reason, [part.type for part in message.content]) == ("end_turn", ["text"])

        gpt = openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1", http_client=http)
        function: Any = {"type": "function", "name": "look", "parameters": schema, "strict": False}
        response = await gpt.responses.create(model="m", input="hi", tools=[function])
        async with gpt.responses.stream(model="m", input="hi", tools=[function]) as events:
            final = await events.get_final_response()
        for answer in (response, final):
            item = answer.output[1]
            assert item.type == "function_call"
            assert (item.name, item.arguments) == ("look", '{"at": "it"}')
        nested: Any = {"type": "function", "function": {"name": "look", "parameters": schema}}
        chat: Any = {"model": "m", "messages": said, "tools": [nested]}
        completion = await gpt.chat.completions.create(**chat)
        async with gpt.chat.completions.stream(**chat) as chunks:
            last = await chunks.get_final_completion()
        for choice in (completion.choices[0], last.choices[0]):
            assert choice.finish_reason == "tool_calls"
            assert choice.message.tool_calls
            assert choice.message.tool_calls[0].type == "function"
            assert choice.message.tool_calls[0].function.arguments == '{"at": "it"}'


async def test_a_client_that_leaves_ends_its_row(standin: StandIn) -> None:
    """The log says that the answer was not complete."""
    async with (
        client(standin) as http,
        http.stream(
            "POST", "/v1/messages", json={"stream": True}, headers={"x-standin": "events=1000; interval_ms=5"}
        ) as response,
    ):
        async for _ in response.aiter_raw():
            break
    while standin.log.served[-1].ended_ms is None:
        await asyncio.sleep(0.01)
    assert not standin.log.served[-1].complete
