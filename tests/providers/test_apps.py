"""Apps with backends of their own: what Copilot states, Codex with a ChatGPT login, turns of ChatGPT and claude.ai."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from providers.feeding import JSON, each_way, fed, head
from spendgate.attribution import Evidence
from spendgate.providers.ask import Ask, Claim
from spendgate.providers.client import sender
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Kind, Notice
from spendgate.providers.jsonscan import at_once
from spendgate.providers.openai_responses import OpenAIResponses
from spendgate.usage import Usage

from .test_registry import ALL

RECORDED = (
    Path(__file__).parents[3]
    / "shared/corpus/vercel-ai/packages/openai/src/responses/__fixtures__/github-copilot-id-rotation.1.chunks.txt"
)
COPILOT = "api.business.githubcopilot.com"
JWT = "eyJhbGciOiJub25l.eyJzdWIiOiJ4In0.c2ln"
ORG, CONVERSATION = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "0c9f5f5e-6d1b-4a8e-9a57-0d9b8d2d2f10"
FINAL = Notice("Budget person/day: $20.00 of $20.00 is spent.", "spent")


def stream(*events: Any) -> bytes:
    """These events as a stream."""
    return b"".join(b"data: " + (e if isinstance(e, bytes) else json.dumps(e).encode()) + b"\n\n" for e in events)


def stated(nano_aiu: object) -> dict[str, Any]:
    """Copilot's own price of a call."""
    return {"copilot_usage": {"token_details": [], "total_nano_aiu": nano_aiu}}


