"""Google's SDK and Anthropic's client for Vertex through the gate: bytes as they came, exact counts, genai-prices' cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import pytest
from google import genai
from google.auth.credentials import Credentials
from google.genai import errors

from end_to_end.raw import Seen, SyncHashing, transports
from end_to_end.world import Gate, Provider, listed_nanos, policy, running_gate, until

GoogleAsync, GoogleSync = transports(httpx)
"""google-genai 2 takes a client of httpx."""
GEMINI, CLAUDE = "gemini-2.5-flash", "claude-sonnet-4-6"
COUNTS = "input=1201; output=377; cache_read=2048; reasoning=128"


class MadeUp(Credentials):  # type: ignore[misc, no-untyped-call]  # google-auth has no types
    """Credentials that are valid for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.token = "ya29.made-up"

    def refresh(self, request: object) -> None:
        """Never needed."""


def options(script: str, **more: Any) -> Any:
    return genai.types.HttpOptions(headers={"x-standin": script}, **more)


def client(mode: str, given: Any) -> genai.Client:
    if mode == "gemini":
        return genai.Client(api_key="AIzaMadeUp", http_options=given)
    return genai.Client(vertexai=True, project="p", location=mode, credentials=MadeUp(), http_options=given)


def check(gate: Gate, provider: Provider, seen: Seen, name: str, model: str) -> dict[str, Any]:
    """Compare bytes, counts and cost."""
    served = provider.ended(seen.request_id)
    assert (seen.digest.hexdigest(), seen.size) == (served.sha256, served.bytes_sent)
    row, usage = gate.row(served.request_id), served.usage
    assert usage is not None
    assert (row["state"], row["basis"], row["provider"], row["model"]) == ("settled", "reported", name, model)
    assert (row["input_tokens"], row["output_tokens"]) == (usage.input_tokens, usage.output_tokens)
    assert row["cache_read_tokens"] == usage.cache_read_tokens
    assert row["cost_nanos"] == listed_nanos("google", model, usage, str(row["booked_at"]))
    return row


