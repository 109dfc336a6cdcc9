"""Kiro, Amazon Q and JetBrains AI: as far as their wire is known, and no further."""

from __future__ import annotations

import json

import pytest

from providers.feeding import head, pieces, read
from spendgate.attribution import Evidence
from spendgate.providers.ask import Ask, Claim
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.eventstream import frame
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Kind, Notice
from spendgate.providers.reading import Reading

from .test_registry import ALL

Q = DIALECTS["amazon-q"]
HOST, JETBRAINS = "q.us-east-1.amazonaws.com", "api.jetbrains.ai"
EVENTS = CaseInsensitive({"content-type": "application/vnd.amazon.eventstream"})
ID = "0c9f5f5e-6d1b-4a8e-9a57-0d9b8d2d2f10"


def turn(model: object = "claude-sonnet-4.5", size: int = 0, **more: object) -> bytes:
    """A request with its history."""
    said = {"userInputMessage": {"content": "hi", "modelId": model, **more}}
    old = [{"userInputMessage": {"content": "x" * size, "modelId": "older"}}]
    state = {"conversationId": ID, "history": old, "currentMessage": said, "chatTriggerType": "MANUAL"}
    return json.dumps({"conversationState": state, "profileArn": "arn:x"}).encode()


def event(kind: str, sort: str = "event", **payload: object) -> bytes:
    """One frame of an answer."""
    return frame({":event-type": kind, ":message-type": sort}, json.dumps(payload).encode())


ANSWER = b"".join(
    (
        event("assistantResponseEvent", content="Hello "),
        event("reasoningContentEvent", text="hm"),
        event("toolUseEvent", name="fs_read", input='{"a":1}'),
        event("contextUsageEvent", contextUsagePercentage=3.2),
        event("meteringEvent", usage=0.0525, unit="credit", unitPlural="credits"),
        event("messageStopEvent"),
    )
)


def fed(data: bytes, status: int = 200) -> Reading:
    """What is read of an answer, the same however it is cut."""
    readings = [
        read(Q.reader(Ask(model="claude-sonnet-4.5"), status, EVENTS), chunks)
        for chunks in ([data], [bytes([byte]) for byte in data], list(pieces(data, 1)), list(pieces(data, 2)))
    ]
    assert readings == readings[:1] * len(readings)
    return readings[0]


@pytest.mark.parametrize("size", [0, 200_000])
def test_a_turn_names_its_model_deep_inside(size: int) -> None:
    """The current message's, not one of the history's; the conversation is the session."""
    ask = Q.ask(head(host=HOST, path="/generateAssistantResponse"), turn(size=size))
    assert (ask.model, ask.streamed, ask.opaque_input) == ("claude-sonnet-4.5", True, False)
    assert ask.session == Claim(ID, Evidence.BODY)
    assert ask.text_bytes == len(turn(size=size))
    assert Q.ask(head(host=HOST), turn(images=[{"format": "png"}])).opaque_input
    assert Q.ask(head(host=HOST), turn(model=7)).model is None
    assert Q.ask(head(host=HOST), b"{}").model is None


def test_an_answer_is_an_estimate_with_its_credits() -> None:
    """Text, reasoning and tool input are measured; no count is made up, and the credits are kept as they were told."""
    reading = fed(ANSWER)
    assert (reading.parts, reading.final, reading.ended, reading.free) == ((), False, True, False)
    assert reading.output_bytes == len("Hello ") + len("hm") + len('{\\"a\\":1}')
    assert (reading.model, reading.flags) == ("claude-sonnet-4.5", ("credits=0.0525",))


@pytest.mark.parametrize(
    ("data", "flags", "free"),
    [
        (ANSWER[:-9], ("credits=0.0525",), False),
        (event("ThrottlingException", "exception", message="slow down"), (), True),
        (ANSWER[:200] + b"garbage" * 40, ("a frame with a wrong message CRC",), False),
        (event("meteringEvent", usage="much", unit="credit"), (), False),
        (event("meteringEvent", usage=1, unit="request"), (), False),
        (
            frame({":event-type": "meteringEvent", ":message-type": "event"}, b"{"),
            ("an event that is not JSON",),
            False,
        ),
        (b"", (), False),
    ],
    ids=["cut", "an exception", "garbage", "no amount", "another unit", "not JSON", "nothing"],
)
def test_what_does_not_fit_is_flagged(data: bytes, flags: tuple[str, ...], free: bool) -> None:
    """Never a fault, never a count; only an exception before any output is free."""
    reading = fed(data)
    assert (reading.final, reading.free) == (False, free)
    assert reading.flags == flags


