"""Google's paths, requests, envelope and error shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.feeding import JSON, STREAM, each_way, fed, head, read
from providers.test_corpus import Everything
from spendgate.providers.ask import Ask
from spendgate.providers.code_assist import CodeAssist
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.gemini import Gemini
from spendgate.providers.gemini_usage import PROVISIONED
from spendgate.providers.interface import Head, Kind, Notice
from spendgate.providers.registry import Registry
from spendgate.providers.stated import FEES
from spendgate.usage import Usage

ALL = Registry.build(Everything())
API = "generativelanguage.googleapis.com"
VERTEX = "us-east5-aiplatform.googleapis.com"
AT = "/v1/projects/p/locations/us-east5"


@pytest.mark.parametrize(
    ("host", "path", "kind", "dialect", "model"),
    [
        (API, "/v1beta/models/gemini-3-flash:generateContent", "billable", "gemini", "gemini-3-flash"),
        (API, "/v1beta/models/gemini-3-flash:streamGenerateContent", "billable", "gemini", "gemini-3-flash"),
        (API, "/v1beta/models/gemini-embedding-2:batchEmbedContents", "billable", "gemini", "gemini-embedding-2"),
        (API, "/v1beta/models/gemini-3-flash:countTokens", "free", "gemini", "gemini-3-flash"),
        (API, "/v1beta/models/imagen-4:predict", "unrecognized", "gemini", None),
        (API, "/v1beta/openai/chat/completions", "billable", "openai-chat", None),
        (VERTEX, f"{AT}/publishers/google/models/gemini-3-flash:generateContent", "billable", "gemini", "gemini-3-flash"),
        (VERTEX, f"{AT}/publishers/anthropic/models/claude-opus-4-5@20251101:rawPredict", "billable",
         "anthropic-messages", "claude-opus-4-5@20251101"),
        (VERTEX, f"{AT}/publishers/anthropic/models/claude-opus-4-8:streamRawPredict", "billable",
         "anthropic-messages", "claude-opus-4-8"),
        (VERTEX, f"{AT}/publishers/anthropic/models/count-tokens:rawPredict", "free", "gemini", None),
        ("aiplatform.googleapis.com", f"{AT}/endpoints/openapi/chat/completions", "billable", "openai-chat", None),
        ("cloudcode-pa.googleapis.com", "/v1internal:generateContent", "billable", "code-assist", None),
        ("daily-cloudcode-pa.sandbox.googleapis.com", "/v1internal:loadCodeAssist", "free", "code-assist", None),
    ],
)  # fmt: skip
def test_paths(host: str, path: str, kind: str, dialect: str, model: str | None) -> None:
    """What each path of Google's hosts is, and the model in it; its template keeps no project and no model."""
    route = ALL.route(head("POST", path, host))
    assert (route.kind, route.dialect, route.model) == (Kind(kind), dialect, model)
    assert route.billing == ("subscription" if (dialect, kind) == ("code-assist", "billable") else None)
    assert model is None or model not in route.path
    assert "/p/" not in route.path


def asked(body: dict[str, object], verb: str = "generateContent", query: str = "") -> Ask:
    """The Ask of a request."""
    there = head("POST", f"/v1beta/models/m:{verb}", API)
    return Gemini().ask(Head("POST", API, there.path, query, there.headers), json.dumps(body).encode())


