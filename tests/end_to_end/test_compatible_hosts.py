"""Hosts that speak OpenAI's and Anthropic's dialects, by the official SDKs through the gate: what they state is what is charged,
else what their own price list says of the model that answered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from end_to_end.raw import AsyncHashing, Seen
from end_to_end.test_sdks import Call, counts_equal, drained, script
from end_to_end.world import Gate, Provider, listed_nanos

COUNTS = "input=1201; output=377; cache_read=2048; reasoning=128"


def chat(model: str, *, stream: bool) -> Call:
    """A chat of this model."""
    more: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    prompt: Any = [{"role": "user", "content": "hi"}]
    return lambda client, headers: client.chat.completions.create(
        model=model, messages=prompt, extra_headers=headers, **more
    )


def responses(model: str, *, stream: bool) -> Call:
    """A response of this model."""
    more: dict[str, Any] = {"stream": True} if stream else {}
    return lambda client, headers: client.responses.create(model=model, input="hi", extra_headers=headers, **more)


async def asked(gate: Gate, provider: Provider, url: str, call: Call, answer: str) -> dict[str, Any]:
    """The ledger's row of one call, whose bytes came as they were sent and whose counts are the stand-in's."""
    seen = Seen()
    async with httpx2.AsyncClient(transport=AsyncHashing(gate, seen, http2=False)) as http:
        client = openai.AsyncOpenAI(api_key="sk-test", base_url=url, http_client=http)
        await drained(call(client, script(f"{COUNTS}; {answer}", "", "")))
    return checked(gate, provider, seen)


def checked(gate: Gate, provider: Provider, seen: Seen) -> dict[str, Any]:
    served = provider.ended(seen.request_id)
    assert (seen.digest.hexdigest(), seen.size) == (served.sha256, served.bytes_sent)
    row = gate.row(served.request_id)
    assert (row["state"], row["basis"]) == ("settled", "reported")
    counts_equal(row, served)
    return row


def listed(row: dict[str, Any], provider: Provider, prices: str, model: str) -> int:
    """What genai-prices says that this row's call costs."""
    usage = next(one.usage for one in provider.served if one.request_id == row["request_id"])
    assert usage is not None
    return listed_nanos(prices, model, usage, str(row["booked_at"]))


@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="stream")])
@pytest.mark.parametrize(
    ("url", "form", "model", "answer", "name", "nanos"),
    [
        ("https://openrouter.ai/api/v1", chat, "openai/gpt-5-mini", "cost=0.0076509169", "openrouter", 7_650_917),
        ("https://openrouter.ai/api/v1", responses, "openai/gpt-5-mini", "cost=0.00497", "openrouter", 4_970_000),
        ("https://api.x.ai/v1", chat, "grok-4.5", "ticks=1721255", "x-ai", 172_126),
        ("https://api.x.ai/v1", responses, "grok-4.5", "ticks=1721245", "x-ai", 172_124),
    ],
)
async def test_a_stated_cost_is_charged(  # noqa: PLR0917  a table
    gate: Gate, provider: Provider, url: str, form: Callable[..., Call], model: str, answer: str, name: str, nanos: int,
    *, stream: bool,
) -> None:  # fmt: skip
    """The provider's own price is the cost, to the nano-dollar, ties to even; the list price stays beside it as the value."""
    row = await asked(gate, provider, url, form(model, stream=stream), answer)
    assert (row["provider"], row["cost_nanos"], row["model"]) == (name, nanos, model)
    assert row["value_nanos"] == listed(row, provider, name, model)


@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="stream")])
@pytest.mark.parametrize(
    ("url", "model", "name"),
    [
        ("https://api.groq.com/openai/v1", "llama-3.3-70b-versatile", "groq"),
        ("https://api.deepseek.com", "deepseek-v4-flash", "deepseek"),
    ],
)
async def test_a_plain_host_is_priced_by_its_own_list(
    gate: Gate, provider: Provider, url: str, model: str, name: str, *, stream: bool
) -> None:
    """What a host says of cost that is not known to bill so counts nothing: its counts are priced."""
    row = await asked(gate, provider, url, chat(model, stream=stream), "cost=0")
    assert (row["provider"], row["cost_nanos"]) == (name, listed(row, provider, name, model))
    assert row["cost_nanos"] > 0


@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="stream")])
async def test_an_azure_deployment_is_priced_by_the_model_that_answers(
    gate: Gate, provider: Provider, *, stream: bool
) -> None:
    """A deployment may have any name, also another model's; the answer names the model, here with its date."""
    seen, model = Seen(), "gpt-5-mini-2025-08-07"
    async with httpx2.AsyncClient(transport=AsyncHashing(gate, seen, http2=False)) as http:
        client = openai.AsyncAzureOpenAI(
            api_key="k", azure_endpoint="https://standin.openai.azure.com", api_version="2025-04-01", http_client=http
        )
        await drained(chat("gpt-4o", stream=stream)(client, script(f"{COUNTS}; model={model}", "", "")))
    row = checked(gate, provider, seen)
    assert (row["provider"], row["model_requested"], row["model"]) == ("azure", "gpt-4o", model)
    assert row["path"] == "/openai/deployments/*/chat/completions"
    assert row["cost_nanos"] == listed(row, provider, "azure", model)


@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="stream")])
@pytest.mark.parametrize(
    ("url", "name", "model"),
    [
        ("https://standin.services.ai.azure.com/anthropic", "azure", "claude-sonnet-4-6"),
        ("https://api.deepseek.com/anthropic", "deepseek", "deepseek-v4-pro"),
    ],
)
async def test_anthropics_dialect_elsewhere(
    gate: Gate, provider: Provider, url: str, name: str, model: str, *, stream: bool
) -> None:
    """Foundry's deployments, and DeepSeek's own models behind Claude's names: the model that answers is priced."""
    seen = Seen()
    async with httpx2.AsyncClient(transport=AsyncHashing(gate, seen, http2=False)) as http:
        client = anthropic.AsyncAnthropic(api_key="k", base_url=url, http_client=http)
        headers = script(f"input=1201; output=377; cache_read=2048; model={model}", "", "")
        prompt: Any = [{"role": "user", "content": "hi"}]
        call: Any = client.messages.create(
            model="claude-opus-4-5", max_tokens=4000, messages=prompt, stream=stream, extra_headers=headers
        )
        await drained(call)
    row = checked(gate, provider, seen)
    assert (row["provider"], row["model_requested"], row["model"]) == (name, "claude-opus-4-5", model)
    assert row["cost_nanos"] == listed(row, provider, name, model)


async def test_a_claude_name_at_deepseek_is_never_claudes_price(gate: Gate, provider: Provider) -> None:
    """Where the answer only repeats a Claude name, no list of DeepSeek's has it: unknown, and said so."""
    seen = Seen()
    async with httpx2.AsyncClient(transport=AsyncHashing(gate, seen, http2=False)) as http:
        client = anthropic.AsyncAnthropic(api_key="k", base_url="https://api.deepseek.com/anthropic", http_client=http)
        prompt: Any = [{"role": "user", "content": "hi"}]
        await client.messages.create(
            model="claude-opus-4-5", max_tokens=400, messages=prompt, extra_headers=script("input=9; output=7", "", "")
        )
    row = checked(gate, provider, seen)
    assert row["prices"] == "policy:unknown_model"
    assert "unknown price" in row["flags"]
    assert row["cost_nanos"] > 0