def test_a_refusal_is_awss() -> None:
    """A 400 that its SDKs show and do not send again; 429 where the policy says so."""
    notice = Notice("Budget person is spent.", "spent")
    plain, strict = Q.refusal(notice, "kiro"), Q.refusal(notice, "kiro", strict=True)
    assert (plain.status, strict.status) == (400, 429)
    assert dict(plain.headers)["x-amzn-errortype"] == "ServiceQuotaExceededException"
    assert json.loads(plain.body)["message"] == notice.message


@pytest.mark.parametrize(
    ("host", "path", "kind", "said"),
    [
        (HOST, "/generateAssistantResponse", Kind.BILLABLE, ("amazon-q", "subscription", "anthropic")),
        (
            "codewhisperer.us-east-1.amazonaws.com",
            "/SendMessage",
            Kind.BILLABLE,
            ("amazon-q", "subscription", "anthropic"),
        ),
        (
            "runtime.eu-central-1.kiro.dev",
            "/SendMessageStreaming",
            Kind.BILLABLE,
            ("amazon-q", "subscription", "anthropic"),
        ),
        (HOST, "/", Kind.UNRECOGNIZED, ("amazon-q", None, "anthropic")),
        (JETBRAINS, "chat/stream/v8", Kind.UNRECOGNIZED, ("openai-chat", None, "openai")),
        (JETBRAINS, "openai/v1/chat/completions", Kind.BILLABLE, ("openai-chat", "subscription", "openai")),
        (JETBRAINS, "openai/v1/responses", Kind.BILLABLE, ("openai-responses", "subscription", "openai")),
        (JETBRAINS, "anthropic/v1/messages", Kind.BILLABLE, ("anthropic-messages", "subscription", "anthropic")),
        (JETBRAINS, "anthropic/v1/messages/count_tokens", Kind.FREE, ("openai-chat", None, "openai")),
        (
            "ampcode.com",
            "/api/provider/anthropic/v1/messages",
            Kind.BILLABLE,
            ("anthropic-messages", None, "anthropic"),
        ),
        ("ampcode.com", "/api/internal", Kind.UNRECOGNIZED, ("openai-chat", None, "openrouter")),
    ],
)
def test_routes(host: str, path: str, kind: Kind, said: tuple[str, str | None, str]) -> None:
    """What is not known to be read is unrecognized, not free."""
    route = ALL.route(head(host=host, path=path if path.startswith("/") else f"/user/v5/llm/{path}"))
    assert (route.kind, (route.dialect, route.billing, route.prices)) == (kind, said)


@pytest.mark.parametrize(
    ("target", "kind", "path"),
    [
        ("AmazonCodeWhispererStreamingService.GenerateAssistantResponse", Kind.BILLABLE, "/generateassistantresponse"),
        ("AmazonQDeveloperStreamingService.SendMessage", Kind.BILLABLE, "/sendmessage"),
        ("AmazonCodeWhispererService.ListAvailableModels", Kind.FREE, "/listavailablemodels"),
        ("AmazonCodeWhispererService.Secret-of-mine", Kind.UNRECOGNIZED, "/*"),
        ("X." + "y" * 4000, Kind.UNRECOGNIZED, "/*"),
        ("", Kind.UNRECOGNIZED, "/"),
    ],
)
def test_an_operation_that_stands_in_a_header_is_a_path(target: str, kind: Kind, path: str) -> None:
    """The command-line tools send everything to `/`; an unknown name is not kept. Elsewhere that header says nothing."""
    route = ALL.route(head(host=HOST, path="/", x_amz_target=target))
    assert (route.kind, route.path) == (kind, path)
    other = ALL.route(head(host="api.openai.com", path="/", x_amz_target=target))
    assert (other.kind, other.path) == (Kind.FREE, "/")


def test_kiro_is_known_by_its_user_agent() -> None:
    """Its SDK names itself first, and the tool after it."""
    agent = "aws-sdk-js/1.0.27 ua/2.1 os/linux lang/js md/nodejs#22.21.1 api/codewhispererstreaming#1.0.27 m/E KiroIDE-0.10.32-x"
    ask = Q.ask(head(host=HOST, path="/generateAssistantResponse", user_agent=agent), turn())
    assert ask.tool == Claim("kiro", Evidence.HEADER)
