"""boto3 and Anthropic's client for Bedrock through the gate: all four operations, bytes as they came, exact counts and cost.

The stand-in checks AWS's signature, so a request that the gate had changed would be answered 403.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import boto3
import httpx2
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from end_to_end.raw import AsyncHashing, Seen, SyncHashing
from end_to_end.world import Gate, Provider, listed_nanos, policy, running_gate, until
from spendgate.standin.script import Script
from spendgate.standin.sigv4 import KEY_ID, SECRET

REGION = "us-east-1"
CLAUDE, PROFILE, NOVA = "anthropic.claude-sonnet-4-6", "us.anthropic.claude-sonnet-4-6", "amazon.nova-pro-v1:0"
HIDDEN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/otnfa2a1b2c3"
SHOWN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6"
COUNTS = Script(input=1201, output=377, cache_read=2048, write_5m=512)
PROMPT: Any = [{"role": "user", "content": "hi"}]


class Raw:
    """The bytes of an answer as they came, hashed."""

    def __init__(self) -> None:
        self.digest, self.size = hashlib.sha256(), 0

    def part(self, data: bytes) -> bytes:
        self.digest.update(data)
        self.size += len(data)
        return data


class Stream:
    """What botocore reads an event stream from, with a look at its bytes."""

    def __init__(self, inner: Any, seen: Raw) -> None:
        self._inner, self._seen = inner, seen

    def stream(self, *words: Any, **more: Any) -> Any:
        for data in self._inner.stream(*words, **more):
            yield self._seen.part(data)

    def close(self) -> None:
        self._inner.close()


@contextmanager
def bedrock(gate: Gate, **retries: Any) -> Iterator[Any]:
    """boto3's client, through the gate."""
    config = Config(proxies={"https": gate.proxy}, retries=retries or None)
    client = boto3.client(
        "bedrock-runtime", region_name=REGION, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET,
        verify=str(gate.ca), config=config,
    )  # fmt: skip
    with closing(client):
        yield client


def body(model: str) -> dict[str, Any]:
    if model == NOVA:
        return {"prompt": "hi", "max_gen_len": 4000}
    return {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 4000, "messages": PROMPT}


def invoke(client: Any, model: str, seen: Raw) -> Any:
    answer = client.invoke_model(modelId=model, body=json.dumps(body(model)))
    assert json.loads(seen.part(answer["body"].read()))
    return answer


def invoke_stream(client: Any, model: str, seen: Raw) -> Any:
    answer = client.invoke_model_with_response_stream(modelId=model, body=json.dumps(body(model)))
    events = answer["body"]
    events._raw_stream = Stream(events._raw_stream, seen)
    with closing(events):
        last = [json.loads(event["chunk"]["bytes"]) for event in events][-1]
    assert last["amazon-bedrock-invocationMetrics"]["inputTokenCount"] == COUNTS.input
    return answer


def converse(client: Any, model: str, seen: Raw) -> Any:
    client.meta.events.register(
        "before-parse.bedrock-runtime", lambda response_dict, **_: seen.part(response_dict["body"])
    )
    answer = client.converse(modelId=model, messages=asked(), inferenceConfig={"maxTokens": 4000})
    assert answer["usage"]["inputTokens"] == COUNTS.input
    return answer


def converse_stream(client: Any, model: str, seen: Raw) -> Any:
    answer = client.converse_stream(modelId=model, messages=asked(), inferenceConfig={"maxTokens": 4000})
    events = answer["stream"]
    events._raw_stream = Stream(events._raw_stream, seen)
    with closing(events):
        assert list(events)[-1]["metadata"]["usage"]["outputTokens"] == COUNTS.output
    return answer


def asked() -> Any:
    return [{"role": "user", "content": [{"text": "hi"}]}]


OPERATIONS = (invoke, invoke_stream, converse, converse_stream)


