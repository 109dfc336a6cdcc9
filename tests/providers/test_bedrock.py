"""Bedrock: every recording of the corpus, its numbers read by botocore's parser and plain JSON, and the shapes of a refusal."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
import botocore
import pytest
import yaml
from botocore.config import Config

from providers.feeding import head, pieces, read
from spendgate.pricing import PriceBook
from spendgate.providers.ask import Ask
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.eventstream import FrameReader, frame
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Dialect, Head, Kind, Notice
from spendgate.providers.reading import Reading
from spendgate.providers.registry import Registry

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
needs_corpus = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="the corpus of public recordings is not at ../shared/corpus"
)
RUNTIME = "bedrock-runtime.us-east-1.amazonaws.com"
EVENTS = CaseInsensitive({"Content-Type": "application/vnd.amazon.eventstream"})
CONVERSE, INVOKE = DIALECTS["bedrock-converse"], DIALECTS["bedrock-invoke"]
NOTICE = Notice("The budget is spent.", "spent", request_id="r1")


INVOKING = ("InvokeModel", "InvokeModelWithResponseStream")
CONVERSING = ("Converse", "ConverseStream")


class _All:
    providers = None
    hosts = ()
    never = ()
    stream_usage = "never"


REGISTRY = Registry.build(_All())


def recordings() -> Iterator[Any]:
    """(path of the URL, request body, response headers, response body) of each good answer that the runtime gave."""
    for file in sorted(CORPUS.rglob("*.yaml")):
        if "bedrock-runtime" not in file.read_text(errors="replace"):
            continue
        for place, one in enumerate(yaml.load(file.read_text(), yaml.CSafeLoader)["interactions"]):
            url = urlsplit(one["request"]["uri"])
            if (
                (url.hostname or "") != RUNTIME
                or one["response"]["status"]["code"] != 200
                or "count-tokens" in url.path
            ):
                continue
            sent = one["request"].get("body") or one["request"].get("parsed_body") or ""
            body = one["response"].get("body") or {"string": json.dumps(one["response"]["parsed_body"])}
            content = body["string"]
            raw = content if isinstance(content, bytes) else (content or "").encode()
            headers = {k.lower(): v[0] if isinstance(v, list) else v for k, v in one["response"]["headers"].items()}
            plain = {k: v.decode() if isinstance(v, bytes) else str(v) for k, v in headers.items()}
            request = (
                sent
                if isinstance(sent, bytes)
                else sent.encode()
                if isinstance(sent, str)
                else json.dumps(sent).encode()
            )
            yield pytest.param(url.path, request, plain, raw, id=f"{file.stem}-{place}")


def independent(path: str, headers: dict[str, str], body: bytes) -> tuple[int | None, ...]:
    """(input, output, cache read, cache write) by other means than the readers under test."""
    if path.endswith("-stream"):
        eventstream = pytest.importorskip("botocore.eventstream")
        buffer = eventstream.EventStreamBuffer()
        buffer.add_data(body)
        found: dict[str, Any] = {}
        for event in buffer:
            if event.headers[":event-type"] == "metadata":
                found = json.loads(event.payload)["usage"]
    elif path.endswith("/converse"):
        found = json.loads(body)["usage"]
    else:
        kinds = ("input", "output", "cache-read-input", "cache-write-input")
        counts = [headers.get(f"x-amzn-bedrock-{kind}-token-count") for kind in kinds]
        return tuple(None if count is None else int(count) for count in counts)
    return tuple(
        found.get(key) for key in ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    )


@needs_corpus
@pytest.mark.parametrize(("path", "request_body", "headers", "body"), list(recordings()) if CORPUS.is_dir() else [])
def test_recordings_read_as_others_read_them(
    path: str, request_body: bytes, headers: dict[str, str], body: bytes
) -> None:
    asked = Head("POST", RUNTIME, path, "", CaseInsensitive({}))
    route = REGISTRY.route(asked)
    assert route.kind is Kind.BILLABLE
    dialect = DIALECTS[route.dialect]
    ask = dialect.ask(asked, request_body)
    ways = [[body], [body[at : at + 1] for at in range(len(body))], list(pieces(body, 3))]
    if path.endswith("-stream"):
        ways.append([body, b"garbage of more than twelve bytes"])
    readings = [read(dialect.reader(ask, 200, CaseInsensitive(headers)), way) for way in ways]
    want = independent(path, headers, body)
    for reading in readings:
        if want[0] is None:
            assert not reading.final
            continue
        (part,) = reading.parts
        usage = part.usage
        assert reading.final
        assert (usage.input_tokens, usage.output_tokens or None) == (want[0], want[1] or None)
        assert (usage.cache_read_tokens or 0, usage.writes) == (want[2] or 0, want[3] or 0)
        assert reading.model == route.model
    for end in range(0, len(body), max(1, len(body) // 40)):
        read(dialect.reader(ask, 200, CaseInsensitive(headers)), [body[:end]])


def claude_stream(*, metrics: dict[str, int]) -> bytes:
    """A short Claude stream of InvokeModelWithResponseStream."""
    usage = {"input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}
    events = [
        {"type": "message_start", "message": {"id": "msg_1", "model": "claude-opus-5", "usage": usage}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 60}},
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics},
    ]
    chunks = [json.dumps({"bytes": base64.b64encode(json.dumps(one).encode()).decode(), "p": "abc"}) for one in events]
    head = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    return b"".join(frame(head, chunk.encode()) for chunk in chunks)


def of(dialect: Dialect, body: bytes) -> Reading:
    """What a dialect reads from a stream that comes byte by byte."""
    reader = dialect.reader(Ask(model="global.anthropic.claude-opus-5"), 200, EVENTS)
    return read(reader, [body[at : at + 1] for at in range(len(body))])


@pytest.mark.parametrize(("output", "flagged"), [(60, False), (41, True)])
def test_awss_counters_go_before_the_bodys(output: int, flagged: bool) -> None:
    reading = of(INVOKE, claude_stream(metrics={"inputTokenCount": 9, "outputTokenCount": output}))
    (part,) = reading.parts
    assert (part.usage.input_tokens, part.usage.output_tokens) == (9, output)
    assert reading.final
    assert (part.model, reading.model) == ("global.anthropic.claude-opus-5",) * 2
    assert ("AWS's counters differ from the model's own" in reading.flags) is flagged


def test_a_model_without_usage_is_counted_by_the_metrics_alone() -> None:
    inner = {"choices": [], "amazon-bedrock-invocationMetrics": {"inputTokenCount": 7, "outputTokenCount": 3}}
    chunk = json.dumps({"bytes": base64.b64encode(json.dumps(inner).encode()).decode()}).encode()
    reading = of(INVOKE, frame({":event-type": "chunk", ":message-type": "event"}, chunk))
    assert [(part.usage.input_tokens, part.usage.output_tokens) for part in reading.parts] == [(7, 3)]
    assert reading.final


@pytest.mark.parametrize("tier", ["priority", "flex", "default", None])
def test_the_tier_of_an_invocation_stands_in_its_head(tier: str | None) -> None:
    """The model's own body does not name it, and it changes the price: what the list has none for is flagged."""
    said = {"x-amzn-bedrock-service-tier": tier} if tier else {}
    usage = {"input_tokens": 3, "output_tokens": 5}
    body = json.dumps({"model": "claude", "content": [], "usage": usage}).encode()
    chunk = json.dumps({"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 5}}).encode()
    payload = json.dumps({"bytes": base64.b64encode(chunk).decode()}).encode()
    stream = frame({":message-type": "event", ":event-type": "chunk"}, payload)
    asked = Ask(model="us.anthropic.claude-opus-4-6-v1")
    context = {"service_tier": tier} if tier not in (None, "default") else {}
    for kind, wire in (("application/json", body), ("application/vnd.amazon.eventstream", stream)):
        found = read(INVOKE.reader(asked, 200, CaseInsensitive({"content-type": kind, **said})), [wire])
        assert found.final
        assert found.parts[0].context == context
    asks = INVOKE.ask(head(path="/model/amazon.nova-pro-v1:0/invoke", host=RUNTIME, **said), b"{}")
    assert asks.service_tier == tier


@pytest.mark.parametrize(("latency", "speed"), [("optimized", "optimized"), ("standard", None), (None, None)])
def test_low_latency_is_a_speed(latency: str | None, speed: str | None) -> None:
    """As asked for, and as it was served: AWS falls back to standard, at standard's price. In heads and bodies."""
    said = {"performanceConfig": {"latency": latency}} if latency else {}
    field = {"x-amzn-bedrock-performanceconfig-latency": latency} if latency else {}
    counts = {"inputTokens": 9, "outputTokens": 1, "totalTokens": 10}
    answer = json.dumps({"usage": counts, **said}).encode()
    assert CONVERSE.ask(head(path="/model/amazon.nova-pro-v1:0/converse"), json.dumps(said).encode()).speed == speed
    assert INVOKE.ask(head(path="/model/amazon.nova-pro-v1:0/invoke", **field), b"{}").speed == speed
    metadata = frame({":event-type": "metadata", ":message-type": "event"}, answer)
    counters = {"x-amzn-bedrock-input-token-count": "9", "x-amzn-bedrock-output-token-count": "1"}
    for dialect, fields, body in (
        (CONVERSE, {"content-type": "application/json"}, answer),
        (CONVERSE, {"content-type": "application/vnd.amazon.eventstream"}, metadata),
        (INVOKE, {"content-type": "application/json", **field, **counters}, b"{}"),
    ):
        reading = read(dialect.reader(Ask(model="amazon.nova-pro-v1:0"), 200, CaseInsensitive(fields)), [body])
        assert [part.context for part in reading.parts] == [{"speed": speed} if speed else {}]


ROUTER = "arn:aws:bedrock:us-east-1:1:default-prompt-router/anthropic.claude:1"
GUARDED, FEES = "guardrail not priced", "fees of server tools not priced"
USED = {"usage": {"inputTokens": 9, "outputTokens": 1, "totalTokens": 10}}


def conversed(ask: Ask, *events: tuple[str, dict[str, Any]], **members: Any) -> list[Reading]:
    """Converse's answer with these members, whole and as a stream of these events before its last one."""
    metadata = {name: value for name, value in members.items() if name != "output"}
    frames = [
        frame({":event-type": kind, ":message-type": "event"}, json.dumps(event).encode())
        for kind, event in (*events, ("metadata", {**USED, **metadata}))
    ]
    document = CONVERSE.reader(ask, 200, CaseInsensitive({"content-type": "application/json"}))
    whole = read(document, [json.dumps({**USED, **members}).encode()])
    return [whole, read(CONVERSE.reader(ask, 200, EVENTS), frames)]


def test_a_guardrail_is_flagged() -> None:
    """AWS bills what it looks at beside the tokens, and no answer has its price."""
    asked = {"guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"}}
    guarded = CONVERSE.ask(head(path="/model/amazon.nova-pro-v1:0/converse"), json.dumps(asked).encode())
    plain = CONVERSE.ask(head(path="/model/amazon.nova-pro-v1:0/converse"), b"{}")
    assert [each.flags for each in conversed(guarded)] == [(GUARDED,)] * 2
    assert [each.flags for each in conversed(plain)] == [()] * 2
    field = {"X-Amzn-Bedrock-GuardrailIdentifier": "g"}
    path = "/model/amazon.nova-pro-v1:0/invoke"
    counters = {"x-amzn-bedrock-input-token-count": "9", "x-amzn-bedrock-output-token-count": "1"}
    for fields, flags in ((field, (GUARDED,)), ({}, ())):
        ask = INVOKE.ask(Head("POST", RUNTIME, path, "", CaseInsensitive(fields)), b"{}")
        reading = read(
            INVOKE.reader(ask, 200, CaseInsensitive({"content-type": "application/json", **counters})), [b"{}"]
        )
        assert (reading.final, [each for each in reading.flags if each == GUARDED]) == (True, [*flags])
        assert INVOKE.reader(ask, 200, EVENTS).reading().flags == flags


def test_a_guardrail_that_no_request_names_is_flagged() -> None:
    """An account may enforce one, which the answer shows."""
    plain = CONVERSE.ask(head(path="/model/amazon.nova-pro-v1:0/converse"), b"{}")
    assert [each.flags for each in conversed(plain, trace={"guardrail": {"inputAssessment": {}}})] == [(GUARDED,)] * 2
    stopped = conversed(
        plain, ("messageStop", {"stopReason": "guardrail_intervened"}), stopReason="guardrail_intervened"
    )
    assert [each.flags for each in stopped] == [(GUARDED,)] * 2
    ended = conversed(
        plain, ("messageStop", {"stopReason": "end_turn"}), stopReason="end_turn", trace={"guardrail": None}
    )
    assert [each.flags for each in ended] == [()] * 2


@pytest.mark.parametrize("name", ["openai-chat", "openai-responses"])
@pytest.mark.parametrize(("host", "flags"), [(RUNTIME, (GUARDED,)), ("api.openai.com", ())])
def test_a_guardrail_of_openais_apis_is_flagged(name: str, host: str, flags: tuple[str, ...]) -> None:
    """AWS takes it in the same field of the head there."""
    fields = CaseInsensitive({"X-Amzn-Bedrock-GuardrailIdentifier": "g"})
    ask = DIALECTS[name].ask(Head("POST", host, "/openai/v1/any", "", fields), b'{"model":"openai.gpt-oss-20b-1:0"}')
    for kind in ("application/json", "text/event-stream"):
        reading = read(DIALECTS[name].reader(ask, 200, CaseInsensitive({"content-type": kind})), [b"{}"])
        assert [flag for flag in reading.flags if flag == GUARDED] == [*flags]


def test_a_tool_that_aws_runs_is_flagged() -> None:
    """Nova's search has a price by the call; a client's own tool has none."""
    for kind, flags in (("server_tool_use", (FEES,)), (None, ())):
        use = {"toolUse": {"toolUseId": "t", "name": "nova_grounding", **({"type": kind} if kind else {})}}
        output = {"message": {"role": "assistant", "content": [{"text": "a"}, use]}}
        start = ("contentBlockStart", {"start": use, "contentBlockIndex": 0})
        for reading in conversed(Ask(model="amazon.nova-pro-v1:0", loops=True), start, output=output):
            assert (reading.final, reading.flags) == (True, flags)


@pytest.mark.parametrize(
    ("model", "invoked", "priced"),
    [
        (
            ROUTER,
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-x-v1:0",
            "us.anthropic.claude-x-v1:0",
        ),
        (ROUTER, "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-x-v1:0", "anthropic.claude-x-v1:0"),
        (ROUTER, "what", ROUTER),
        ("amazon.nova-pro-v1:0", "arn:aws:bedrock:us-east-1::foundation-model/cheap", "amazon.nova-pro-v1:0"),
    ],
)
def test_a_prompt_routers_choice_is_priced(model: str, invoked: str, priced: str) -> None:
    """Where the path's ARN hides the model, AWS's trace names the one that answered."""
    for reading in conversed(Ask(model=model), trace={"promptRouter": {"invokedModelId": invoked}}):
        assert [(part.model, reading.model) for part in reading.parts] == [(priced, priced)]


@pytest.mark.parametrize(
    ("model", "converse", "invoke"),
    [
        (ROUTER, None, None),
        (ROUTER.replace("default-", ""), None, None),
        ("arn:aws:bedrock:us-east-1:1:custom-model/anthropic.claude-x-v1:0/a", 9, None),
        ("us.anthropic.claude-x-v1:0", 9, 9),
    ],
)
def test_a_model_that_only_the_answer_names_bounds_nothing(
    model: str, converse: int | None, invoke: int | None
) -> None:
    """What is charged then is the price of that one, and not the one that the request was bounded by."""
    path = f"/model/{quote(model, safe='')}"
    body = json.dumps({"inferenceConfig": {"maxTokens": 9}, "max_tokens": 9, "messages": []}).encode()
    assert CONVERSE.ask(head(path=f"{path}/converse"), body).output_tokens_max == converse
    assert INVOKE.ask(head(path=f"{path}/invoke"), body).output_tokens_max == invoke


@pytest.mark.parametrize("prefix", ["", "/openai"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_openais_apis_on_the_runtime_cost_money(prefix: str, path: str) -> None:
    """They are the model's work as Converse is, and none of it is let through as unrecognized."""
    route = REGISTRY.route(head(path=prefix + path, host=RUNTIME))
    assert (route.kind, route.provider) == (Kind.BILLABLE, "aws")
    assert route.dialect == ("openai-responses" if "responses" in path else "openai-chat")
    assert REGISTRY.route(head(path="/model/v1/converse", host=RUNTIME)).dialect == "bedrock-converse"


def test_cache_details_split_the_writes() -> None:
    details = [{"ttl": "1h", "inputTokens": 30}, {"ttl": "5m", "inputTokens": 12}]
    usage = {"inputTokens": 1, "outputTokens": 2, "cacheWriteInputTokens": 42, "cacheDetails": details}
    reading = of(
        CONVERSE, frame({":event-type": "metadata", ":message-type": "event"}, json.dumps({"usage": usage}).encode())
    )
    (part,) = reading.parts
    assert (part.usage.cache_write_5m_tokens, part.usage.cache_write_1h_tokens) == (12, 30)


@pytest.mark.parametrize(
    ("model", "asked", "pictures"),
    [
        ("amazon.nova-canvas-v1:0", {"imageGenerationConfig": {"numberOfImages": 4}}, 4),
        ("us.amazon.titan-image-generator-v2:0", {"taskType": "TEXT_IMAGE"}, 1),
        ("stability.stable-image-ultra-v1:1", {"imageGenerationConfig": {"numberOfImages": 10**9}}, 128),
        ("amazon.nova-pro-v1:0", {"imageGenerationConfig": {"numberOfImages": 4}}, 0),
    ],
)
def test_pictures_are_counted_by_what_was_asked(model: str, asked: dict[str, object], pictures: int) -> None:
    """Their answer counts nothing, and a count of input in its head makes no embedding of it."""
    ask = INVOKE.ask(head(path=f"/model/{model}/invoke", host=RUNTIME), json.dumps(asked).encode())
    assert ask.pictures == pictures
    counts = CaseInsensitive({"Content-Type": "application/json", "x-amzn-bedrock-input-token-count": "9"})
    reading = read(INVOKE.reader(ask, 200, counts), [b'{"images":["iVBORw0K"]}'])
    assert reading.final == (pictures == 0)


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/model/us.anthropic.claude-opus-5/converse", "us.anthropic.claude-opus-5"),
        ("/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fglobal.anthropic.claude-opus-5/invoke",
         "global.anthropic.claude-opus-5"),
        ("/model/arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0/converse-stream", "amazon.nova-pro-v1:0"),
        ("/model/arn:aws:bedrock:us-east-1:1:application-inference-profile%2Fotnfa2/invoke",
         "arn:aws:bedrock:us-east-1:1:application-inference-profile/otnfa2"),
    ],
)  # fmt: skip
def test_the_path_names_the_model(path: str, model: str) -> None:
    asked = head(path=path, host=RUNTIME)
    route = REGISTRY.route(asked)
    assert (route.kind, route.model) == (Kind.BILLABLE, model)
    assert DIALECTS[route.dialect].ask(asked, b"{}").model == model


def test_count_tokens_is_free() -> None:
    assert REGISTRY.route(head(path="/model/amazon.nova-pro-v1:0/count-tokens", host=RUNTIME)).kind is Kind.FREE


def test_a_prefix_decides_the_price_and_a_hidden_model_has_none() -> None:
    book = PriceBook()
    names = ("global.anthropic.claude-opus-5", "us.anthropic.claude-opus-5", "anthropic.claude-opus-5")
    found = [book._models.find("aws", name) for name in names]
    assert [each[1].id for each in found if each] == [
        "global.anthropic.claude-opus-5",
        "regional.anthropic.claude-opus-5",
        "regional.anthropic.claude-opus-5",
    ]
    assert book._models.find("aws", "arn:aws:bedrock:us-east-1:1:application-inference-profile/otnfa2") is None


@pytest.mark.parametrize(
    ("tool", "strict", "status", "kind"),
    [
        (None, False, 400, "ServiceQuotaExceededException"),
        (None, True, 429, "AccessDeniedException"),
        ("boto3", True, 429, "AccessDeniedException"),
        ("boto3", False, 400, "ServiceQuotaExceededException"),
        ("anthropic-sdk", True, 429, "ThrottlingException"),
        ("claude-code", False, 429, "ThrottlingException"),
    ],
)
def test_a_refusal_is_awss(tool: str | None, strict: bool, status: int, kind: str) -> None:
    answer = CONVERSE.refusal(NOTICE, tool, strict=strict)
    headers = CaseInsensitive(answer.headers)
    assert (answer.status, headers.get("x-amzn-errortype"), headers.get("x-should-retry")) == (status, kind, "false")
    assert json.loads(answer.body) == {"message": NOTICE.message}


@pytest.mark.parametrize("dialect", [CONVERSE, INVOKE])
def test_a_passing_refusal_is_a_throttle_that_says_when(dialect: Dialect) -> None:
    """AWS's SDKs may try again, and do."""
    answer = dialect.refusal(Notice("Held.", "held", passing=True, retry_after_s=3), "boto3", strict=False)
    headers = CaseInsensitive(answer.headers)
    assert (answer.status, headers.get("x-amzn-errortype")) == (429, "ThrottlingException")
    assert (headers.get("x-should-retry"), headers.get("retry-after")) == ("true", "3")


@pytest.mark.parametrize(("dialect", "operations"), [(INVOKE, INVOKING), (CONVERSE, CONVERSING)])
def test_a_strict_refusal_is_an_error_of_the_operations_model(dialect: Dialect, operations: tuple[str, ...]) -> None:
    """botocore retries a 429 unless its model has the code and does not call it retryable."""
    model = boto3.client("bedrock-runtime", region_name="us-east-1").meta.service_model
    kind = CaseInsensitive(dialect.refusal(NOTICE, None, strict=True).headers).get("x-amzn-errortype")
    for name in operations:
        [shape] = [each for each in model.operation_model(name).error_shapes if each.name == kind]
        assert "retryable" not in shape.metadata


def test_a_cut_is_one_whole_exception_frame() -> None:
    (cut,) = FrameReader().feed(INVOKE.cut(NOTICE))
    assert cut.headers[":message-type"] == "exception"
    assert json.loads(cut.payload) == {"message": NOTICE.message}


def test_every_endpoint_of_botocores_list_is_captured() -> None:
    """By botocore's own data and rules, in all partitions but the ones that no laptop on the internet reaches."""
    data = json.loads((Path(botocore.__file__).parent / "data" / "endpoints.json").read_text())
    wanted: set[str] = set()
    for partition in data["partitions"]:
        found = partition["services"].get("bedrock")
        if found is None or partition["partition"].startswith("aws-iso"):
            continue
        for name, endpoint in found["endpoints"].items():
            host = endpoint.get("hostname", "")
            if host.startswith("bedrock-runtime"):
                wanted.add(host)
            elif name in partition["regions"]:
                for dual in (False, True):
                    config = Config(use_dualstack_endpoint=dual)
                    made = boto3.client("bedrock-runtime", region_name=name, config=config)
                    wanted.add(urlsplit(made.meta.endpoint_url).hostname or "")
    assert len(wanted) > 70
    assert wanted <= set(REGISTRY.hosts())