@pytest.mark.parametrize("encoding", ["", "gzip", "br"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("mode", ["gemini", "us-east5", "global"])
def test_genai_sync(gate: Gate, provider: Provider, mode: str, encoding: str, *, stream: bool) -> None:
    """Whole and streamed, of the Gemini API and of Vertex."""
    seen, said = Seen(), f"{COUNTS}; encoding={encoding}; chunk=3" if encoding else COUNTS
    with httpx.Client(transport=GoogleSync(gate, seen, http2=False)) as http:
        models = client(mode, options(said, httpx_client=http)).models
        call: Any = models.generate_content_stream if stream else models.generate_content
        answer = call(model=GEMINI, contents="hi")
        last = list(answer)[-1] if stream else answer
    assert last.usage_metadata.thoughts_token_count == 128
    row = check(gate, provider, seen, "google" if mode == "gemini" else "vertex", GEMINI)
    assert (row["tool"], row["reasoning_tokens"]) == ("google-genai-sdk", 128)


@pytest.mark.filterwarnings("ignore:Interactions usage is experimental")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_interactions(gate: Gate, provider: Provider, *, stream: bool) -> None:
    """The Interactions API, whole and streamed: the row has the counts that the SDK shows."""
    seen = Seen()
    with httpx.Client(transport=GoogleSync(gate, seen, http2=False)) as http:
        google = client("gemini", options(COUNTS, httpx_client=http))  # closes its HTTP client when it is forgotten
        answer: Any = google.interactions.create(
            model=GEMINI, input="hi", stream=stream, extra_headers={"x-standin": COUNTS}
        )
        last = list(answer)[-1].interaction if stream else answer
    assert last.usage.total_thought_tokens == 128
    row = check(gate, provider, seen, "google", GEMINI)
    assert (row["tool"], row["reasoning_tokens"], row["path"]) == ("google-genai-sdk", 128, "/v1beta/interactions")


@pytest.mark.parametrize("mode", ["gemini", "us-east5"])
async def test_genai_async(gate: Gate, provider: Provider, mode: str) -> None:
    """A stream, asynchronously."""
    seen = Seen()
    async with httpx.AsyncClient(transport=GoogleAsync(gate, seen, http2=False)) as http:
        models = client(mode, options(f"{COUNTS}; chunk=1", httpx_async_client=http)).aio.models
        async for _ in await models.generate_content_stream(model=GEMINI, contents="hi"):
            pass
    check(gate, provider, seen, "google" if mode == "gemini" else "vertex", GEMINI)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_claude_on_vertex(gate: Gate, provider: Provider, *, stream: bool) -> None:
    """Anthropic's client for Vertex: the model stands in the path, the price is Google's."""
    seen = Seen()
    with httpx2.Client(transport=SyncHashing(gate, seen, http2=False)) as http:
        vertex = anthropic.AnthropicVertex(region="us-east5", project_id="p", access_token="made-up", http_client=http)
        answer = vertex.messages.create(
            model=CLAUDE, max_tokens=4000, messages=[{"role": "user", "content": "hi"}], stream=stream,
            extra_headers={"x-standin": "input=1201; output=377; cache_read=2048"},
        )  # fmt: skip
        if stream:
            list(answer)  # type: ignore[arg-type]  # a stream, since one was asked for
    check(gate, provider, seen, "vertex", CLAUDE)


def test_an_array_that_is_streamed(gate: Gate, provider: Provider) -> None:
    """Without `alt=sse`, and in Code Assist's envelope, whose row is a plan's."""
    for host, path, body in (
        ("generativelanguage.googleapis.com", f"/v1beta/models/{GEMINI}:streamGenerateContent", {}),
        ("cloudcode-pa.googleapis.com", "/v1internal:streamGenerateContent?alt=sse", {"model": GEMINI, "request": {}}),
        ("cloudcode-pa.googleapis.com", "/v1internal:generateContent", {"model": GEMINI, "request": {}}),
    ):
        seen = Seen()
        with httpx2.Client(transport=SyncHashing(gate, seen, http2=False)) as http:
            http.post(f"https://{host}{path}", json=body, headers={"x-standin": f"{COUNTS}; chunk=7"})
        served = provider.ended(seen.request_id)
        row = gate.row(served.request_id)
        assert (row["input_tokens"], row["output_tokens"], row["basis"]) == (1201, 377, "reported")
        assert (row["billing"] == "subscription") == (host != "generativelanguage.googleapis.com")


@pytest.mark.parametrize("mode", ["gemini", "us-east5"])
def test_refusal(folder: Path, provider: Provider, mode: str) -> None:
    """A spent budget is an APIError with our words, at once, and nothing reaches Google."""
    seen = Seen()
    with (
        running_gate(folder, provider, policy(folder, limit="$0.01")) as gate,
        httpx.Client(transport=GoogleSync(gate, seen, http2=False)) as http,
    ):
        models = client(mode, options("input=1000000", httpx_client=http)).models
        models.generate_content(model=GEMINI, contents="hi", config={"max_output_tokens": 10})
        until(lambda: next((row for row in gate.calls() if row["ended_at"]), None))
        before = len([one for one in provider.served if one.billable])
        with pytest.raises(errors.ClientError) as refused:
            models.generate_content(model=GEMINI, contents="hi", config={"max_output_tokens": 10})
        assert (refused.value.code, refused.value.status) == (429, "RESOURCE_EXHAUSTED")
        assert "#ai-budget" in (refused.value.message or "")
        assert len([one for one in provider.served if one.billable]) == before


@pytest.mark.parametrize("events", [False, True], ids=["array", "events"])
@pytest.mark.parametrize("chunk", [0, 13])
def test_a_running_stream_is_cut(folder: Path, provider: Provider, chunk: int, *, events: bool) -> None:
    """A budget that runs out ends an array as an array, whose last element is the error, and events with one more."""
    url = f"https://generativelanguage.googleapis.com/v1beta/models/{GEMINI}:streamGenerateContent"
    script = f"input=100; output=60000; token_bytes=2; events=600; interval_ms=5; chunk={chunk}"
    more = "    cut: true\n"
    with (
        running_gate(folder, provider, policy(folder, limit="$0.02", more=more)) as gate,
        httpx2.Client(transport=SyncHashing(gate, Seen(), http2=False)) as http,
    ):
        answer = http.post(url + "?alt=sse" * events, json={}, headers={"x-standin": script})
        if events:
            pieces = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
        else:
            pieces = answer.json()
        assert 5 < len(pieces) < 600
        assert pieces[-1]["error"]["status"] == "RESOURCE_EXHAUSTED"
        assert "was cut where its money ended" in pieces[-1]["error"]["message"]
        [row] = until(lambda: [row for row in gate.calls() if row["ended_at"]] or None)
        assert (row["state"], "ended by cut" in row["flags"]) == ("interrupted", True)
        assert 0 < row["cost_nanos"] < 30_000_000