def test_what_is_asked() -> None:
    """Caps in either spelling, the larger; hosted tools loop; parts that are packed are opaque; embeddings have no output."""
    config = {"maxOutputTokens": 10, "max_output_tokens": 20, "candidateCount": 3}
    ask = asked({"generationConfig": config})
    assert (ask.output_tokens_max, ask.choices, ask.loops, ask.opaque_input) == (20, 3, False, False)
    assert not asked({"tools": [{"functionDeclarations": []}]}).loops
    assert asked({"tools": [{"googleSearch": {}}]}).searches_max is None
    assert asked({"tools": [{"a_tool_of_tomorrow": {}}]}).loops
    beside = {"functionDeclarations": [{"name": "f"}]}
    for kind in ("googleSearch", "enterpriseWebSearch", "retrieval", "mcpServers", "parallelAiSearch", "of_tomorrow"):
        assert asked({"tools": [beside | {kind: {}}]}).loops
        assert not asked({"tools": [beside | {kind: None}]}).loops
    assert asked({"contents": [{"parts": [{"inlineData": {"data": ""}}]}]}).opaque_input
    assert asked({"cachedContent": "cachedContents/x"}).opaque_input
    for routing in ({"manualMode": {"modelName": "gemini-3-pro"}}, {"manual_mode": {"model_name": "gemini-3-pro"}}):
        assert asked({"generationConfig": {"routingConfig": routing}}).also == ("gemini-3-pro",)
    assert asked({"generation_config": {"routing_config": {"autoMode": {}}}}).also == ("",)
    assert asked({"generationConfig": {"routingConfig": None}}).also == ()
    assert asked({}, "embedContent").output_tokens_max == 0
    assert asked({}, "streamGenerateContent").streamed
    assert (asked({}, query="key=AIzaSecret").api_key or "").startswith("key:")


def test_code_assist() -> None:
    """The envelope is opened, also where it is long: model, project, session, caps; the answer's counts are inside."""
    inner = {"generationConfig": {"maxOutputTokens": 9}, "session_id": "s-1", "contents": ["x" * 100_000]}
    body = json.dumps({"model": "gemini-3-pro", "project": "p-1", "request": inner, "user_prompt_id": "u"}).encode()
    ask = CodeAssist().ask(head("POST", "/v1internal:streamGenerateContent"), body)
    assert (ask.model, ask.account, ask.session.value, ask.output_tokens_max) == ("gemini-3-pro", "p-1", "s-1", 9)
    usage = {"promptTokenCount": 12, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "toolUsePromptTokenCount": 5}
    said = {"candidates": [{"finishReason": "STOP"}], "usageMetadata": usage, "modelVersion": "gemini-3-pro"}
    answer = json.dumps({"response": said, "traceId": "t"}).encode()
    for reading in (
        fed(CodeAssist(), answer, stream=False),
        fed(CodeAssist(), b"data: " + answer + b"\n\n", stream=True),
    ):
        assert reading.final
        assert reading.parts[0].usage == Usage(input_tokens=17, output_tokens=7, reasoning_tokens=3)
        assert reading.flags == ()
    used = {"consumedCredits": [{"creditType": "GOOGLE_ONE_AI", "creditAmount": "42"}], "remainingCredits": []}
    paid = json.dumps({"response": said, "traceId": "t", **used}).encode()
    assert fed(CodeAssist(), paid, stream=False).flags == ("credits=42",)
    later = b'data: {"consumedCredits":[{"creditType":"GOOGLE_ONE_AI","creditAmount":"1"}]}\n\n'
    assert fed(CodeAssist(), b"data: " + paid + b"\n\n" + later, stream=True).flags == ("credits=43",)


def test_prepaid_searches_audio_and_a_missing_count() -> None:
    """Prepaid traffic is flagged, named searches are counted, audio stands apart, a missing count is what the total leaves."""
    answer = {
        "candidates": [{"finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["", "a", "b"]}}],
        "usageMetadata": {
            "promptTokenCount": 100, "cachedContentTokenCount": 40, "thoughtsTokenCount": 5, "totalTokenCount": 125,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}, {"modality": "TEXT", "tokenCount": 70}],
            "trafficType": "PROVISIONED_THROUGHPUT",
        },
    }  # fmt: skip
    reading = fed(Gemini(), json.dumps(answer).encode(), stream=False)
    assert PROVISIONED in reading.flags
    expected = Usage(60, 40, output_tokens=25, reasoning_tokens=5, input_audio_tokens=30, web_searches=2)
    assert reading.parts[0].usage == expected