CHAT = ({"id": "c", "model": "gpt-5.5", "choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]},)
CHAT_END = {"id": "c", "model": "gpt-5.5", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
MESSAGES = (
    {"type": "message_start", "message": {"id": "m", "model": "claude-opus-5", "usage": {"input_tokens": 9}}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hello"}},
)
MESSAGES_END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
RESPONSE = {"id": "r", "model": "gpt-5.5", "status": "completed", "usage": {"input_tokens": 9, "output_tokens": 2}}
WHOLE = {
    "openai-chat": {"id": "c", "model": "gpt-5.5", "choices": [], "usage": CHAT_END["usage"]},
    "openai-responses": RESPONSE,
    "anthropic-messages": {"id": "m", "model": "x", "content": [], "usage": {"input_tokens": 9, "output_tokens": 2}},
}
STREAMS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "openai-chat": (CHAT, CHAT_END),
    "openai-responses": ((), {"type": "response.completed", "response": RESPONSE}),
    "anthropic-messages": (MESSAGES, MESSAGES_END),
}


@pytest.mark.parametrize(
    ("nano_aiu", "nanos"),
    [(150_325_000, 1_503_250), (0, 0), (1, 1), (101, 2), (3 * 10**12, 3 * 10**10), (-1, None), (1.5, None), ("9", None),
     (10**30, None), (None, None)],
)  # fmt: skip
@pytest.mark.parametrize("name", STREAMS)
def test_copilot_states_its_cost(name: str, nano_aiu: object, nanos: int | None) -> None:
    """A hundred nano-credits are a nano-dollar, rounded up, in each dialect; what is no amount is no price."""
    before, last = STREAMS[name]
    for way, reading in each_way(DIALECTS[name], stream(*before, last | stated(nano_aiu)), stream=True):
        assert (reading.stated_cost_nanos, reading.final) == (nanos, True), way
        assert [part.usage for part in reading.parts] == [Usage(input_tokens=9, output_tokens=2)], way
    body = json.dumps(WHOLE[name] | stated(nano_aiu)).encode()
    assert fed(DIALECTS[name], body, stream=False).stated_cost_nanos == nanos


def test_an_answer_cut_before_its_price_has_none() -> None:
    """What had not come yet is not taken for a price of zero."""
    for name, (before, last) in STREAMS.items():
        wire = stream(*before, last | stated(500))
        assert fed(DIALECTS[name], wire[: wire.index(b"total_nano")], stream=True).stated_cost_nanos is None


@pytest.mark.skipif(not RECORDED.is_file(), reason="the corpus of public recordings is not at ../shared/corpus")
def test_a_recorded_stream_of_copilot() -> None:
    """19 tokens in and 105 out of gpt-5.3-codex cost 150,325,000 nano-credits: $0.00150325."""
    wire = stream(*[line for line in RECORDED.read_bytes().splitlines() if line.strip()])
    for way, reading in each_way(OpenAIResponses(), wire, stream=True):
        assert (reading.stated_cost_nanos, reading.model, reading.final) == (1_503_250, "gpt-5.3-codex", True), way
    socket, found = OpenAIResponses().socket(head("GET", "/responses", COPILOT)), None
    at_once(socket.from_client(b'{"type":"response.create","model":"gpt-5.3-codex","input":"x"}'))
    for line in RECORDED.read_bytes().splitlines():
        found = socket.from_server(line) or found if line.strip() else found
    assert found is not None
    assert (found[1].stated_cost_nanos, found[1].final) == (1_503_250, True)


@pytest.mark.parametrize(
    ("method", "host", "path", "kind", "dialect", "billing"),
    [
        ("POST", COPILOT, "/chat/completions", Kind.BILLABLE, "openai-chat", None),
        ("POST", "api.githubcopilot.com", "/responses", Kind.BILLABLE, "openai-responses", None),
        ("POST", "api.enterprise.githubcopilot.com", "/v1/messages", Kind.BILLABLE, "anthropic-messages", None),
        ("POST", "api.individual.githubcopilot.com", "/agents/x", Kind.UNRECOGNIZED, "openai-chat", None),
        ("GET", COPILOT, "/models", Kind.FREE, "openai-chat", None),
        ("POST", "proxy.business.githubcopilot.com", "/v1/engines/x/completions", Kind.FREE, "openai-chat", None),
        ("POST", "chatgpt.com", "/backend-api/codex/responses", Kind.BILLABLE, "openai-responses", None),
        ("POST", "chatgpt.com", "/backend-api/codex/responses/compact", Kind.BILLABLE, "openai-responses", None),
        ("GET", "chatgpt.com", "/backend-api/wham/usage", Kind.FREE, "openai-chat", None),
        ("POST", "chatgpt.com", "/backend-api/wham/tasks", Kind.UNRECOGNIZED, "openai-chat", None),
        ("POST", "chatgpt.com", "/backend-api/f/conversation", Kind.BILLABLE, "chatgpt-conversation", None),
        ("POST", "chatgpt.com", "/backend-api/conversation", Kind.BILLABLE, "chatgpt-conversation", None),
        ("POST", "chatgpt.com", "/backend-api/f/conversation/prepare", Kind.FREE, "openai-chat", None),
        ("POST", "claude.ai", f"/api/organizations/{ORG}/chat_conversations/{CONVERSATION}/completion",
         Kind.BILLABLE, "claude-ai", "subscription"),
        ("POST", "claude.ai", f"/api/organizations/{ORG}/chat_conversations/{CONVERSATION}/retry_completion",
         Kind.BILLABLE, "claude-ai", "subscription"),
        ("GET", "claude.ai", f"/api/organizations/{ORG}/usage", Kind.FREE, "claude-ai", None),
    ],
)  # fmt: skip
def test_paths(method: str, host: str, path: str, kind: Kind, dialect: str, billing: str | None) -> None:  # noqa: PLR0917  a table
    """What each app's backend is asked for; no organization or conversation is kept."""
    route = ALL.route(head(method, path, host))
    assert (route.kind, route.dialect or "openai-chat", route.billing) == (kind, dialect, billing)
    assert ORG not in route.path and CONVERSATION not in route.path
    assert route.states_cost == (host.startswith("api.") and host.endswith("githubcopilot.com"))


@pytest.mark.parametrize("path", ["/responses", "/v1/responses"])
def test_sockets(path: str) -> None:
    """Copilot and Codex speak Responses over WebSocket."""
    for host, at in ((COPILOT, path), ("chatgpt.com", "/backend-api/codex/responses")):
        assert ALL.route(head("GET", at, host, upgrade="websocket")).websocket


def test_who_sends() -> None:
    """Copilot tells itself and its session (a task is no agent) its plan in the host; JWTs at chatgpt.com are a plan's."""
    said = sender(
        head("POST", "/responses", COPILOT, copilot_integration_id="vscode-chat", x_interaction_id="i-1",
             x_agent_task_id="t-1", authorization="Bearer tid=abc;exp=1")
    )  # fmt: skip
    assert said["tool"] == Claim("copilot", Evidence.HEADER)
    assert said["session"] == Claim("i-1", Evidence.HEADER)
    assert (said["agent"], said["account"], said["billing"]) == (None, "business", "metered")
    assert "abc" not in str(said)
    codex = sender(head("POST", "/backend-api/codex/responses", "chatgpt.com", authorization=f"Bearer {JWT}"))
    assert (codex["billing"], codex["api_key"]) == ("subscription", None)
    assert sender(head("POST", "/responses", COPILOT, authorization=f"Bearer {JWT}"))["billing"] == "metered"


def test_copilot_shows_a_refusal() -> None:
    """A 402 with a code that is not GitHub's own is shown with its text, in each dialect; strict is a 429."""
    for name in STREAMS:
        answer = DIALECTS[name].refusal(FINAL, "copilot")
        error = json.loads(answer.body)["error"]
        assert (answer.status, error["code"], error["message"]) == (402, "project_spend_limit_exceeded", FINAL.message)
        assert DIALECTS[name].refusal(FINAL, "copilot", strict=True).status == 429
    frame = json.loads(OpenAIResponses().refusal_frame(FINAL, "copilot"))
    assert frame["error"] == {"code": "rate_limited", "message": FINAL.message}


def test_a_turn_of_claude_ai() -> None:
    """Messages without usage: never final, its text measured, its organization and conversation known."""
    dialect = DIALECTS["claude-ai"]
    path = f"/api/organizations/{ORG}/chat_conversations/{CONVERSATION}/completion"
    ask = dialect.ask(head("POST", path, "claude.ai"), b'{"prompt":"Hi","model":"claude-opus-5"}')
    assert (ask.model, ask.account, ask.session.value, ask.opaque_input) == ("claude-opus-5", ORG, CONVERSATION, True)
    events = (
        {"type": "message_start", "message": {"id": "m", "model": "claude-opus-5"}},
        {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hello there"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_limit", "message_limit": {"type": "within_limit", "overageInUse": False}},
        {"type": "message_stop"},
    )
    for way, reading in each_way(dialect, stream(*events), stream=True):
        assert (reading.model, reading.final, reading.ended, reading.free) == ("claude-opus-5", False, True, False), way
        assert (reading.parts, reading.output_bytes) == ((), 11), way
    assert fed(dialect, stream(*events), stream=True).flags == ("the last counts are missing",)


def test_a_turn_of_chatgpt() -> None:
    """The text of deltas and of whole messages is measured, and the model that answered is the metadata's."""
    dialect = DIALECTS["chatgpt-conversation"]
    ask = dialect.ask(head("POST", "/backend-api/f/conversation", "chatgpt.com"), b'{"model":"auto","messages":[]}')
    assert (ask.model, ask.streamed, ask.opaque_input) == ("auto", True, True)
    said = {"author": {"role": "assistant"}, "metadata": {"model_slug": "gpt-5-5"}}
    deltas = (
        b'"v1"',
        {"p": "", "o": "add", "v": {"message": said | {"content": {"content_type": "text", "parts": [""]}}}},
        {"p": "/message/content/parts/0", "o": "append", "v": "Hello"},
        {"v": " there"},
        {"p": "", "o": "patch", "v": [{"p": "/message/content/parts/0", "o": "append", "v": "!"}]},
        b"[DONE]",
    )
    prompt = {
        "message": {"author": {"role": "user"}, "metadata": {"model_slug": "x"}, "content": {"parts": ["A" * 99]}}
    }
    older = (
        prompt,
        *({"message": said | {"content": {"parts": [text]}}} for text in ("Hello", "Hello there!")),
        b"[DONE]",
    )
    for events in (deltas, older):
        for way, reading in each_way(dialect, stream(*events), stream=True):
            assert (reading.model, reading.final, reading.ended) == ("gpt-5-5", False, True), way
            assert (reading.parts, reading.output_bytes) == ((), 12), way
        assert fed(dialect, stream(*events), stream=True).flags == ("no counts on this wire",)


def test_zed_carries_native_events() -> None:
    """Lines of Anthropic's and of Responses' events give their counts, however cut; others are flagged, not free."""
    dialect = DIALECTS["zed-completions"]
    for events in (
        (*MESSAGES, MESSAGES_END),
        ({"type": "response.created", "response": {"id": "r"}}, STREAMS["openai-responses"][1]),
    ):
        lines = [{"status": "started"}, *({"event": event} for event in events), {"status": "stream_ended"}]
        wire = b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
        for size in (1, 7, len(wire)):
            reader = dialect.reader(Ask(), 200, JSON)
            for at in range(0, len(wire), size):
                reader.feed(wire[at : at + size])
            reading = reader.close()
            assert ([part.usage for part in reading.parts], reading.final) == (
                [Usage(input_tokens=9, output_tokens=2)],
                True,
            )
        cut = fed(dialect, wire[: len(wire) // 2], stream=False)
        assert (cut.final, cut.free) == (False, False)
    other = fed(dialect, b'{"event":{"other":[]}}\n', stream=False)
    assert (other.final, other.free, other.flags) == (False, False, ("events of a provider that is not read",))


def test_zed_carries_geminis_events_too() -> None:
    """Native as well: the last `usageMetadata` counts."""
    pieces = (
        {"candidates": [{"content": {"parts": [{"text": "Hel"}]}}], "usageMetadata": {"promptTokenCount": 9}},
        {
            "candidates": [{"content": {"parts": [{"text": "lo"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11},
            "modelVersion": "gemini-3-pro",
        },
    )
    wire = b"".join(json.dumps({"event": piece}, separators=(",", ":")).encode() + b"\n" for piece in pieces)
    for size in (1, 7, len(wire)):
        reader = DIALECTS["zed-completions"].reader(Ask(), 200, JSON)
        for at in range(0, len(wire), size):
            reader.feed(wire[at : at + size])
        reading = reader.close()
        assert [part.usage.input_tokens for part in reading.parts] == [9]
        assert [part.usage.output_tokens for part in reading.parts] == [2]
        assert (reading.final, reading.model, reading.flags) == (True, "gemini-3-pro", ())


@pytest.mark.parametrize(
    ("provider", "prices"),
    [
        ("anthropic", "anthropic"),
        ("open_ai", "openai"),
        ("google", "google"),
        ("x_ai", "x-ai"),
        ("else", None),
        (7, None),
    ],
)
def test_zeds_envelope_names_the_price_list(provider: object, prices: str | None) -> None:
    """A GPT model is priced by OpenAI's list, not by the one that Zed's host stands with."""
    body = json.dumps({"thread_id": "t", "provider": provider, "model": "gpt-5.1", "provider_request": {}}).encode()
    assert DIALECTS["zed-completions"].ask(head(host="cloud.zed.dev", path="/completions"), body).prices == prices


@pytest.mark.parametrize(
    ("model", "answered"),
    [("gpt-5.2-codex", "gpt-5.2-codex"), ("", "gpt-5.5"), ("a b; drop", "gpt-5.5"), ("x" * 200, "gpt-5.5")],
)
def test_the_head_names_the_model_that_serves(model: str, answered: str) -> None:
    """Codex' backend may serve another model than the body repeats: `openai-model` tells, and prices go by it."""
    for name in ("openai-responses", "openai-chat"):
        before, last = STREAMS[name]
        headers = CaseInsensitive({"content-type": "text/event-stream", "openai-model": model})
        reader = DIALECTS[name].reader(Ask(streamed=True), 200, headers)
        for byte in stream(*before, last):
            reader.feed(bytes([byte]))
        reading = reader.close()
        assert (reading.model, [part.model for part in reading.parts]) == (answered, [answered])
        assert reading.final


@pytest.mark.parametrize(
    ("event", "overage"),
    [
        ({"type": "message_limit", "message_limit": {"type": "within_limit", "overageInUse": True}}, True),
        ({"type": "message_limit", "message_limit": {"type": "exceeded_limit", "overageInUse": False}}, False),
        ({"type": "message_limit", "overageInUse": True}, True),
        ({"type": "message_limit", "message_limit": {"overageInUse": "yes"}}, None),
        ({"type": "message_limit", "message_limit": {"type": "within_limit"}}, None),
        ({"type": "content_block_delta", "delta": {"text": '"overageInUse":true,"message_limit"'}}, None),
    ],
)
def test_claude_ai_says_when_a_seat_is_past_its_plan(event: dict[str, Any], overage: bool | None) -> None:
    """In an event of its own, in either place where it has been reported; words of an answer say nothing."""
    wire = stream({"type": "message_start", "message": {"id": "m"}}, event, {"type": "message_stop"})
    for way, reading in each_way(DIALECTS["claude-ai"], wire, stream=True):
        assert reading.overage is overage, way


@pytest.mark.parametrize(
    ("said", "overage"),
    [
        ({}, None),
        ({"status": "allowed", "overage-status": "allowed"}, False),
        ({"status": "allowed", "overage-status": "allowed", "overage-in-use": "true"}, True),
        ({"status": "rejected", "overage-status": "allowed", "overage-in-use": "false"}, False),
        ({"status": "rejected", "overage-status": "allowed_warning"}, True),
        ({"status": "rejected", "overage-status": "rejected"}, False),
        ({"status": "rejected"}, False),
    ],
)
def test_anthropic_says_when_a_token_is_past_its_plan(said: dict[str, str], overage: bool | None) -> None:
    """In an answer's head, whole or streamed, and whatever becomes of its body."""
    limits = {f"anthropic-ratelimit-unified-{name}": value for name, value in said.items()}
    for kind in ("application/json", "text/event-stream"):
        headers = CaseInsensitive({"content-type": kind, **limits})
        assert DIALECTS["anthropic-messages"].reader(Ask(), 200, headers).close().overage is overage


@pytest.mark.parametrize(("reset", "until_ms"), [("1764547200", 1_764_547_200_000), ("soon", None), ("", None)])
def test_when_a_plan_begins_anew(reset: str, until_ms: int | None) -> None:
    """In the head of Anthropic's answers, and in claude.ai's event of its limit."""
    limits = {"anthropic-ratelimit-unified-status": "rejected", "anthropic-ratelimit-unified-reset": reset}
    assert (
        DIALECTS["anthropic-messages"].reader(Ask(), 200, CaseInsensitive(limits)).close().overage_until_ms == until_ms
    )
    at = int(reset) if until_ms else reset
    for limit in ({"overageInUse": True, "resetsAt": at}, {"message_limit": {"overageInUse": True, "resetsAt": at}}):
        wire = stream({"type": "message_start", "message": {"id": "m"}}, {"type": "message_limit", **limit})
        for _, reading in each_way(DIALECTS["claude-ai"], wire, stream=True):
            assert (reading.overage, reading.overage_until_ms) == (True, until_ms)


@pytest.mark.parametrize(
    ("speed", "key", "billing"),
    [
        ("fast", "sk-ant-oat01-x", "overage"),
        ("standard", "sk-ant-oat01-x", "subscription"),
        ("fast", "sk-ant-api03-x", "metered"),
    ],
)
def test_no_plan_includes_fast_mode(speed: str, key: str, billing: str) -> None:
    """It is paid from credits, so budgets are asked about it."""
    body = json.dumps({"model": "claude-opus-5", "speed": speed, "max_tokens": 9}).encode()
    asked = DIALECTS["anthropic-messages"].ask(head(authorization=f"Bearer {key}"), body)
    assert asked.billing == billing


@pytest.mark.parametrize(
    ("body", "continues", "conversation", "opaque"),
    [
        ({"previous_response_id": "resp_1"}, "resp_1", None, True),
        ({"conversation": "conv_1"}, "conv_1", "conv_1", True),
        ({"conversation": {"id": "conv_1"}}, "conv_1", "conv_1", True),
        ({"conversation": {"other": 1}}, None, None, True),
        ({"previous_response_id": 7}, None, None, True),
        ({"previous_response_id": None, "conversation": None}, None, None, False),
        ({}, None, None, False),
    ],
)
def test_what_a_request_goes_on_from(
    body: dict[str, object], continues: str | None, conversation: str | None, opaque: bool
) -> None:
    """By its name, where it is one; whatever else stands there still bounds nothing."""
    for size in (0, 100_000):
        said = {"model": "gpt-5.5", "input": "x" * size, **body}
        ask = DIALECTS["openai-responses"].ask(head(path="/v1/responses"), json.dumps(said).encode())
        assert (ask.continues, ask.conversation, ask.opaque_input) == (continues, conversation, opaque)


def test_conversations_of_apps_are_named() -> None:
    """claude.ai's in its path, ChatGPT's in its body."""
    path = f"/api/organizations/{ORG}/chat_conversations/{CONVERSATION}/completion"
    claude = DIALECTS["claude-ai"].ask(head(host="claude.ai", path=path), b'{"model":"claude-opus-5"}')
    body = json.dumps({"model": "gpt-5.5", "conversation_id": CONVERSATION}).encode()
    chatgpt = DIALECTS["chatgpt-conversation"].ask(head(host="chatgpt.com", path="/backend-api/f/conversation"), body)
    assert claude.continues == claude.conversation == chatgpt.continues == chatgpt.conversation == CONVERSATION
