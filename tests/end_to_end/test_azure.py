"""Azure's clients through the gate: a deployment may be called anything, and the answer alone names the model that is priced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from end_to_end.conftest import HOSTS
from end_to_end.raw import AsyncHashing, Seen, SyncHashing
from end_to_end.world import Gate, Provider, listed_nanos, policy, running_gate, until
from spendgate.standin.script import Canned

MODEL, EMBED = "gpt-5-mini-2025-08-07", "text-embedding-3-small"
PROMPT: Any = [{"role": "user", "content": "hi"}]
NAMES = pytest.mark.parametrize("deployment", ["our-own", "gpt-4o"])
"""Deployments: one with a name of its own, one named like another model."""
FORMS = pytest.mark.parametrize("form", ["chat", "chat stream", "responses", "responses stream", "embeddings"])


def options(http: Any) -> dict[str, Any]:
    return {
        "api_key": "k",
        "azure_endpoint": "https://standin.openai.azure.com",
        "api_version": "2025-04-01-preview",
        "http_client": http,
    }


def call(client: Any, form: str, deployment: str, script: str = "") -> Any:
    more: Any = {"model": deployment, "extra_headers": {"x-standin": script}, "stream": form.endswith("stream")}
    if form == "embeddings":
        del more["stream"]
        return client.embeddings.create(input="hi", encoding_format="float", **more)
    if form.startswith("responses"):
        return client.responses.create(input="hi", **more)
    usage: Any = {"stream_options": {"include_usage": True}} if more["stream"] else {}
    return client.chat.completions.create(messages=PROMPT, **more, **usage)


def script(form: str) -> str:
    answered = f"model={EMBED}; output=0" if form == "embeddings" else f"model={MODEL}; output=377; cache_read=2048"
    return f"input=1201; {answered}; chunk=5"


def check(gate: Gate, provider: Provider, seen: Seen, form: str, deployment: str) -> None:
    """Bytes, counts and cost of the last call."""
    served, model = provider.ended(seen.request_id), EMBED if form == "embeddings" else MODEL
    assert (seen.digest.hexdigest(), seen.size) == (served.sha256, served.bytes_sent)
    row, usage = gate.row(seen.request_id), served.usage
    assert usage is not None
    assert (row["state"], row["basis"], row["provider"]) == ("settled", "reported", "azure")
    assert (row["model"], row["model_requested"], row["tool"]) == (model, deployment, "openai-sdk")
    assert (row["input_tokens"], row["output_tokens"] or 0) == (usage.input_tokens, usage.output_tokens)
    assert row["cost_nanos"] == listed_nanos("azure", model, usage, str(row["booked_at"]))


@NAMES
@FORMS
def test_sync(gate: Gate, provider: Provider, form: str, deployment: str) -> None:
    """AzureOpenAI."""
    seen = Seen()
    with httpx2.Client(transport=SyncHashing(gate, seen, http2=False)) as http:
        answer = call(openai.AzureOpenAI(**options(http)), form, deployment, script(form))
        if form.endswith("stream"):
            list(answer)
    check(gate, provider, seen, form, deployment)


@NAMES
@FORMS
async def test_async(gate: Gate, provider: Provider, form: str, deployment: str) -> None:
    """AsyncAzureOpenAI."""
    seen = Seen()
    async with httpx2.AsyncClient(transport=AsyncHashing(gate, seen, http2=False)) as http:
        answer = await call(openai.AsyncAzureOpenAI(**options(http)), form, deployment, script(form))
        if form.endswith("stream"):
            async for _ in answer:
                pass
    check(gate, provider, seen, form, deployment)


@NAMES
def test_an_answer_that_names_no_model_is_of_an_unknown_price(gate: Gate, provider: Provider, deployment: str) -> None:
    """A deployment's name is no model's: the row names none, costs the policy's price and says so."""
    body = {"choices": [], "usage": {"prompt_tokens": 1201, "completion_tokens": 377, "total_tokens": 1578}}
    provider.set(canned=Canned(200, (), json.dumps(body).encode()))
    seen = Seen()
    with httpx2.Client(transport=SyncHashing(gate, seen, http2=False)) as http:
        call(openai.AzureOpenAI(**options(http)), "chat", deployment)
    row = gate.row(seen.request_id)
    assert (row["model"], row["model_requested"]) == (None, deployment)
    assert (row["basis"], row["prices"]) == ("reported", "policy:unknown_model")
    assert "unknown price" in row["flags"]
    assert row["cost_nanos"] == 1201 * 15_000 + 377 * 75_000


@pytest.mark.parametrize("word", ["readable", "strict"])
async def test_a_refusal_is_read_at_once(folder: Path, provider: Provider, word: str) -> None:
    """One request, a RateLimitError with our words, of every form."""
    forms = ("chat", "chat stream", "responses", "responses stream", "embeddings")
    file = policy(folder, limit="$0.01", more=f"{HOSTS}refusals: {word}\n")
    with running_gate(folder, provider, file) as running:
        seen = Seen()
        with httpx2.Client(transport=SyncHashing(running, seen, http2=False)) as http:
            client = openai.AzureOpenAI(**options(http))
            call(client, "chat", "mine", f"input=1000000; model={MODEL}")
            until(lambda: [row for row in running.calls() if row["ended_at"]] or None)
            for form in forms:
                with pytest.raises(openai.RateLimitError, match="#ai-budget"):
                    call(client, form, "mine")
        async with httpx2.AsyncClient(transport=AsyncHashing(running, seen, http2=False)) as http:
            for form in forms:
                with pytest.raises(openai.RateLimitError, match="#ai-budget"):
                    await call(openai.AsyncAzureOpenAI(**options(http)), form, "mine")
        assert seen.answers == 1 + 2 * len(forms)