QUERIES = {"webSearchQueries": ["a", "b", "", "b"]}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("model", "grounded", "searches", "flags"),
    [
        ("gemini-2.5-flash", QUERIES, 1, ()),
        ("gemini-2.5-flash", {"webSearchQueries": [""]}, 0, ()),
        ("gemini-2.0-flash-001", QUERIES, 1, ()),
        ("gemini-3-flash-preview", QUERIES, 2, ()),
        ("gemini-20-pro", QUERIES, 2, ()),
        ("gemini-2.5-flash", {"groundingChunks": [{"web": {}}, {"maps": {"placeId": "p"}}]}, 0, (FEES,)),
        ("gemini-2.5-flash", {"googleMapsWidgetContextToken": "w"}, 0, (FEES,)),
        ("gemini-3.1-flash-image", QUERIES | {"imageSearchQueries": ["c"]}, 2, (FEES,)),
        ("gemini-3.1-flash-image", {"imageSearchQueries": [], "groundingChunks": [{"web": {}}]}, 0, ()),
    ],
)
def test_fees_of_grounding(
    model: str, grounded: dict[str, Any], searches: int, flags: tuple[str, ...], stream: bool
) -> None:
    """Up to Gemini 2.5 a grounded prompt is billed, from Gemini 3 on each query; Maps and image search have no listed price."""
    answer = {
        "candidates": [{"finishReason": "STOP", "groundingMetadata": grounded}], "modelVersion": model,
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13},
    }  # fmt: skip
    wire = json.dumps(answer).encode()
    reading = fed(Gemini(), b"data: " + wire + b"\n\n" if stream else wire, stream=stream)
    assert (reading.parts[0].usage.web_searches or 0, reading.flags, reading.final) == (searches, flags, True)


@pytest.mark.parametrize("stream", [True, False])
def test_what_a_long_answer_was_grounded_in_is_unknown(stream: bool) -> None:
    """Its ends alone are kept, so that its row says that fees are missing: where Google could search."""
    answer = {
        "candidates": [{"content": {"parts": [{"inlineData": {"data": "A" * 2_000_000}}]}, "finishReason": "STOP",
                        "groundingMetadata": QUERIES}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13},
    }  # fmt: skip
    wire = json.dumps(answer).encode()
    ask = Ask(searches_max=None)
    reading = fed(Gemini(), b"data: " + wire + b"\n\n" if stream else wire, stream=stream, ask=ask)
    assert (reading.flags, reading.parts[0].usage.output_tokens) == ((FEES,), 4)
    if not stream:
        assert fed(Gemini(), wire, stream=False).flags == ()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("image", "video", "audio"), [("IMAGE", "VIDEO", "AUDIO"), (2, 3, 4), ("DOCUMENT", 3, 4)])
