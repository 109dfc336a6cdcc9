"""Show 4: the official SDKs through the gate. Bytes received equal bytes sent, counts are exact, cost is genai-prices' own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from end_to_end.raw import AsyncHashing, Seen, SyncHashing
from end_to_end.world import Gate, Provider, listed_nanos, until
from spendgate.standin.served import Served

CLAUDE, GPT, EMBED = "claude-sonnet-4-6", "gpt-5.1", "text-embedding-3-small"
COUNTS = "input=1201; output=377; cache_read=2048"
ANTHROPIC_COUNTS = f"{COUNTS}; write_5m=311; write_1h=97"
OPENAI_COUNTS = f"{COUNTS}; reasoning=128"
ENCODINGS = ["", "gzip", "deflate", "br", "gzip,br", "deflate,gzip"]
"""What the SDKs' HTTP library can decode; zstd is tested below on its raw bytes."""
FRAMINGS = [pytest.param(script, id=script or "whole") for script in ("", "chunk=1")]


def script(counts: str, encoding: str, framing: str) -> dict[str, str]:
    return {
        "x-standin": "; ".join(part for part in (counts, f"encoding={encoding}" if encoding else "", framing) if part)
    }


def messages(client: Any, headers: dict[str, str]) -> Any:
    prompt = [{"role": "user", "content": "hi"}]
    return client.messages.create(model=CLAUDE, max_tokens=4000, messages=prompt, extra_headers=headers)


def messages_stream(client: Any, headers: dict[str, str]) -> Any:
    prompt = [{"role": "user", "content": "hi"}]
    return client.messages.create(model=CLAUDE, max_tokens=4000, messages=prompt, stream=True, extra_headers=headers)


def chat(client: Any, headers: dict[str, str]) -> Any:
    return client.chat.completions.create(
        model=GPT, messages=[{"role": "user", "content": "hi"}], extra_headers=headers
    )


def chat_stream(client: Any, headers: dict[str, str]) -> Any:
    return client.chat.completions.create(
        model=GPT,
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        stream_options={"include_usage": True},
        extra_headers=headers,
    )


def responses(client: Any, headers: dict[str, str]) -> Any:
    return client.responses.create(model=GPT, input="hi", extra_headers=headers)


def responses_stream(client: Any, headers: dict[str, str]) -> Any:
    return client.responses.create(model=GPT, input="hi", stream=True, extra_headers=headers)


def embeddings(client: Any, headers: dict[str, str]) -> Any:
    return client.embeddings.create(model=EMBED, input="hi", encoding_format="float", extra_headers=headers)


ANTHROPIC = [pytest.param(messages, id="messages"), pytest.param(messages_stream, id="messages stream")]
OPENAI = [
    pytest.param(chat, id="chat"),
    pytest.param(chat_stream, id="chat stream"),
    pytest.param(responses, id="responses"),
    pytest.param(responses_stream, id="responses stream"),
    pytest.param(embeddings, id="embeddings"),
]
Call = Callable[[Any, dict[str, str]], Any]


def check(gate: Gate, provider: Provider, seen: Seen, model: str, *, name: str) -> dict[str, Any]:
    """Compare the client's bytes, the stand-in's log and the ledger's row of the last call; gives the row."""
    served = provider.ended(seen.request_id)
    assert (seen.digest.hexdigest(), seen.size) == (served.sha256, served.bytes_sent)
    row = gate.row(served.request_id)
    assert (row["state"], row["basis"], row["provider"]) == ("settled", "reported", name)
    assert row["model"] == model
    counts_equal(row, served)
    assert served.usage is not None
    assert row["cost_nanos"] == listed_nanos(name, model, served.usage, str(row["booked_at"]))
    assert row["value_nanos"] == row["cost_nanos"]
    return row


def counts_equal(row: dict[str, Any], served: Served) -> None:
    """The row's counts are the stand-in's own; what a dialect does not tell apart is nought or unknown."""
    usage = served.usage
    assert usage is not None
    if served.path.endswith("/embeddings"):
        assert (row["input_tokens"], row["output_tokens"] or 0) == (usage.input_tokens, 0)
        return
    assert (row["input_tokens"], row["output_tokens"]) == (usage.input_tokens, usage.output_tokens)
    assert row["cache_read_tokens"] == usage.cache_read_tokens
    assert (row["cache_write_tokens"] or 0) == usage.writes
    assert (row["reasoning_tokens"] or 0) == usage.reasoning_tokens


