"""A gateway of one's own that passes Google's and AWS's APIs on, by the vendors' clients, told a base URL alone."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import anthropic
import boto3
import httpx
import httpx2
import pytest
from botocore.config import Config
from google import genai

from end_to_end.raw import Seen, SyncHashing, transports
from end_to_end.test_aws import KEYS, OPERATIONS, PROFILE, PROMPT, Raw
from end_to_end.test_google_sdks import CLAUDE, COUNTS, GEMINI, options
from end_to_end.world import Gate, Provider, listed_nanos, policy, running_gate
from spendgate.standin.script import Script
from spendgate.standin.sigv4 import KEY_ID, SECRET

GATEWAY = "https://llm.acme.example"
_, GoogleSync = transports(httpx)


def settled(  # noqa: PLR0917  what a row says
    gate: Gate, provider: Provider, request_id: str, dialect: str, model: str, prices: str
) -> dict[str, Any]:
    """The row of a call through the gateway, with the counts that were served, at the price of this vendor's list."""
    served, row = provider.ended(request_id), gate.row(request_id)
    assert served.usage is not None
    assert (row["state"], row["basis"], row["host"]) == ("settled", "reported", "llm.acme.example")
    assert (row["dialect"], row["model_requested"]) == (dialect, model)
    assert (row["input_tokens"], row["output_tokens"]) == (served.usage.input_tokens, served.usage.output_tokens)
    assert f"priced by {prices}'s list" in row["flags"].split(",")
    assert row["cost_nanos"] == listed_nanos(prices, model, served.usage, str(row["booked_at"]))
    return row


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("prefix", ["", "/gemini"])
def test_googles(gate: Gate, provider: Provider, prefix: str, *, stream: bool) -> None:
    """As Gemini CLI does with GOOGLE_GEMINI_BASE_URL."""
    seen = Seen()
    with httpx.Client(transport=GoogleSync(gate, seen, http2=False)) as http:
        given = options(COUNTS, base_url=GATEWAY + prefix, httpx_client=http)
        models = genai.Client(api_key="sk-made-up", http_options=given).models
        call: Any = models.generate_content_stream if stream else models.generate_content
        answer = call(model=GEMINI, contents="hi")
        assert not stream or list(answer)
    settled(gate, provider, seen.request_id, "gemini", GEMINI, "google")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("prefix", ["", "/bedrock"])
def test_anthropics_for_bedrock(gate: Gate, provider: Provider, prefix: str, *, stream: bool) -> None:
    """As Claude Code does with CLAUDE_CODE_USE_BEDROCK and ANTHROPIC_BEDROCK_BASE_URL."""
    provider.set(Script(input=1201, output=377, cache_read=2048))
    seen = Seen()
    with httpx2.Client(transport=SyncHashing(gate, seen, http2=False)) as http:
        bedrock = anthropic.AnthropicBedrock(**KEYS, base_url=GATEWAY + prefix, http_client=http)
        answer = bedrock.messages.create(model=PROFILE, max_tokens=4000, messages=PROMPT, stream=stream)
        if stream:
            list(answer)  # type: ignore[arg-type]  # a stream, since one was asked for
    settled(gate, provider, seen.request_id, "bedrock-invoke", PROFILE, "aws")


@pytest.mark.parametrize("call", OPERATIONS)
def test_boto3(gate: Gate, provider: Provider, call: Any) -> None:
    """Every operation, at an endpoint of the company's."""
    provider.set(Script(input=1201, output=377, cache_read=2048, write_5m=512))
    client = boto3.client(
        "bedrock-runtime", region_name="us-east-1", aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET,
        verify=str(gate.ca), config=Config(proxies={"https": gate.proxy}), endpoint_url=f"{GATEWAY}/bedrock",
    )  # fmt: skip
    with closing(client):
        answer = call(client, PROFILE, Raw())
    dialect = "bedrock-converse" if "converse" in call.__name__ else "bedrock-invoke"
    settled(gate, provider, answer["ResponseMetadata"]["HTTPHeaders"]["x-request-id"], dialect, PROFILE, "aws")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_anthropics_for_vertex(gate: Gate, provider: Provider, *, stream: bool) -> None:
    """As Claude Code does with CLAUDE_CODE_USE_VERTEX and ANTHROPIC_VERTEX_BASE_URL."""
    seen = Seen()
    with httpx2.Client(transport=SyncHashing(gate, seen, http2=False)) as http:
        vertex = anthropic.AnthropicVertex(
            region="us-east5", project_id="p", access_token="made-up", http_client=http,
            base_url=f"{GATEWAY}/vertex_ai/v1",
        )  # fmt: skip
        answer = vertex.messages.create(
            model=CLAUDE, max_tokens=4000, messages=PROMPT, stream=stream, extra_headers={"x-standin": "input=1201"}
        )
        if stream:
            list(answer)  # type: ignore[arg-type]  # a stream, since one was asked for
    settled(gate, provider, seen.request_id, "anthropic-messages", CLAUDE, "google")


RULES = """\
capture:
  hosts: [{host: llm.acme.example, dialect: openai}]
models: [{name: dear, deny: ["*opus*", gemini-2.5-pro]}]
"""


def test_rules_hold_and_refusals_are_in_the_shape_of_the_path(provider: Provider, folder: Path) -> None:
    """What each vendor's client reads an error from."""
    with running_gate(folder, provider, policy(folder, more=RULES)) as gate:
        paths = {
            "/gemini/v1beta/models/gemini-2.5-pro:generateContent": ("error", "status"),
            "/bedrock/model/us.anthropic.claude-opus-4-5-20251101-v1:0/invoke": ("message",),
            "/model/us.anthropic.claude-opus-4-5-20251101-v1:0/converse": ("message",),
            "/v1/projects/p/locations/l/publishers/anthropic/models/claude-opus-4-5:rawPredict": ("error", "type"),
        }
        with httpx2.Client(transport=SyncHashing(gate, Seen(), http2=False)) as http:
            answers = {path: http.post(GATEWAY + path, json={"messages": []}) for path in paths}
        rows = [row for row in gate.ended() if row["state"] == "refused"]
    for path, keys in paths.items():
        assert 400 <= answers[path].status_code < 500
        assert "dear" in answers[path].text
        found = json.loads(answers[path].content)
        for key in keys:
            found = found[key]
    assert len(rows) == len(paths)
    assert {row["refused_by"] for row in rows} == {"dear"}