def test_media_stand_apart(image: str | int, video: str | int, audio: str | int, stream: bool) -> None:
    """What has a price of its own: images made and shown, video, cached audio; never more than the whole."""
    answer = {
        "candidates": [{"finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 1000, "cachedContentTokenCount": 400, "candidatesTokenCount": 1300, "totalTokenCount": 2300,
            "promptTokensDetails": [{"modality": image, "tokenCount": 500}, {"modality": video, "tokenCount": 100},
                                    {"modality": audio, "tokenCount": 300}],
            "cacheTokensDetails": [{"modality": image, "tokenCount": 50}, {"modality": audio, "tokenCount": 200}],
            "candidatesTokensDetails": [{"modality": image, "tokenCount": 1290}, {"modality": "TEXT", "tokenCount": 10}],
        },
    }  # fmt: skip
    wire = json.dumps(answer).encode()
    part = fed(Gemini(), b"data: " + wire + b"\n\n" if stream else wire, stream=stream).parts[0]
    assert part.usage == Usage(600, 400, output_tokens=1300, input_audio_tokens=100)
    assert part.units == {
        "cache_audio_read_tokens": 200, "output_image_tokens": 1290, "input_image_tokens": 500,
        "cache_image_read_tokens": 50, "input_video_tokens": 100, "cache_video_read_tokens": 0,
    }  # fmt: skip


@pytest.mark.parametrize("stream", [True, False])
def test_words_may_be_numbers(stream: bool) -> None:
    """Google's generated REST clients ask for numbers: the end of a stream is seen, audio has its own price, prepaid is told."""
    answer = {
        "candidates": [{"finishReason": 1}],
        "usageMetadata": {
            "promptTokenCount": 100, "candidatesTokenCount": 5, "totalTokenCount": 105, "trafficType": 2,
            "promptTokensDetails": [{"modality": 4, "tokenCount": 30}, {"modality": 1, "tokenCount": 70}],
        },
    }  # fmt: skip
    begun = json.dumps({"candidates": [{"content": {}, "finishReason": 0}]}).encode()
    wire = json.dumps(answer).encode()
    if stream:
        wire = b"data: " + begun + b"\n\ndata: " + wire + b"\n\n"
    reading = fed(Gemini(), wire, stream=stream)
    assert reading.final
    assert PROVISIONED in reading.flags
    assert reading.parts[0].usage == Usage(input_tokens=100, output_tokens=5, input_audio_tokens=30)
    blocked = (
        b'data: {"promptFeedback":{"blockReason":1},"usageMetadata":{"promptTokenCount":9,"totalTokenCount":9}}\n\n'
    )
    assert fed(Gemini(), blocked, stream=True).final


def test_the_last_counts_win() -> None:
    """Counts that fall are taken as they are; an object that names only the traffic takes nothing back."""
    pieces = [
        {"usageMetadata": {"promptTokenCount": 169, "candidatesTokenCount": 9, "totalTokenCount": 178}},
        {"candidates": [{"finishReason": "STOP"}],
         "usageMetadata": {"promptTokenCount": 79, "candidatesTokenCount": 4, "totalTokenCount": 83}},
        {"usageMetadata": {"trafficType": "ON_DEMAND"}},
    ]  # fmt: skip
    wire = [b"data: " + json.dumps(each).encode() + b"\n\n" for each in pieces]
    reading = read(Gemini().reader(Ask(streamed=True), 200, STREAM), wire)
    assert reading.final
    assert reading.parts[0].usage == Usage(input_tokens=79, output_tokens=4)


def test_an_error_in_a_stream() -> None:
    """Before any output it is free; after some it is not."""
    error = b'{"error":{"code":503}}'
    assert read(Gemini().reader(Ask(streamed=True), 200, JSON), [b"[" + error + b"]"]).free
    said = b'data: {"candidates":[{"content":{"parts":[{"text":"hi"}]}}]}\n\n'
    assert not read(Gemini().reader(Ask(streamed=True), 200, STREAM), [said, b"data: " + error + b"\n\n"]).free


def test_refusal() -> None:
    """What makes Gemini CLI stop: QUOTA_EXHAUSTED of Code Assist's domain; a passing one says how long to wait."""
    final = DIALECTS["gemini"].refusal(Notice("Budget reached.", "spent"), "gemini-cli")
    error = json.loads(final.body)["error"]
    assert (final.status, error["code"], error["status"], error["message"]) == (
        429,
        429,
        "RESOURCE_EXHAUSTED",
        "Budget reached.",
    )
    assert [each["reason"] for each in error["details"]] == ["QUOTA_EXHAUSTED"]
    assert ("x-should-retry", "false") in final.headers
    passing = Gemini().refusal(Notice("Wait.", "held", passing=True, retry_after_s=3), None)
    assert json.loads(passing.body)["error"]["details"][1]["retryDelay"] == "3s"
    assert json.loads(Gemini().cut(Notice("Over.", "spent"))[6:])["error"]["message"] == "Over."
    assert json.loads(Gemini().error(413, "Too long.").body)["error"]["status"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize("order", [("response", "traceId"), ("traceId", "response")])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_long_answer_of_code_assist_has_its_counts(order: tuple[str, str], indent: int | None) -> None:
    """Longer than is kept, in its envelope: its end is read, and its counts are the provider's own."""
    inner = {
        "candidates": [
            {"content": {"parts": [{"text": 'said "usageMetadata" and {' * 30_000}]}, "finishReason": "STOP"}
        ],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 70_000, "totalTokenCount": 70_009},
        "modelVersion": "gemini-3-pro",
        "responseId": "r1",
    }
    members = {"response": inner, "traceId": "t"}
    body = json.dumps({name: members[name] for name in order}, indent=indent).encode()
    assert len(body) > 2 * 256 * 1024
    for way, reading in each_way(CodeAssist(), body, stream=False):
        assert (reading.final, reading.model, reading.response_id) == (True, "gemini-3-pro", "r1"), way
        assert [part.usage.output_tokens for part in reading.parts] == [70_000], way