def check(
    gate: Gate, provider: Provider, request_id: str, digest: str, model: str, *, requested: str = ""
) -> dict[str, Any]:
    """Compare the client's bytes, the stand-in's log and the ledger's row."""
    served = provider.ended(request_id)
    assert (served.status, served.sha256) == (200, digest)
    row, usage = gate.row(request_id), served.usage
    assert usage is not None
    assert (row["state"], row["basis"], row["provider"]) == ("settled", "reported", "aws")
    assert (row["model"], row["model_requested"]) == (model, requested or model)
    assert (row["input_tokens"], row["output_tokens"]) == (usage.input_tokens, usage.output_tokens)
    assert (row["cache_read_tokens"] or 0, row["cache_write_tokens"] or 0) == (usage.cache_read_tokens, usage.writes)
    return row


@pytest.mark.parametrize("chunk", [0, 1, 7])
@pytest.mark.parametrize("model", [CLAUDE, PROFILE, NOVA, SHOWN])
@pytest.mark.parametrize("call", OPERATIONS)
def test_boto3(gate: Gate, provider: Provider, call: Any, model: str, chunk: int) -> None:
    """Every operation, by a model's id, by a system's inference profile and by the profile's ARN."""
    counts = replace(COUNTS, write_5m=0, cache_read=0) if model == NOVA else COUNTS
    provider.set(replace(counts, chunk=chunk))
    seen = Raw()
    with bedrock(gate) as client:
        answer = call(client, model, seen)
    name = model.rpartition("/")[2]
    row = check(gate, provider, answer["ResponseMetadata"]["RequestId"], seen.digest.hexdigest(), name)
    assert row["tool"] == "boto3"
    served = provider.ended(str(row["request_id"]))
    assert served.usage is not None
    assert row["cost_nanos"] == row["value_nanos"] == listed_nanos("aws", name, served.usage, str(row["booked_at"]))


@pytest.mark.parametrize("call", OPERATIONS)
def test_a_profile_that_hides_its_model(gate: Gate, provider: Provider, call: Any) -> None:
    """Only AWS's control plane knows the model of an application inference profile. What the answer names is priced, flagged as
    of some region; Converse's names nothing, so it costs the policy's price, flagged, never nothing."""
    provider.set(COUNTS)
    seen = Raw()
    with bedrock(gate) as client:
        answer = call(client, HIDDEN, seen)
    request_id, named = answer["ResponseMetadata"]["RequestId"], call in (invoke, invoke_stream)
    row = check(
        gate, provider, request_id, seen.digest.hexdigest(), "claude-sonnet-4-6" if named else HIDDEN, requested=HIDDEN
    )
    flags = row["flags"].split(",")
    if named:
        served = provider.ended(request_id).usage
        assert served is not None
        assert "a region's price assumed" in flags
        assert row["cost_nanos"] == listed_nanos("aws", PROFILE, served, str(row["booked_at"]))
    else:
        assert (row["prices"], "unknown price" in flags) == ("policy:unknown_model", True)
        assert row["cost_nanos"] == 1201 * 15_000 + 2048 * 15_000 + 512 * 15_000 + 377 * 75_000


def test_an_embedding_has_no_output(gate: Gate, provider: Provider) -> None:
    """AWS counts its input in a header alone."""
    provider.set(Script(input=1201, output=0))
    raw, model = Raw(), "amazon.titan-embed-text-v2:0"
    with bedrock(gate) as client:
        answer = client.invoke_model(modelId=model, body=json.dumps({"inputText": "hi"}))
        raw.part(answer["body"].read())
    row = check(gate, provider, answer["ResponseMetadata"]["RequestId"], raw.digest.hexdigest(), model)
    assert row["cost_nanos"] == 1201 * 20


def created(client: Any, *, stream: bool) -> Any:
    return client.messages.create(model=PROFILE, max_tokens=4000, messages=PROMPT, stream=stream)