async def drained(answer: Awaitable[Any]) -> None:
    """Read an asynchronous answer to its end."""
    found = await answer
    if hasattr(found, "__aiter__"):
        async for _ in found:
            pass


def drain(answer: Any) -> None:
    """Read a synchronous answer to its end."""
    if isinstance(answer, Iterable) and not isinstance(answer, tuple) and hasattr(answer, "response"):
        for _ in answer:
            pass


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("call", ANTHROPIC)
async def test_anthropic_async(gate: Gate, provider: Provider, call: Call, encoding: str, framing: str) -> None:
    """Every form of Messages, in every encoding and framing, asynchronously."""
    seen = Seen()
    async with httpx2.AsyncClient(transport=AsyncHashing(gate, seen, http2=False)) as http:
        client = anthropic.AsyncAnthropic(api_key="sk-ant-api03-test", http_client=http)
        await drained(call(client, script(ANTHROPIC_COUNTS, encoding, framing)))
    row = check(gate, provider, seen, CLAUDE, name="anthropic")
    assert row["tool"] == "anthropic-sdk"


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("call", OPENAI)
async def test_openai_async(gate: Gate, provider: Provider, call: Call, encoding: str, framing: str) -> None:
    """Every OpenAI dialect, in every encoding and framing, asynchronously."""
    seen = Seen()
    async with httpx2.AsyncClient(transport=AsyncHashing(gate, seen, http2=False)) as http:
        client = openai.AsyncOpenAI(api_key="sk-test", http_client=http)
        counts = "input=1201; output=0; cache_read=0" if call is embeddings else OPENAI_COUNTS
        await drained(call(client, script(counts, encoding, framing)))
    row = check(gate, provider, seen, EMBED if call is embeddings else GPT, name="openai")
    assert row["tool"] == "openai-sdk"


@pytest.mark.parametrize("http2", [pytest.param(False, id="h1"), pytest.param(True, id="h2")])
@pytest.mark.parametrize("call", ANTHROPIC)
def test_anthropic_sync(gate: Gate, provider: Provider, call: Call, *, http2: bool) -> None:
    """The synchronous client, over HTTP/1.1 and HTTP/2."""
    seen = Seen()
    with httpx2.Client(transport=SyncHashing(gate, seen, http2=http2)) as http:
        client = anthropic.Anthropic(api_key="sk-ant-api03-test", http_client=http)
        drain(call(client, script(ANTHROPIC_COUNTS, "br", "")))
    check(gate, provider, seen, CLAUDE, name="anthropic")
    assert seen.http == ("HTTP/2" if http2 else "HTTP/1.1")


@pytest.mark.parametrize("http2", [pytest.param(False, id="h1"), pytest.param(True, id="h2")])
@pytest.mark.parametrize("call", OPENAI)
def test_openai_sync(gate: Gate, provider: Provider, call: Call, *, http2: bool) -> None:
    """The synchronous client, over HTTP/1.1 and HTTP/2."""
    seen = Seen()
    with httpx2.Client(transport=SyncHashing(gate, seen, http2=http2)) as http:
        client = openai.OpenAI(api_key="sk-test", http_client=http)
        counts = "input=1201; output=0; cache_read=0" if call is embeddings else OPENAI_COUNTS
        # Not encoded: after `[DONE]` this client closes without reading an encoding's last bytes.
        drain(call(client, script(counts, "", "")))
    check(gate, provider, seen, EMBED if call is embeddings else GPT, name="openai")


