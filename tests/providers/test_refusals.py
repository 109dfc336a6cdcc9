"""A refusal is in the provider's own shape, its text whole, and such that the tool stops; the official SDKs raise it at once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import anthropic
import httpx2 as httpx
import openai
import pytest

from spendgate.providers.dialects import DIALECTS
from spendgate.providers.interface import Answer, Notice
from spendgate.providers.openai_responses import OpenAIResponses
from spendgate.providers.spoken import OpenDialect

FINAL = Notice("Budget person/day: $20.00 of $20.00 is spent.", "spent", resets_at=datetime(2026, 11, 23, tzinfo=UTC))
PASSING = Notice("Held by other calls.", "held", passing=True, retry_after_s=3)
OVER_HTTP = [name for name, dialect in DIALECTS.items() if not isinstance(dialect, OpenDialect)]
"""Dialects whose refusal is a status; the others' is in `test_connect`."""
TOOLS = (
    None,
    "claude-code",
    "codex",
    "opencode",
    "cline",
    "ai-sdk",
    "qwen-code",
    "pi",
    "kilo",
    "continue",
    "droid",
    "smolagents",
    "gptme",
    "mistral-vibe",
    "langchain-google-genai",
    "aider",
    "mini-swe-agent",
    "anthropic-sdk",
    "openai-sdk",
    "copilot",
)


def headers(answer: Answer) -> dict[str, str]:
    """An answer's headers by name."""
    return dict(answer.headers)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", OVER_HTTP)
def test_final_refusals(name: str, tool: str | None) -> None:
    """Every final refusal says not to retry, gives no time to wait for, and holds the whole message."""
    dialect = DIALECTS[name]
    for strict in (False, True):
        answer = dialect.refusal(FINAL, tool, strict=strict)
        assert headers(answer)["x-should-retry"] == "false"
        assert "retry-after" not in headers(answer)
        said = json.loads(answer.body)
        # The shapes of Cohere, Zed and AWS are the text alone.
        told = said["detail"] if name == "chatgpt-conversation" else said.get("error", said)["message"]
        assert told == FINAL.message
        assert answer.status == 429 or not strict
    # A backend that serves its own app alone has one status for it.
    paid = ("opencode", "cline", "qwen-code", "copilot", "pi", "kilo", "continue", "droid", "smolagents", "gptme")
    paid = (*paid, "mistral-vibe", "langchain-google-genai")
    readable = {**dict.fromkeys(paid, 402), "ai-sdk": 403, "aider": 400, "mini-swe-agent": 404}
    own = {"chatgpt-conversation": 429, "zed-completions": 403}.get(name)
    if name.startswith(("bedrock", "amazon-q")):  # no AWS SDK retries a 400; Anthropic's obeys the header beside a 429
        own = 429 if tool in ("claude-code", "anthropic-sdk") else 400
    others = 402 if name == "gemini-interactions" else 429  # Google's SDK asks five times after a 429 there
    assert dialect.refusal(FINAL, tool).status == (own or readable.get(tool or "", others))


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", OVER_HTTP)
def test_passing_refusals(name: str, tool: str | None) -> None:
    """A passing refusal is a 429 with its true wait, and may be retried."""
    answer = DIALECTS[name].refusal(PASSING, tool)
    assert answer.status == 429
    assert (headers(answer)["x-should-retry"], headers(answer)["retry-after"]) == ("true", "3")


@pytest.mark.parametrize("strict", [False, True])
def test_codex(strict: bool) -> None:
    """Codex gets the type and header whose text it shows: one line of ASCII that its sentence can go on after."""
    said = Notice("Spent \u2014\nask \u00e9.", "spent")
    answer = DIALECTS["openai-responses"].refusal(said, "codex", strict=strict)
    assert json.loads(answer.body)["error"] == {
        "message": said.message,
        "type": "usage_limit_reached",
        "param": None,
        "code": "project_spend_limit_exceeded",
    }
    assert headers(answer)["x-codex-promo-message"] == "Spent ? ask ?"
    frame = json.loads(OpenAIResponses().refusal_frame(said, "codex", strict=strict))
    assert (frame["status"], frame["error"]["type"]) == (429, "usage_limit_reached")
    assert frame["headers"] == {"x-codex-promo-message": "Spent ? ask ?"}