KEYS: Any = {"aws_access_key": KEY_ID, "aws_secret_key": SECRET, "aws_region": REGION}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_anthropics_client(gate: Gate, provider: Provider, *, stream: bool) -> None:
    """AnthropicBedrock, which signs every header that it sends."""
    provider.set(replace(COUNTS, chunk=3))
    seen = Seen()
    with httpx2.Client(transport=SyncHashing(gate, seen, http2=False)) as http:
        answer = created(anthropic.AnthropicBedrock(**KEYS, http_client=http), stream=stream)
        if stream:
            assert list(answer)[-1].type == "message_stop"
    row = check(gate, provider, seen.request_id, seen.digest.hexdigest(), PROFILE)
    assert row["tool"] == "anthropic-sdk"
    assert row["cost_nanos"] > 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_anthropics_asynchronous_client(gate: Gate, provider: Provider, *, stream: bool) -> None:
    """AsyncAnthropicBedrock."""
    provider.set(replace(COUNTS, chunk=3))
    seen = Seen()
    async with httpx2.AsyncClient(transport=AsyncHashing(gate, seen, http2=False)) as http:
        answer = await created(anthropic.AsyncAnthropicBedrock(**KEYS, http_client=http), stream=stream)
        if stream:
            assert [event.type async for event in answer][-1] == "message_stop"
    row = check(gate, provider, seen.request_id, seen.digest.hexdigest(), PROFILE)
    assert row["tool"] == "anthropic-sdk"


def test_a_model_rule_does_not_let_a_hidden_model_through(folder: Path, provider: Provider) -> None:
    """A rule that denies some model refuses a profile that may be of it, and says why; one that shows another model passes."""
    rule = 'models:\n  - {name: no-opus, deny: ["claude-opus-*"]}\n'
    with running_gate(folder, provider, policy(folder, more=rule)) as running, bedrock(running) as client:
        assert client.converse(modelId=NOVA, messages=asked())["stopReason"] == "end_turn"
        with pytest.raises(ClientError, match="becomes is not known beforehand"):
            client.converse(modelId=HIDDEN, messages=asked())


def test_the_stand_in_turns_a_changed_request_away(gate: Gate, provider: Provider) -> None:
    """The control: with one header changed after it was signed, AWS's answer is 403. So what passed above was not changed."""

    def change(request: Any, **_: Any) -> None:
        request.headers["X-Amz-Date"] = "20260101T000000Z"

    with bedrock(gate, total_max_attempts=1) as client, pytest.raises(ClientError, match="InvalidSignatureException"):
        client.meta.events.register("before-send.bedrock-runtime", change)
        client.converse(modelId=NOVA, messages=asked())


def cutting(folder: Path) -> Path:
    """A policy whose budget ends in the middle of an answer."""
    return policy(folder, limit="$0.05", more="    cut: true\n")


LONG = Script(input=100, output=20_000, token_bytes=4, events=1000, interval_ms=5)
"""A stream of five seconds that costs $0.30."""


@pytest.mark.parametrize("chunk", [0, 100])
@pytest.mark.parametrize("operation", ["invoke_model_with_response_stream", "converse_stream"])
def test_a_running_stream_is_cut(folder: Path, provider: Provider, operation: str, chunk: int) -> None:
    """A budget that runs out ends the event stream after a whole frame, and boto3 raises our words."""
    provider.set(replace(LONG, chunk=chunk))
    with running_gate(folder, provider, cutting(folder)) as running, bedrock(running) as client:
        if operation == "converse_stream":
            events = client.converse_stream(modelId=CLAUDE, messages=asked())["stream"]
        else:
            events = client.invoke_model_with_response_stream(modelId=CLAUDE, body=json.dumps(body(CLAUDE)))["body"]
        seen = []
        said = r"was cut where its money ended\. Ask in #ai-budget\."
        with closing(events), pytest.raises(EventStreamError, match=said) as cut:
            seen.extend(events)
        assert "(validationException)" in str(cut.value)
        assert 5 < len(seen) < 1000
        check_cut(running)
        with pytest.raises(ClientError) as refused:
            client.converse(modelId=CLAUDE, messages=asked())
        assert "#ai-budget" in str(refused.value)