@pytest.mark.parametrize("encoding", ["zstd", "zstd,gzip", "br,zstd", "gzip,deflate,br,zstd"])
@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="stream")])
async def test_encodings_that_the_sdk_cannot_read(
    gate: Gate, provider: Provider, encoding: str, *, stream: bool
) -> None:
    """zstd and stacks with it, as Claude Code asks for them: metered all the same, bytes untouched."""
    seen = Seen()
    body = {"model": CLAUDE, "max_tokens": 4000, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
    async with httpx2.AsyncClient(transport=AsyncHashing(gate, seen, http2=False)) as http:
        headers = script(ANTHROPIC_COUNTS, encoding, "chunk=1")
        async with http.stream("POST", "https://api.anthropic.com/v1/messages", json=body, headers=headers) as answer:
            async for _ in answer.aiter_raw():
                pass
    check(gate, provider, seen, CLAUDE, name="anthropic")
    assert seen.encoding.replace(" ", "") == encoding


async def test_a_stream_that_reports_nothing_is_estimated(gate: Gate, provider: Provider) -> None:
    """Without `include_usage` the row says that it is an estimate; it is neither free nor reported."""
    seen = Seen()
    async with httpx2.AsyncClient(transport=AsyncHashing(gate, seen, http2=False)) as http:
        client = openai.AsyncOpenAI(api_key="sk-test", http_client=http)
        prompt: Any = [{"role": "user", "content": "hi " * 400}]
        text = "word " * 399 + "word"
        headers = {"x-standin": f"events=40; text={text}"}
        await drained(client.chat.completions.create(model=GPT, messages=prompt, stream=True, extra_headers=headers))
    row = gate.row(seen.request_id)
    assert (row["state"], row["basis"]) == ("settled", "estimated")
    assert isinstance(row["cost_nanos"], int)
    assert row["cost_nanos"] > 0


@pytest.mark.parametrize("break_after", [0, 400])
async def test_a_stream_that_breaks_off_is_charged_once(gate: Gate, provider: Provider, break_after: int) -> None:
    """What the provider may have begun is never free, and there is one row."""
    seen = Seen()
    body = {"model": CLAUDE, "max_tokens": 4000, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"x-standin": f"{ANTHROPIC_COUNTS}; break_after={break_after}"}
    before = {row["id"] for row in gate.calls()}
    async with httpx2.AsyncClient(transport=AsyncHashing(gate, seen, http2=False)) as http:
        with pytest.raises(httpx2.TransportError):
            await http.post("https://api.anthropic.com/v1/messages", json=body, headers=headers)
    rows = until(lambda: [row for row in gate.calls() if row["id"] not in before and row["ended_at"]] or None)
    assert len(rows) == 1
    assert rows[0]["state"] in ("settled", "interrupted")
    assert rows[0]["basis"] == "estimated"
    assert isinstance(rows[0]["cost_nanos"], int)
    assert rows[0]["cost_nanos"] > 0


async def test_what_is_free_costs_nothing(gate: Gate, provider: Provider) -> None:
    """Token counts and model lists are rows without a cost."""
    seen = Seen()
    async with httpx2.AsyncClient(transport=AsyncHashing(gate, seen, http2=False)) as http:
        client = anthropic.AsyncAnthropic(api_key="sk-ant-api03-test", http_client=http)
        await client.messages.count_tokens(model=CLAUDE, messages=[{"role": "user", "content": "hi"}])
        counted = seen.request_id
        await openai.AsyncOpenAI(api_key="sk-test", http_client=http).models.list()
    paths = {"/v1/messages/count_tokens", "/v1/models"}
    free = until(
        lambda: (
            (
                (rows := [row for row in gate.calls() if row["path"] in paths and row["ended_at"]])
                and len(rows) > 1
                and rows
            )
            or None
        )
    )
    assert {row["path"] for row in free} == paths
    assert {row["state"] for row in free} == {"free"}
    assert {row["cost_nanos"] or 0 for row in free} == {0}
    assert counted.startswith("req_")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        pytest.param("https://llm.acme.example/v1", "openai", id="compatible host"),
        pytest.param("https://standin.openai.azure.com/openai/v1", "azure", id="azure v1"),
    ],
)
async def test_other_hosts_with_the_same_dialect(gate: Gate, provider: Provider, url: str, name: str) -> None:
    """Hosts that the policy names are metered like the provider whose dialect they speak."""
    seen = Seen()
    async with httpx2.AsyncClient(transport=AsyncHashing(gate, seen, http2=False)) as http:
        client = openai.AsyncOpenAI(api_key="sk-test", base_url=url, http_client=http)
        await drained(responses_stream(client, script(OPENAI_COUNTS, "", "")))
    served = provider.ended(seen.request_id)
    assert seen.digest.hexdigest() == served.sha256
    row = gate.row(seen.request_id)
    counts_equal(row, served)
    assert served.usage is not None
    assert row["cost_nanos"] == listed_nanos(name, GPT, served.usage, str(row["booked_at"]))