@pytest.mark.parametrize("tool", TOOLS)
def test_passing_frames(tool: str | None) -> None:
    """A passing refusal on a socket says how long to wait, and holds nothing that a tool would stop at."""
    frame = json.loads(OpenAIResponses().refusal_frame(PASSING, tool))
    assert (frame["type"], frame["status"], frame["headers"]) == ("error", 429, {"retry-after": "3"})
    assert frame["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("anthropic-messages", 413, "request_too_large"),
        ("anthropic-messages", 503, "api_error"),
        ("openai-chat", 413, "invalid_request_error"),
        ("openai-responses", 503, "server_error"),
        ("openai-embeddings", 413, "invalid_request_error"),
    ],
)
def test_own_errors(name: str, status: int, kind: str) -> None:
    """The gate's own errors have the provider's shape and type."""
    answer = DIALECTS[name].error(status, "too long", "req-1")
    assert (answer.status, json.loads(answer.body)["error"]["type"]) == (status, kind)


def transport(calls: list[httpx.Request], answer: Answer) -> httpx.MockTransport:
    """Answers every request alike and keeps count."""

    def handle(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(answer.status, headers=list(answer.headers), content=answer.body)

    return httpx.MockTransport(handle)


def test_anthropic_sdk_stops_at_once() -> None:
    """The official SDK raises our message after one request."""
    calls: list[httpx.Request] = []
    answer = DIALECTS["anthropic-messages"].refusal(FINAL, "anthropic-sdk")
    client = anthropic.Anthropic(api_key="k", http_client=httpx.Client(transport=transport(calls, answer)))
    with pytest.raises(anthropic.RateLimitError, match="is spent"):
        client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])
    assert len(calls) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_openai_sdk_stops_at_once(stream: bool) -> None:
    """The official SDK raises our message after one request, streaming or not."""
    calls: list[httpx.Request] = []
    answer = DIALECTS["openai-chat"].refusal(FINAL, "openai-sdk")
    client = openai.OpenAI(api_key="k", http_client=httpx.Client(transport=transport(calls, answer)))
    with pytest.raises(openai.RateLimitError, match="is spent"):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=stream)
    assert len(calls) == 1


def streaming(body: bytes) -> httpx.Client:
    """A client whose every answer is this stream."""
    made = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)
    return httpx.Client(transport=httpx.MockTransport(lambda _: made))


def test_cut_raises_in_the_sdks() -> None:
    """What ends a stream is an error that each SDK raises with our message, not a silent end."""
    text = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}\n\n'
    chat = openai.OpenAI(api_key="k", http_client=streaming(text + DIALECTS["openai-chat"].cut(FINAL)))
    with pytest.raises(openai.APIError, match="is spent"):
        list(chat.chat.completions.create(model="m", messages=[], stream=True))
    ping = b'event: ping\ndata: {"type":"ping"}\n\n'
    messages = anthropic.Anthropic(api_key="k", http_client=streaming(ping + DIALECTS["anthropic-messages"].cut(FINAL)))
    with pytest.raises(anthropic.APIStatusError, match="is spent"):
        list(messages.messages.create(model="m", max_tokens=1, messages=[], stream=True))


def test_responses_cut_and_frames() -> None:
    """A Responses stream or socket ends with `response.failed` of the running response; a create is refused by a frame."""
    dialect = OpenAIResponses()
    data: dict[str, Any] = json.loads(dialect.cut(FINAL, "resp_9").split(b"data: ")[1])
    assert data == json.loads(dialect.cut_frame(FINAL, "resp_9"))
    assert (data["type"], data["response"]["id"]) == ("response.failed", "resp_9")
    assert data["response"]["error"] == {"code": "insufficient_quota", "message": FINAL.message}
    frame = json.loads(dialect.refusal_frame(FINAL, None))
    assert (frame["type"], frame["status"], frame["error"]["message"]) == ("error", 429, FINAL.message)
    strict = json.loads(dialect.refusal_frame(FINAL, "codex", strict=True))
    assert (strict["status"], strict["error"]["type"]) == (429, "usage_limit_reached")
    assert strict["error"]["resets_at"] == int(FINAL.resets_at.timestamp()) if FINAL.resets_at else False