def check_cut(running: Gate) -> None:
    [row] = until(lambda: [row for row in running.calls() if row["ended_at"]] or None)
    assert (row["state"], "ended by cut" in row["flags"]) == ("interrupted", True)
    assert 20_000_000 < row["cost_nanos"] < 100_000_000


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_anthropics_client_reads_a_cut(folder: Path, provider: Provider, *, asynchronous: bool) -> None:
    """Its decoder hands an exception frame on as the API's own `error` event."""
    provider.set(LONG)
    seen = []
    with running_gate(folder, provider, cutting(folder)) as running:
        with pytest.raises(anthropic.APIError, match="was cut where its money ended"):
            if asynchronous:
                async with httpx2.AsyncClient(transport=AsyncHashing(running, Seen(), http2=False)) as http:
                    answer = await created(anthropic.AsyncAnthropicBedrock(**KEYS, http_client=http), stream=True)
                    async for event in answer:
                        seen.append(event)
            else:
                with httpx2.Client(transport=SyncHashing(running, Seen(), http2=False)) as http:
                    for event in created(anthropic.AnthropicBedrock(**KEYS, http_client=http), stream=True):
                        seen.append(event)
        assert 5 < len(seen) < 1000
        check_cut(running)


def spent(folder: Path, provider: Provider, word: str) -> Path:
    """A policy of one cent; what spends it is the next call."""
    provider.set(Script(input=10_000))
    return policy(folder, limit="$0.01", more=f"refusals: {word}\n")


@pytest.mark.parametrize("word", ["readable", "strict"])
def test_boto3_reads_a_refusal(folder: Path, provider: Provider, word: str) -> None:
    """One request and our words at once, in every retry mode and operation; under `strict` mode legacy alone retries, any 429."""
    with running_gate(folder, provider, spent(folder, provider, word)) as running:
        with bedrock(running) as client:
            client.converse(modelId=CLAUDE, messages=asked())
        until(lambda: [row for row in running.calls() if row["ended_at"]] or None)
        reached = len(provider.served)
        modes = ("standard", "adaptive") if word == "strict" else ("legacy", "standard", "adaptive")
        for retries in ({}, *({"mode": mode} for mode in modes)):
            for call in OPERATIONS:
                with bedrock(running, **retries) as client, pytest.raises(ClientError) as refused:
                    call(client, CLAUDE, Raw())
                response = refused.value.response
                assert response["ResponseMetadata"]["RetryAttempts"] == 0
                assert response["ResponseMetadata"]["HTTPStatusCode"] == (429 if word == "strict" else 400)
                assert "is spent" in response["Error"]["Message"]
                assert "#ai-budget" in response["Error"]["Message"]
        assert len(provider.served) == reached


@pytest.mark.parametrize("word", ["readable", "strict"])
async def test_anthropics_client_reads_a_refusal(folder: Path, provider: Provider, word: str) -> None:
    """One request, a RateLimitError with our words, whole and streamed."""
    with running_gate(folder, provider, spent(folder, provider, word)) as running:
        seen = Seen()
        with httpx2.Client(transport=SyncHashing(running, seen, http2=False)) as http:
            client = anthropic.AnthropicBedrock(**KEYS, http_client=http)
            created(client, stream=False)
            until(lambda: [row for row in running.calls() if row["ended_at"]] or None)
            for stream in (False, True):
                with pytest.raises(anthropic.RateLimitError, match="#ai-budget"):
                    created(client, stream=stream)
        async with httpx2.AsyncClient(transport=AsyncHashing(running, seen, http2=False)) as http:
            for stream in (False, True):
                with pytest.raises(anthropic.RateLimitError, match="#ai-budget"):
                    await created(anthropic.AsyncAnthropicBedrock(**KEYS, http_client=http), stream=stream)
        assert seen.answers == 5
